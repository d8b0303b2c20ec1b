// BatchNorm: the statistics of the batches against the running ones, which evaluation uses.
import { el, emptyState, figure, forPlotly, panel } from "./dom.js";
import { savers } from "./save.js";
import { wanted } from "./state.js";
import { axis, chart, depthColour, ink, narrow } from "./theme.js";

export function normsOf(data) {
  if (!data.batchnorm.norms.length) return { node: panel("batchnorm", "BatchNorm", "", null, emptyState("No BatchNorm of these names was looked at in these steps.")), update: (next) => !next.batchnorm.norms.length };
  let norms = soughtNorms(data.batchnorm);
  const node = el("div", { class: "chart update-chart", role: "img", "aria-label": "Gap between batch and running statistics over the steps" });
  const note = el("p", { class: "note" });
  const tell = () => { note.textContent = noteOfNorms(norms); };
  let draw = () => {};
  tell();
  const key = el("p", { class: "depth-key" }, el("span", {}, "first layer"), el("span", { class: "ramp", "aria-hidden": "true" }), el("span", {}, "last layer"));
  return {
    node: panel("batchnorm", "BatchNorm: batch against running", "", [key, savers("BatchNorm", () => rowsOfNorms(norms), () => node)], note, node),
    draw: () => { draw = chart(node, () => ({ traces: tracesOfNorms(norms), layout: layoutOfNorms(norms) }), true); },
    update: (next) => {
      if (!next.batchnorm.norms.length) return false;
      norms = soughtNorms(next.batchnorm);
      tell();
      draw();
      return true;
    },
  };
}

function soughtNorms(chartData) {
  return { ...chartData, norms: chartData.norms.filter((norm) => wanted(norm.name)) };
}

function rowsOfNorms({ steps, norms }) {
  return [["step", ...norms.map((norm) => norm.name)], ...steps.map((step, j) => [step, ...norms.map((norm) => norm.gap[j])])];
}

function noteOfNorms({ norms, limit }) {
  const far = norms.filter((norm) => norm.late !== null && norm.late - norm.noise > limit);
  return "How far each BatchNorm's output would move, in its standard deviations, if it used its running mean and variance, as it does in evaluation, in place of the batch's. "
    + "Near 0 both agree; above the dashed line evaluation meets another network. "
    + (far.length ? figure(far.length) + " of " + figure(norms.length) + " still disagree late in these steps." : "Late in these steps " + (norms.length === 1 ? "it agrees." : "all " + figure(norms.length) + " agree."));
}

function tracesOfNorms({ steps, norms }) {
  const many = Math.max(norms.length - 1, 1);
  return norms.map((norm, i) => {
    const seen = steps.map((_, j) => j).filter((j) => norm.gap[j] !== null);
    const label = forPlotly(norm.name, 60) + "<br>by chance up to " + figure(norm.noise);
    return {
      type: "scatter", mode: seen.length > 40 ? "lines" : "lines+markers", x: seen.map((j) => steps[j]), y: seen.map((j) => norm.gap[j]),
      line: { color: depthColour(i / many), width: norms.length > 20 ? 1.1 : 1.6 }, marker: { size: 5 },
      text: seen.map(() => label), hovertemplate: "%{text}<br>step %{x:,}<br>%{y:.2f} standard deviations<extra></extra>",
    };
  });
}

function layoutOfNorms({ steps, norms, limit }) {
  const line = limit + Math.max(0, ...norms.map((norm) => norm.noise || 0));
  const known = norms.flatMap((norm) => norm.gap).filter((v) => v !== null);
  const top = Math.max(1.25 * line, ...known);
  const wide = top > 20 * line;
  const last = steps[steps.length - 1];
  return {
    hovermode: "closest", margin: { l: 52, r: narrow() ? 8 : 16, t: 8, b: 42 },
    xaxis: axis({ title: "step", tickformat: ",d", range: last > steps[0] ? [steps[0], last] : [last - 1, last + 1] }),
    yaxis: axis({ title: "standard deviations", nticks: 6, ...(wide ? { type: "log", dtick: 1 } : { range: [0, 1.05 * top] }) }),
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: line, y1: line, line: { color: ink("fault"), width: 1.4, dash: "dash" } }],
    annotations: [{ xref: "paper", x: 1, xanchor: "right", yref: "y", y: wide ? Math.log10(line) : line, yanchor: "bottom", text: "another network", showarrow: false, font: { size: 11, color: ink("fault") } }],
  };
}
