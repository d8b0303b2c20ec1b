// Histogram ridges over depth on a signed-log axis.
import { choice, distinct, el, emptyState, figure, forPlotly, panel, power } from "./dom.js";
import { savers } from "./save.js";
import { get, set, span, wanted } from "./state.js";
import { axis, blend, chart, depthColour, ink, labelRoom, narrow } from "./theme.js";

const RISE = 1.7; // rows that the highest ridge may cover

export function ridgesOf({ histograms }) {
  if (!histograms.choices.length) return { node: panel("histograms", "Histograms over depth", "", null, emptyState("No histogram was kept.")), update: (data) => !data.histograms.choices.length };
  const node = el("div", { class: "chart", role: "img", "aria-label": "Histograms over depth" });
  const note = el("p", { class: "note" });
  const offered = JSON.stringify(histograms.choices);
  let group = groupOf(histograms);
  const tell = () => { note.textContent = group.ridges.length ? noteOfGroup(group) : "No histogram was kept of these values, names and steps."; };
  let draw = () => {};
  const tools = [choice("Values", histograms.choices, (key) => set("values", key), group.kind), savers("Histograms", () => rowsOfGroup(group), () => node)];
  tell();
  return {
    node: panel("histograms", "Histograms over depth", "", tools, note, node),
    draw: () => { draw = chart(node, () => ({ traces: ridgeTraces(group, namesOf(group)), layout: ridgeLayout(group, namesOf(group)) })); },
    update: (data) => {
      if (JSON.stringify(data.histograms.choices) !== offered) return false;
      group = groupOf(data.histograms);
      tell();
      draw();
      return true;
    },
  };
}

function groupOf({ groups, choices }) {
  const kind = choices.some(([one]) => one === get("values")) ? get("values") : choices[0][0];
  const group = groups.find((one) => one.kind === kind) || { kind, x: [], ticks: [], labels: [], ridges: [], left_out: 0 };
  return { ...group, ridges: group.ridges.filter((ridge) => wanted(ridge.name)) };
}

function namesOf(group) {
  return group.ridges.map((ridge) => ridge.name);
}

function rowsOfGroup(group) {
  return [["site", "position (octaves from the floor, signed)", "share per octave"],
    ...group.ridges.flatMap((ridge) => group.x.map((x, j) => [ridge.name, x, ridge.density[j]]))];
}

function noteOfGroup(group) {
  const left = group.left_out ? " " + figure(group.left_out) + " more are left out." : "";
  return "How the values of each stage are spread over " + (span() ? "these steps" : "the whole run") + ", first stage on top. "
    + "Negative to the left, positive to the right, both on a log axis; what is too small for it, zeros included, is not drawn but told in the label." + left;
}

// Ridges are drawn from the back (the first) to the front, each hiding what lies behind it. `names`
// says what each is of.
export function ridgeTraces(group, names) {
  const many = Math.max(group.ridges.length - 1, 1);
  return group.ridges.flatMap((ridge, i) => {
    const body = ridge.density.map((v, j, all) => (v === null ? (all[j - 1] + all[j + 1]) / 2 : v));
    const top = Math.max(...body) || 1;
    const colour = depthColour(i / many);
    const label = forPlotly(names[i], 60)
      + "<br>1 %, 50 %, 99 %: " + ridge.quantiles.map(figure).join(", ") + "<br>at or near zero: " + (ridge.zeros * 100).toFixed(1) + " %";
    return [
      { type: "scatter", mode: "lines", x: group.x, y: group.x.map(() => i), line: { color: ink("grid"), width: 1 }, hoverinfo: "skip" },
      {
        type: "scatter", mode: "lines", x: group.x, y: body.map((v) => i - (v / top) * RISE),
        fill: "tonexty", fillcolor: blend(colour, ink("panel"), 0.45), line: { color: colour, width: 1.4, shape: "spline", smoothing: 0.6 },
        text: group.x.map(() => label), hovertemplate: "%{text}<extra></extra>",
      },
    ];
  });
}

export function ridgeLayout(group, names) {
  const labels = (narrow() ? distinct(names) : names).map((name) => forPlotly(name, narrow() ? 14 : 30));
  const count = labels.length;
  const every = Math.ceil(count / 42);
  const shown = labels.map((_, i) => i).filter((i) => i % every === 0);
  const ticks = group.ticks.map((t, i) => [t, group.labels[i]]).filter((_, i) => !narrow() || i % 2 === 0);
  return {
    height: Math.min(900, Math.max(220, count * (count > 24 ? 15 : 34) + 90)), hovermode: "closest", margin: { l: labelRoom(labels), r: 16, t: 8, b: 40 },
    xaxis: axis({ tickangle: 0, tickvals: ticks.map(([t]) => t), ticktext: ticks.map(([, label]) => power(label)), zeroline: true, zerolinecolor: ink("line") }),
    yaxis: axis({ range: [count - 0.6, -RISE - 0.1], tickvals: shown, ticktext: shown.map((i) => labels[i]), showgrid: false, tickfont: { family: ink("mono"), size: 11 } }),
  };
}
