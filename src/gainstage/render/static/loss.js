// The loss with what chance would give, the learning rate, and what happened.
import { clean, el, emptyState, figure, forPlotly, panel, segments } from "./dom.js";
import { savers } from "./save.js";
import { get, set, span } from "./state.js";
import { axis, chart, ink } from "./theme.js";

export function lossOf(data) {
  let { loss } = data;
  if (!measured(loss)) return { node: panel("loss", "Loss", "", null, emptyState("No loss was measured.")), update: (next) => !measured(next.loss) };
  const node = el("div", { class: "chart loss-chart", role: "img", "aria-label": "Loss over the steps" });
  let draw = () => {};
  const scaled = positive(loss);
  const usual = scaled && spiked(loss) ? "log" : "linear";
  const scale = () => (scaled && ["linear", "log"].includes(get("scale")) ? get("scale") : usual);
  const tools = scaled ? segments("Scale of the loss", [["linear", "Linear"], ["log", "Log"]], (value) => { set("scale", value === usual ? "" : value); draw(); }, scale()).group : null;
  const note = el("p", { class: "note" }, noteOfLoss(loss));
  return {
    node: panel("loss", "Loss", "", [tools, savers("Loss", () => rowsOfLoss(loss), () => node)].filter(Boolean), note, node),
    draw: () => { draw = chart(node, () => ({ traces: tracesOf(loss), layout: layoutOf(loss, scale()) }), true); },
    update: (next) => {
      if (!measured(next.loss) || positive(next.loss) !== scaled) return false;
      loss = next.loss;
      note.textContent = noteOfLoss(loss);
      draw();
      return true;
    },
  };
}

function measured(loss) {
  return loss.loss.some((v) => v !== null);
}

function positive(loss) {
  return loss.loss.every((v) => v === null || v > 0);
}

// One spike must not flatten everything else.
function spiked(loss) {
  const known = loss.loss.filter((v) => v !== null).sort((a, b) => a - b);
  return known[known.length - 1] > 30 * known[known.length >> 1];
}

function rowsOfLoss(loss) {
  const spread = loss.low.length > 0;
  return [["step", "loss", ...(spread ? ["lowest", "highest"] : []), "smoothed", "learning rate"],
    ...loss.steps.map((step, i) => [step, loss.loss[i], ...(spread ? [loss.low[i], loss.high[i]] : []), loss.smooth[i], loss.lr[i]])];
}

function noteOfLoss(loss) {
  const parts = ["Thin: as measured. Bold: smoothed."];
  if (loss.chance !== null) parts.push("Dashed: chance, the loss of the best constant guess (" + figure(loss.chance) + ").");
  if (loss.infinite !== null) parts.push("Infinite at step " + figure(loss.infinite) + ".");
  return parts.join(" ");
}

function changes(lr) {
  const known = lr.filter((v) => v !== null);
  return known.length > 1 && Math.max(...known) > Math.min(...known) * 1.001;
}

function tracesOf(loss) {
  const x = loss.steps;
  const hover = "step %{x:,}<br>loss %{y:.4g}<extra></extra>";
  const traces = [];
  if (loss.low.length) {
    const band = { x, type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
    traces.push({ ...band, y: loss.low }, { ...band, y: loss.high, fill: "tonexty", fillcolor: ink("forward-soft") });
  }
  traces.push({ x, y: loss.loss, type: "scatter", mode: "lines", line: { color: ink("forward-mid"), width: 1 }, hovertemplate: hover });
  traces.push({ x, y: loss.smooth, type: "scatter", mode: "lines", line: { color: ink("forward"), width: 2.2 }, hoverinfo: "skip" });
  if (changes(loss.lr)) {
    traces.push({
      x, y: loss.lr, yaxis: "y2", type: "scatter", mode: "lines", line: { color: ink("muted"), width: 1.5, shape: "hv" },
      hovertemplate: "step %{x:,}<br>learning rate %{y:.3g}<extra></extra>",
    });
  }
  const events = loss.events.slice(0, 60);
  traces.push({
    x: events.map((e) => e.step), y: events.map(() => 1), yaxis: "y3", type: "scatter", mode: "markers", cliponaxis: false,
    marker: { symbol: "triangle-down", size: 9, color: ink("warning") },
    text: events.map((e) => forPlotly(e.code) + (clean(e.site) ? " at " + forPlotly(e.site) : "")), hovertemplate: "step %{x:,}<br>%{text}<extra></extra>",
  });
  return traces;
}

function layoutOf(loss, scale) {
  const twice = changes(loss.lr);
  const bottom = twice ? 0.3 : 0;
  const rate = twice ? { yaxis2: axis({ domain: [0, 0.2], title: "rate", rangemode: "tozero", nticks: 2 }) } : {};
  const mark = { type: "line", line: { color: ink("warning"), width: 1, dash: "dot" } };
  const lines = loss.events.slice(0, 60).map((e) => ({ ...mark, xref: "x", yref: "paper", x0: e.step, x1: e.step, y0: 0, y1: 1 }));
  const label = [];
  if (loss.chance !== null) {
    const dash = { color: ink("muted"), width: 1.2, dash: "dash" };
    lines.push({ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: loss.chance, y1: loss.chance, line: dash });
    label.push({
      xref: "paper", x: 1, xanchor: "right", yref: "y", y: scale === "log" ? Math.log10(loss.chance) : loss.chance, yanchor: "bottom",
      text: "chance", showarrow: false, font: { size: 11, color: ink("muted") },
    });
  }
  return {
    ...rate, shapes: lines, annotations: label, hovermode: "closest",
    xaxis: axis({ title: "step", anchor: twice ? "y2" : "y", tickformat: ",d", range: spanOf(loss) }),
    yaxis: axis({ type: scale, domain: [bottom, 1], title: "loss", nticks: 6, ...(scale === "linear" ? { range: rangeOf(loss) } : { dtick: 1 }) }),
    yaxis3: { overlaying: "y", visible: false, range: [0, 1.02], fixedrange: true, domain: [bottom, 1] },
  };
}

// From the first step to the last, or to the last event.
function spanOf(loss) {
  const steps = [...loss.steps, ...loss.events.map((e) => e.step)];
  const low = Math.min(...steps);
  const high = Math.max(...steps);
  return high > low ? [low, high] : [low - 1, high + 1];
}

// A flat loss must look flat: the axis holds chance, and never magnifies noise.
function rangeOf(loss) {
  const seen = span();
  const shown = (v, i) => v !== null && (!seen || (loss.steps[i] >= seen[0] && loss.steps[i] <= seen[1]));
  const known = [loss.loss, loss.low, loss.high].flatMap((all) => all.filter(shown));
  if (loss.chance !== null && (!seen || !known.length)) known.push(loss.chance);
  if (!known.length) known.push(0);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const middle = (low + high) / 2;
  const half = Math.max((high - low) * 0.54, Math.abs(middle) * 0.08, 1e-9);
  return [low >= 0 && middle - half < 0 ? 0 : middle - half, middle + half];
}
