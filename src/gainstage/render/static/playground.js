// The playground: a bench for optimisers, and one for initialisations. What is chosen stands in the
// address, so that a link shares it.
import { dressNext } from "./bar.js";
import { compute } from "./computing.js";
import { descentBench } from "./descent.js";
import { el, failed, panel, segments } from "./dom.js";
import { logo } from "./header.js";
import { nameFiles } from "./save.js";
import { stackBench } from "./stack.js";
import { get, link, listen, set } from "./state.js";
import { dress } from "./theme.js";

const BENCHES = { descent: ["Optimisers", descentBench], stack: ["Initialisation", stackBench] };
let offered = null; // asked once

// The values of a bench: `usual(key)` is what an absent one means. They are kept here while a slider
// moves and written into the address when it rests: browsers refuse hundreds of writes a second.
function valuesOf(change) {
  const kept = new Map();
  let pause = 0;
  const write = () => { const pending = [...kept]; kept.clear(); pending.forEach(([key, value]) => set(key, value)); };
  const quiet = listen((keys) => { if (keys.some((key) => key !== "theme")) change(); });
  const put = (key, value) => { kept.set(key, value); clearTimeout(pause); pause = setTimeout(write, 250); };
  return {
    get: (key) => (kept.has(key) ? kept.get(key) : get(key)),
    put, // without a word
    set: (key, value) => { put(key, value); change(); },
    end: () => { clearTimeout(pause); quiet(); },
  };
}

export function playgroundPage(root) {
  let [ended, bench] = [false, null];
  const which = () => (BENCHES[get("play")] ? get("play") : "descent");
  const body = el("main", { class: "playground" }, beginning());
  const mode = segments("Bench", Object.entries(BENCHES).map(([key, [title]]) => [key, title]), (key) => { window.location.hash = link({ play: key }); }, which());
  const theme = el("button", { type: "button", class: "plain theme", title: "Light, dark, or as the system (t)", on: { click: dressNext } }, "Theme");
  const brand = el("div", { class: "brand" }, logo(), el("span", { class: "wordmark" }, "Gainstage"), el("span", {}, "playground"));
  root.replaceChildren(el("header", { class: "masthead slim" }, el("div", { class: "inner" }, brand)),
    el("nav", { class: "bar", "aria-label": "Page" }, el("div", { class: "inner" }, el("a", { class: "plain", href: link({}) }, "All runs"), mode.group, el("span", { class: "spring" }), theme)), body);
  document.title = "Gainstage · playground";
  nameFiles({ id: "playground" });
  const press = (event) => { if (event.key === "t" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|SELECT)$/.test(event.target.tagName)) dressNext(); };
  document.addEventListener("keydown", press);
  const values = valuesOf(() => bench && bench.renew());
  const quiet = listen((keys) => { if (keys.includes("theme")) dress(get("theme")); });
  const begin = async () => {
    body.replaceChildren(beginning());
    try {
      offered = offered || await compute({ what: "catalogue" });
      if (ended) return;
      bench = BENCHES[which()][1](body, offered, values);
      document.documentElement.dataset.ready = "true";
    } catch (error) {
      if (!ended) body.replaceChildren(failed("opening", "Playground", error, begin));
    }
  };
  begin();
  return { end: () => { ended = true; quiet(); values.end(); document.removeEventListener("keydown", press); if (bench) bench.end(); } };
}

function beginning() {
  return panel("opening", "Playground", "Loading torch, in a process of its own. That takes a few seconds, once.", null, el("div", { class: "skeleton", role: "status", "aria-label": "Loading" }));
}
