// The page of one run: it draws what a source tells, a part when it is scrolled to, and again when
// something else is chosen or more was written.
import { barOf } from "./bar.js";
import { el, failed, waiting } from "./dom.js";
import { headerOf } from "./header.js";
import { findingsOf } from "./findings.js";
import { remediesOf } from "./remedies.js";
import { lossOf } from "./loss.js";
import { levelsOf } from "./levels.js";
import { heatmapOf } from "./heatmap.js";
import { updatesOf } from "./updates.js";
import { historyOf } from "./history.js";
import { normsOf } from "./norms.js";
import { ridgesOf } from "./ridges.js";
import { detailsOf } from "./details.js";
import { nameFiles } from "./save.js";
import { get, listen, span } from "./state.js";
import { dress, plotlyThere, redraw, refit } from "./theme.js";

// `view`: what must be asked for; `only`: the choice that goes with the question; `near`: drawn
// only when it is scrolled to; `has`: whether a run has anything of it.
const SECTIONS = [
  { name: "findings", make: findingsOf },
  { name: "remedies", make: remediesOf, charts: true },
  { name: "loss", make: lossOf, near: true },
  { name: "levels", title: "Level diagram", make: levelsOf, near: false, view: "levels" },
  { name: "heatmap", title: "Heat map", make: heatmapOf, near: true, view: "heatmap", only: "map" },
  { name: "updates", title: "Update : data", make: updatesOf, near: true, view: "updates" },
  { name: "batchnorm", title: "BatchNorm", make: normsOf, near: true, view: "batchnorm", has: ({ run }) => run.norms > 0 },
  { name: "histograms", title: "Histograms over depth", make: ridgesOf, near: true, view: "histograms", only: "values" },
  { name: "history", title: "Histograms over time", make: historyOf, near: true, view: "history", only: "values", site: "site" },
  { name: "details", title: "Run details", make: detailsOf, near: true, view: "parameters" },
];

// Draw `data` (see gainstage.render.payload) into `root`. `source.view(name, question)` tells a view
// or promises it; `source.steps(range)` is called when other steps are chosen. The page that is
// given back takes newer data, and ends.
export function mount(root, data, source) {
  const page = { data, source, slots: SECTIONS.map((section) => ({ ...section, node: el("div", { class: "slot", "data-slot": section.name }) })) };
  const head = el("div", {});
  const bar = barOf(page, source);
  const main = el("main", {}, page.slots.map((slot) => slot.node));
  root.replaceChildren(head, bar.node, main, el("footer", { class: "colophon" }, "Gainstage · every level in dB is 20 log₁₀ of the rms; 0 dB is an rms of 1"));
  const observer = new IntersectionObserver((entries) => entries.forEach((entry) => approach(page, page.slots.find((slot) => slot.node === entry.target), entry.isIntersecting)), { rootMargin: "500px" });
  const show = page.show = () => {
    nameFiles(page.data.run);
    head.replaceChildren(headerOf(page.data));
    bar.renew(page.data);
    page.slots.forEach(({ node, has }) => { node.hidden = Boolean(has) && !has(page.data); });
  };
  show();
  dress(get("theme"));
  let levels = null;
  for (const slot of page.slots) {
    if (slot.near && !slot.node.hidden) slot.node.append(waiting(slot.name, slot.title || ""));
    else if (!slot.near) levels = fillSlot(page, slot) || levels;
    if (!slot.view) observer.observe(slot.node);
  }
  // What lies below the levels seems near until they are in their place: they go first.
  Promise.resolve(levels).then(() => page.slots.forEach((slot) => { if (slot.view && !page.ended) observer.observe(slot.node); }));
  const quiet = listen((keys) => chosenOther(page, bar, keys));
  const printing = () => { page.slots.forEach((slot) => { if (!slot.section && !slot.node.hidden) fillSlot(page, slot); }); onPaper(true); };
  const printed = () => onPaper(false);
  window.addEventListener("beforeprint", printing);
  window.addEventListener("afterprint", printed);
  document.documentElement.dataset.ready = "true";
  return {
    // `written`: the run has grown, and what was asked for has to be asked again
    renew: (next, written) => {
      page.data = { ...next, levels: next.levels || page.data.levels };
      show();
      refresh(page, page.slots.filter((slot) => written || !slot.view));
    },
    tell: bar.tell,
    end: () => { page.ended = true; quiet(); bar.end(); observer.disconnect(); window.removeEventListener("beforeprint", printing); window.removeEventListener("afterprint", printed); },
  };
}

