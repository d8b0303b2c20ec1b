// How far one step moves each weight, relative to the weight.
import { el, emptyState, figure, forPlotly, panel } from "./dom.js";
import { savers } from "./save.js";
import { get, wanted } from "./state.js";
import { axis, chart, depthColour, ink, narrow } from "./theme.js";

export function updatesOf(data) {
  if (!data.updates.paces.length && !get("find")) return { node: panel("updates", "Update : data", "", null, emptyState("No weight's update was measured.")), update: (next) => !next.updates.paces.length };
  let updates = sought(data.updates);
  const node = el("div", { class: "chart update-chart", role: "img", "aria-label": "Update to data ratio over the steps" });
  const note = el("p", { class: "note" });
  const tell = () => { note.textContent = noteOfPaces(updates); };
  let draw = () => {};
  tell();
  const key = el("p", { class: "depth-key" }, el("span", {}, "first layer"), el("span", { class: "ramp", "aria-hidden": "true" }), el("span", {}, "last layer"));
  return {
    node: panel("updates", "Update : data", "", [key, savers("Update to data", () => rowsOfPaces(updates), () => node)], note, node),
    draw: () => { draw = chart(node, () => ({ traces: tracesOfPaces(updates), layout: layoutOfPaces(updates) }), true); },
    update: (next) => { updates = sought(next.updates); tell(); draw(); return true; },
  };
}

function sought(updates) {
  return { ...updates, paces: updates.paces.filter((pace) => wanted(pace.name)) };
}

function rowsOfPaces({ steps, paces }) {
  return [["step", ...paces.map((pace) => pace.name)], ...steps.map((step, j) => [step, ...paces.map((pace) => pace.ratio[j])])];
}

function noteOfPaces(updates) {
  const still = updates.paces.filter((p) => p.still === 1).length;
  return "log₁₀ of the update's rms over the weight's, one line a weight. Usual paces lie between −4 and −2, Adam's first steps higher; a lasting −0.5 shakes the weights to pieces, −5 leaves them where they are."
    + (still ? " " + figure(still) + " never moved." : "");
}

function tracesOfPaces(updates) {
  const many = Math.max(updates.paces.length - 1, 1);
  return updates.paces.map((pace, i) => ({
    type: "scatter", mode: "lines", x: updates.steps, y: pace.ratio, line: { color: depthColour(i / many), width: updates.paces.length > 20 ? 1.1 : 1.6 },
    text: new Array(updates.steps.length).fill(forPlotly(pace.name, 60)), hovertemplate: "%{text}<br>step %{x:,}<br>%{y:.2f}<extra></extra>",
  }));
}

function layoutOfPaces(updates) {
  const known = updates.paces.flatMap((p) => p.ratio).filter((v) => v !== null);
  const low = Math.min(updates.guide - 1, ...bounds(known).slice(0, 1)) - 0.3;
  const high = Math.max(updates.guide + 1, ...bounds(known).slice(1)) + 0.3;
  return {
    hovermode: "closest", margin: { l: 52, r: narrow() ? 8 : 16, t: 8, b: 42 },
    xaxis: axis({ title: "step", tickformat: ",d" }), yaxis: axis({ title: "log₁₀ update / weight", range: [low, high], nticks: 7 }),
    shapes: [{ type: "rect", xref: "paper", x0: 0, x1: 1, yref: "y", y0: updates.guide - 1, y1: updates.guide + 1, fillcolor: ink("good-soft"), line: { width: 0 }, layer: "below" },
      { type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: updates.guide, y1: updates.guide, line: { color: ink("good"), width: 1.4, dash: "dash" } }],
    annotations: [{ xref: "paper", x: 1, xanchor: "right", yref: "y", y: updates.guide + 1, yanchor: "bottom", text: "usual pace", showarrow: false, font: { size: 11, color: ink("good") } }],
  };
}

function bounds(known) {
  return known.length ? known.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]) : [0, 0];
}
