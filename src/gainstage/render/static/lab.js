// The experiments of the lab: published figures beside measured ones, and their landscapes.
import { clean, duration, el, failed, figure, panel, plural, short, waiting } from "./dom.js";
import { logo } from "./header.js";
import { landscapeOf } from "./landscape.js";
import { nameFiles, savers } from "./save.js";
import { ask } from "./server.js";
import { get, link, listen } from "./state.js";
import { dress, plotlyThere } from "./theme.js";

const KINDS = { D: "deterministic", C: "seeded, but chaotic", R: "random" };

// A panel for the list of runs; nothing if there are no experiments.
export async function experimentsPanel() {
  const { experiments } = await ask("/api/lab", {});
  if (!experiments.length) return null;
  const head = el("thead", {}, el("tr", {}, ["experiment", "figures", "landscapes", "took"].map((title) => el("th", { scope: "col" }, title))));
  const rows = experiments.map(({ name, table, maps, problem }) => el("tr", {},
    el("td", { class: "run" }, el("a", { class: "name", href: link({ lab: name }) }, short(name, 40))),
    el("td", { class: "script" }, table ? verdictOf(table) : el("span", { class: "problem" }, short(problem, 160))),
    el("td", { class: "steps" }, maps.length ? figure(maps.length) : "–"), el("td", { class: "when" }, table ? duration(table.seconds) : "")));
  return panel("experiments", "Experiments", "Kept by gainstage lab run: published figures beside measured ones.", null, el("table", { class: "runs lab-list" }, head, el("tbody", {}, rows)));
}

function verdictOf({ agreeing, judged, figures, quick }) {
  const why = quick ? ", a short run or one with other options" : "";
  if (!judged) return plural(figures.length, "figure") + ", none judged" + why;
  return figure(agreeing) + " of " + plural(judged, "figure") + (agreeing === 1 && judged === 1 ? " agrees" : " agree") + why;
}

export function labPage(root) {
  const name = get("lab");
  let ended = false;
  root.replaceChildren(el("main", { class: "first-sight" }, waiting("opening", clean(name))));
  const near = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => { if (isIntersecting) { near.unobserve(target); target.fill(); } }), { rootMargin: "300px" });
  const show = async () => {
    try {
      const kept = await ask("/api/experiment", { lab: name });
      if (ended) return;
      drawExperiment(root, kept, near);
      document.documentElement.dataset.ready = "true";
    } catch (error) {
      if (!ended) root.replaceChildren(el("main", { class: "first-sight" }, failed("opening", clean(name), error, show), el("p", { class: "note" }, el("a", { href: link({}) }, "All runs"))));
    }
  };
  show();
  const quiet = listen((keys) => { if (keys.includes("theme")) dress(get("theme")); });
  return { end: () => { ended = true; near.disconnect(); quiet(); } };
}

function drawExperiment(root, kept, near) {
  document.title = "Gainstage · " + short(kept.name, 60);
  nameFiles({ id: kept.name });
  const { table } = kept;
  const brand = el("div", { class: "brand" }, logo(), el("span", { class: "wordmark" }, "Gainstage"), "experiment");
  const options = table ? table.options.map(([key, value]) => el("div", {}, el("dt", {}, short(key, 40)), el("dd", {}, short(value, 60)))) : [];
  const head = el("header", { class: "masthead" }, el("div", { class: "inner" }, brand, el("h1", { class: "lab-title" }, short(kept.name, 64)),
    el("p", { class: "verdict-detail" }, table ? verdictOf(table) + " · " + duration(table.seconds) : short(kept.problem, 300)), options.length ? el("dl", { class: "facts" }, options) : null));
  const slots = kept.maps.map((map) => slotOf(kept.name, map, near));
  root.replaceChildren(head, el("nav", { class: "bar", "aria-label": "Page" }, el("div", { class: "inner" }, el("a", { class: "plain", href: link({}) }, "All runs"))),
    el("main", {}, table ? panel("figures", "Figures", noteOfFigures(table), savers("Figures", () => rowsOfFigures(table), null), tableOfFigures(table)) : null, slots));
  slots.forEach((slot) => near.observe(slot));
}

function noteOfFigures({ figures }) {
  const kinds = Object.entries(KINDS).filter(([kind]) => figures.some((one) => one.kind === kind));
  return "Kind: " + kinds.map(([kind, word]) => kind + " " + word).join(", ") + ". A figure agrees if it lies in the range that was fixed for it before.";
}

function rowsOfFigures({ figures }) {
  return [["quantity", "kind", "published", "measured", "from", "to", "verdict"], ...figures.map((one) => [one.quantity, one.kind, one.published, one.measured, one.low, one.high, one.verdict])];
}

function tableOfFigures({ figures }) {
  const head = el("tr", {}, ["quantity", "kind", "published", "measured", "agrees within", ""].map((title) => el("th", { scope: "col" }, title)));
  const body = figures.map((one) => el("tr", { class: "figure-row " + { agrees: "healthy", differs: "error", "not judged": "" }[one.verdict] },
    el("th", { scope: "row" }, short(one.quantity, 90)), el("td", {}, short(one.kind, 2)), el("td", {}, exactly(one.published)), el("td", {}, el("b", {}, exactly(one.measured))),
    el("td", {}, rangeOfFigure(one)), el("td", { class: "judged" }, one.verdict)));
  return el("div", { class: "scroll" }, el("table", { class: "figures" }, el("thead", {}, head), el("tbody", {}, body)));
}

function exactly(value) {
  return value === null ? "–" : String(value).replace("-", "−");
}

function rangeOfFigure({ low, high }) {
  if (low === null && high === null) return "–";
  return low === null ? "up to " + exactly(high) : high === null ? "from " + exactly(low) : exactly(low) + " to " + exactly(high);
}

// The place of a landscape, filled when it is scrolled to.
function slotOf(lab, map, near) {
  const slot = el("div", { class: "slot", "data-slot": clean(map) }, waiting("map", clean(map)));
  slot.fill = async () => {
    try {
      const { node, draw: drawn } = landscapeOf(map, await ask("/api/landscape", { lab, map }));
      slot.replaceChildren(node);
      plotlyThere(drawn);
    } catch (error) {
      slot.replaceChildren(failed("map", clean(map), error, () => { slot.replaceChildren(waiting("map", clean(map))); near.observe(slot); }));
    }
  };
  return slot;
}