// Paper is narrower than a screen: charts are drawn anew for it before it is laid out.
function onPaper(on) {
  document.documentElement.classList.toggle("on-paper", on);
  if (window.Plotly) refit();
}

function approach(page, slot, near) {
  slot.isNear = near;
  if (near && !slot.busy && (!slot.section || slot.stale)) fillSlot(page, slot);
}

// Charts in sight come first (somebody drags in one of them), the levels and what is near a little
// later, anything else when it is scrolled to.
function refresh(page, slots) {
  for (const slot of slots) {
    const { top, bottom } = slot.node.getBoundingClientRect();
    if (!slot.near && !slot.view) fillSlot(page, slot);
    else if (slot.near && top < window.innerHeight && bottom > 0) fillSlot(page, slot);
    else slot.stale = true;
  }
  clearTimeout(page.later);
  page.later = setTimeout(() => page.slots.forEach((slot) => { if (slot.stale && slot.isNear && !page.ended) fillSlot(page, slot); }), 250);
}

function chosenOther(page, bar, keys) {
  if (keys.includes("theme")) dress(get("theme"));
  bar.renew(page.data);
  if (keys.includes("fold")) page.slots.forEach((slot) => { if (slot.section && slot.section.fold) slot.section.fold(); });
  if (keys.includes("steps") && page.source.steps) page.source.steps(span());
  refresh(page, page.slots.filter((slot) => keys.some((key) => key === "find" || (key === "steps" && slot.near !== undefined) || key === slot.only || key === slot.site || (key === "at" && slot.name === "levels"))));
}

// Ask for what the section shows, then show it. A question that is overtaken is put once more.
// What comes later is promised.
function fillSlot(page, slot) {
  if (slot.busy) { slot.again = true; return undefined; }
  slot.stale = false;
  if (!slot.view) { showSlot(slot, page.data); return undefined; }
  const told = page.source.view(slot.view, { span: span(), find: get("find"), only: slot.only ? get(slot.only) : "", site: slot.site ? get(slot.site) : "" });
  if (!(told instanceof Promise)) { showSlot(slot, { ...page.data, [slot.view]: told }); return undefined; }
  if (!slot.section) slot.node.replaceChildren(waiting(slot.name, slot.title));
  slot.busy = true;
  slot.node.classList.add("asking");
  return told.then((view) => { if (!page.ended) arrived(page, slot, view); })
    .catch((error) => { if (!page.ended) failSlot(page, slot, error); })
    .finally(() => {
      slot.busy = false;
      slot.node.classList.remove("asking");
      if (slot.again && !page.ended) { slot.again = false; fillSlot(page, slot); }
    });
}

// The levels are told in other places of the page as well.
function arrived(page, slot, view) {
  showSlot(slot, { ...page.data, [slot.view]: view });
  if (slot.name !== "levels") return;
  page.data = { ...page.data, levels: view };
  page.show();
  page.slots.filter((one) => one.name === "findings").forEach((one) => fillSlot(page, one));
}

function showSlot(slot, data) {
  const same = slot.shown !== undefined && !slot.near && slot.shown === fingerprint(slot, data);
  if (same || (slot.section && slot.section.update && slot.section.update(data) !== false)) return;
  slot.shown = slot.near ? undefined : fingerprint(slot, data);
  const open = [...slot.node.querySelectorAll("details")].map((one) => one.open);
  slot.section = slot.make(data);
  slot.node.replaceChildren(slot.section.node);
  [...slot.node.querySelectorAll("details")].forEach((one, i) => { if (i < open.length) one.open = open[i]; });
  const { draw } = slot.section;
  if (!draw) return;
  const drawn = () => { draw(); performance.mark("gainstage:" + slot.name); }; // for `gainstage bench page`
  if (slot.near || slot.charts) plotlyThere(drawn);
  else drawn();
}

// What a section without charts shows: it is left alone as long as that stays the same.
function fingerprint(slot, data) {
  if (slot.section && slot.section.update) return undefined;
  return JSON.stringify([data[slot.name], data.findings, Boolean(data.levels)]);
}

function failSlot(page, slot, error) {
  slot.section = null;
  slot.node.replaceChildren(failed(slot.name, slot.title || "", error, () => fillSlot(page, slot)));
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
window.matchMedia("print").addEventListener("change", redraw);
