// The remedies that were tried on the script, verified ones first.
import { clean, el, panel, short } from "./dom.js";
import { axis, chart, ink } from "./theme.js";

export function remediesOf(data) {
  const remedies = data.remedies || [];
  if (!remedies.length) return { node: document.createDocumentFragment() };
  const proven = remedies.filter((remedy) => remedy.verified).length;
  const note = proven ? "Verified: better than unchanged and than the control, beyond the spread of the seeds." : "None that was tried is verified.";
  const charts = remedies.map((remedy) => (hasCurves(remedy) ? el("div", { class: "chart trial-chart", role: "img", "aria-label": "Loss of the trials over the steps" }) : null));
  const cards = el("div", { class: "cards" }, remedies.map((remedy, i) => remedyOf(remedy, charts[i])));
  return {
    node: panel("remedies", (remedies.length === 1 ? "One remedy" : remedies.length + " remedies") + " tried", note, null, cards),
    draw: () => remedies.forEach((remedy, i) => charts[i] && chart(charts[i], () => ({ traces: curvesOf(remedy), layout: layoutOfCurves(remedy) }))),
  };
}

function remedyOf(remedy, curves) {
  const head = el("header", {}, el("span", { class: "severity" }, remedy.verified ? "Verified" : "Not verified"), el("h3", {}, short(remedy.name, 96)));
  return el("article", { class: "card remedy " + (remedy.verified ? "verified" : "info") }, head,
    el("p", { class: "where" }, el("span", {}, asked(remedy.codes))),
    el("p", { class: "message" }, short(remedy.told, 600)), curves, trialTable(remedy), remedy.verified ? written(remedy) : null);
}

function asked(codes) {
  return codes.length ? "for " + clean(codes.join(", ")) : "suggested by no finding";
}

function trialTable(remedy) {
  const rows = [["unchanged", remedy.loss_before, remedy.score_before], ["with it", remedy.loss_after, remedy.score_after],
    ["control: " + short(remedy.control_name, 60), remedy.control, remedy.score_control]].filter(([, losses]) => losses.length);
  const head = el("tr", {}, ["run", "late loss, one a seed", "learnt"].map((text) => el("th", { scope: "col" }, text)));
  return el("table", { class: "evidence" }, el("thead", {}, head), el("tbody", {}, rows.map(([name, losses, scores]) => el("tr", {},
    el("th", { scope: "row" }, name), el("td", {}, losses.map((loss) => (loss === null ? "diverged" : Number(loss.toPrecision(4)).toString())).join(", ")),
    el("td", {}, scores.map((score) => Math.round(100 * score) + "\u00a0%").join(", "))))));
}

function written(remedy) {
  return el("div", { class: "manual" }, el("p", {}, clean(remedy.change)),
    remedy.where ? el("p", { class: "where" }, el("span", {}, clean(remedy.where))) : null,
    remedy.diff ? el("pre", {}, remedy.diff.split("\n").map((line) => line.replace(/[^\P{C}\t]/gu, "")).join("\n")) : null);
}

function hasCurves(remedy) {
  return remedy.curves.some((curve) => curve.loss.some((v) => v !== null));
}

// What was changed stands out; what it is compared with lies behind it. One line a seed.
function curvesOf(remedy) {
  const looks = {
    unchanged: ["unchanged", { color: ink("muted"), width: 1.4 }], control: ["control", { color: ink("backward"), width: 1.4, dash: "dot" }],
    remedy: ["with it", { color: ink("forward"), width: 2.2 }],
  };
  const named = new Set();
  return Object.keys(looks).flatMap((run) => remedy.curves.filter((curve) => curve.run === run).map((curve) => {
    const [name, line] = looks[run];
    const first = !named.has(run);
    named.add(run);
    const hover = "step %{x:,}<br>" + name + ", seed " + Number(curve.seed) + ": %{y:.4g}<extra></extra>";
    return { x: curve.steps, y: curve.loss, name, legendgroup: name, showlegend: first, type: "scatter", mode: "lines", line, hovertemplate: hover };
  }));
}

// A loss that blows up leaves the picture at the top: it must not flatten what learns.
function layoutOfCurves(remedy) {
  const known = remedy.curves.flatMap((curve) => curve.loss).filter((v) => v !== null);
  const begins = remedy.curves.map((curve) => curve.loss.find((v) => v !== null)).filter((v) => v !== undefined);
  const low = Math.min(...known);
  const high = Math.max(Math.min(Math.max(...known), 3 * Math.max(...begins)), low);
  const log = low > 0 && high > 30 * low;
  const room = log ? 0.05 * Math.log10(high / low) : 0.05 * (high - low) || Math.abs(high) / 20 || 1;
  const range = log ? [Math.log10(low) - room, Math.log10(high) + room] : [low - room, high + room];
  return {
    showlegend: true, hovermode: "closest", margin: { l: 52, r: 16, t: 28, b: 40 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemclick: false, itemdoubleclick: false },
    xaxis: axis({ title: "step", tickformat: ",d" }),
    yaxis: axis({ type: log ? "log" : "linear", title: "loss", nticks: 5, range, ...(log ? { dtick: Math.max(1, Math.round(Math.log10(high / low) / 4)) } : {}) }),
  };
}
