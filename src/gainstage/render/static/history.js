// Histogram ridges over time of one site, on the axis of those over depth.
import { el, emptyState, figure, panel, short } from "./dom.js";
import { ridgeLayout, ridgeTraces } from "./ridges.js";
import { savers } from "./save.js";
import { get, set, wanted } from "./state.js";
import { chart } from "./theme.js";

const MOST_OFFERED = 400;

export function historyOf(data) {
  if (!data.history.choices.length) return { node: panel("history", "Histograms over time", "", null, emptyState("No histogram was kept.")), update: (next) => !next.history.choices.length };
  const node = el("div", { class: "chart", role: "img", "aria-label": "Histograms of one site over time" });
  const note = el("p", { class: "note" });
  const select = el("select", { "aria-label": "Site", on: { change: () => set("site", select.value) } });
  let history = null;
  let draw = () => {};
  const look = (next) => {
    history = historyIn(next.history);
    const names = offeredIn(next.history, history.name);
    select.replaceChildren(...names.map((name) => el("option", { value: name, selected: name === history.name }, short(name, 48))));
    note.textContent = history.ridges.length ? noteOfHistory(history) : "No histogram was kept of this site in these steps.";
  };
  look(data);
  const tools = [el("label", { class: "choice" }, el("span", {}, "Site"), select), savers("Histograms over time", () => rowsOfHistory(history), () => node)];
  return {
    node: panel("history", "Histograms over time", "", tools, note, node),
    draw: () => { draw = chart(node, () => ({ traces: ridgeTraces(history, spansOf(history)), layout: ridgeLayout(history, spansOf(history)) })); },
    update: (next) => {
      if (!next.history.choices.length) return false;
      look(next);
      draw();
      return true;
    },
  };
}

// The chosen site of the chosen kind; nothing is known of it if its histograms were not kept.
function historyIn({ histories, choices }) {
  const kind = choices.some(([one]) => one === get("values")) ? get("values") : choices[0][0];
  const there = histories.filter((one) => one.kind === kind);
  return there.find((one) => one.name === get("site")) || there[0] || { kind, title: "", name: get("site"), first: [], last: [], x: [], ticks: [], labels: [], ridges: [] };
}

// Names that are looked for, and that of what is shown.
function offeredIn({ choices }, shown) {
  const kind = choices.some(([one]) => one === get("values")) ? get("values") : choices[0][0];
  const names = choices.find(([one]) => one === kind)[2].filter((name) => wanted(name) || name === shown);
  return names.length > MOST_OFFERED ? names.filter((name, i) => i < MOST_OFFERED || name === shown) : names;
}

function spansOf({ first, last }) {
  return first.map((step, i) => (last[i] > step ? figure(step) + " to " + figure(last[i]) : "step " + figure(step)));
}

function rowsOfHistory(history) {
  return [["site", "first step", "last step", "position (octaves from the floor, signed)", "share per octave"],
    ...history.ridges.flatMap((ridge, i) => history.x.map((x, j) => [ridge.name, history.first[i], history.last[i], x, ridge.density[j]]))];
}

function noteOfHistory(history) {
  return history.title + " of one site, first steps on top, drawn as those over depth; which values are shown is chosen there.";
}
