// The page: one function that draws a payload, from a file or from a live server.
import { el } from "./dom.js";
import { headerOf } from "./header.js";
import { findingsOf } from "./findings.js";
import { remediesOf } from "./remedies.js";
import { lossOf } from "./loss.js";
import { levelsOf } from "./levels.js";
import { heatmapOf } from "./heatmap.js";
import { updatesOf } from "./updates.js";
import { ridgesOf } from "./ridges.js";
import { detailsOf } from "./details.js";
import { forget, redraw } from "./theme.js";

const SECTIONS = [findingsOf, remediesOf, lossOf, levelsOf, heatmapOf, updatesOf, ridgesOf, detailsOf];

// Draw `data` (see gainstage.render.payload) into `root`; may be called again with newer data.
export function mount(root, data) {
  forget();
  const main = el("main", {});
  root.replaceChildren(headerOf(data), main, el("footer", { class: "colophon" }, "Gainstage · every level in dB is 20 log₁₀ of the rms; 0 dB is an rms of 1"));
  for (const section of SECTIONS) {
    const { node, draw } = section(data);
    main.append(node);
    if (draw) draw();
  }
  document.documentElement.dataset.ready = "true";
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
window.addEventListener("beforeprint", redraw);
window.addEventListener("afterprint", redraw);
