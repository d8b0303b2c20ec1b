// Colours come from the stylesheet, so that charts follow light, dark and print.
import { setSpan, span } from "./state.js";
/* global Plotly */

export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

let drawings = [];

// Draw now, and again when the colours of the page change. `make` returns {traces, layout}. A chart
// over the steps shows those that are chosen, and choosing some in it chooses them for all.
export function chart(node, make, overSteps = false) {
  const draw = () => {
    const { traces, layout } = make();
    if (overSteps && span()) layout.xaxis.range = span();
    Plotly.react(node, traces, { ...base(), ...layout }, { displayModeBar: false, responsive: true, doubleClick: overSteps ? false : "reset" });
  };
  drawings = drawings.filter((one) => one.node.isConnected);
  drawings.push({ node, draw });
  draw();
  if (overSteps && node.on) {
    node.on("plotly_relayout", (change) => chooseSteps(change, draw));
    node.on("plotly_doubleclick", () => setSpan(null));
  }
  return draw;
}

function chooseSteps(change, draw) {
  if (change["xaxis.range[0]"] === undefined) return;
  const range = [change["xaxis.range[0]"], change["xaxis.range[1]"]].map(Number);
  if (range[1] - range[0] >= 1) setSpan(range);
  else draw();
}

// All charts as wide as there is room for now.
export function refit() {
  drawings.filter((one) => one.node.isConnected).forEach((one) => Plotly.relayout(one.node, { autosize: true }));
}

export function redraw() {
  drawings.filter((one) => one.node.isConnected).forEach((one) => one.draw());
}

// "light" or "dark" whatever the system says; "" as it says.
export function dress(theme) {
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (!(rule instanceof CSSMediaRule) || !rule.cssText.includes("--scheme")) continue;
      rule.media.mediaText = { dark: "screen", light: "not all" }[theme] || "screen and (prefers-color-scheme: dark)"; // paper is white
    }
  }
  document.documentElement.style.colorScheme = theme;
  redraw();
}

// Charts wait for plotly, which may still be on its way while the rest of the page is drawn.
export function plotlyThere(then) {
  if (window.Plotly) then();
  else document.querySelector('script[src$="plotly.js"]').addEventListener("load", then, { once: true });
}

export function narrow() {
  return window.matchMedia("(max-width: 640px)").matches;
}

function base() {
  const touch = window.matchMedia("(pointer: coarse)").matches;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: ink("sans"), size: 12, color: ink("muted") },
    hoverlabel: { bgcolor: ink("raised"), bordercolor: ink("line"), font: { family: ink("sans"), size: 12, color: ink("ink") }, align: "left" },
    margin: { l: 52, r: 16, t: 8, b: 40 },
    dragmode: touch ? false : "zoom",
    showlegend: false,
    autosize: true,
  };
}

export function axis(extra) {
  return {
    gridcolor: ink("grid"),
    linecolor: ink("line"),
    zeroline: false,
    ticks: "",
    automargin: false,
    separatethousands: true,
    ...extra,
    title: extra && extra.title ? { text: extra.title, font: { size: 12, color: ink("muted") }, standoff: 8 } : undefined,
  };
}

// Left margin that holds the longest of these labels.
export function labelRoom(labels) {
  const longest = Math.max(0, ...labels.map((label) => label.replace(/&\w+;/g, "x").length));
  return Math.min(narrow() ? 110 : 230, 18 + longest * 6.9);
}

// Viridis at 0..1, the first and last tenth left out where they would vanish on the ground.
const VIRIDIS = ["#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151"];
const VIRIDIS_DARK = ["#7a6bc4", "#6f86d6", "#5a9bd0", "#45adc0", "#3dbfa8", "#5cd08a", "#9bdc5f", "#e3e04a"];

// Two "#rrggbb" colours mixed, with `share` of the first.
export function blend(first, second, share) {
  const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const [a, b] = [channels(first), channels(second)];
  return "rgb(" + a.map((v, i) => Math.round(v * share + b[i] * (1 - share))).join(",") + ")";
}

export function depthColour(share) {
  const ramp = ink("scheme") === "dark" ? VIRIDIS_DARK : VIRIDIS;
  return ramp[Math.min(ramp.length - 1, Math.floor(share * ramp.length))];
}
