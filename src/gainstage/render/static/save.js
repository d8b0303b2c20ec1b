// Every picture as PNG, and what it shows as CSV.
import { clean, el } from "./dom.js";
/* global Plotly */

let prefix = "gainstage";

export function nameFiles(run) {
  prefix = clean(run.id).replace(/[^A-Za-z0-9.-]+/g, "_").slice(0, 60) || "gainstage";
}

// Two small buttons; `rows()` gives the table (its head first), `node()` the chart to be drawn.
export function savers(what, rows, node) {
  const csv = el("button", { type: "button", class: "save", title: "Download the data as CSV", "aria-label": "Download the data of “" + what + "” as CSV", on: { click: () => saveTable(what, rows()) } }, "CSV");
  const png = node ? el("button", { type: "button", class: "save", title: "Download the picture as PNG", "aria-label": "Download the picture of “" + what + "” as PNG", on: { click: () => savePicture(what, node()) } }, "PNG") : null;
  return el("span", { class: "savers" }, csv, png);
}

function saveTable(what, rows) {
  const text = rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  download(url, what, "csv");
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

async function savePicture(what, node) {
  const { width, height } = node.getBoundingClientRect();
  const ground = getComputedStyle(document.documentElement).getPropertyValue("--panel").trim();
  const picture = { data: node.data, layout: { ...node.layout, paper_bgcolor: ground, plot_bgcolor: ground } };
  download(await Plotly.toImage(picture, { format: "png", width, height, scale: 2 }), what, "png");
}

// A name must not become a formula in a spreadsheet.
function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = clean(value);
  const tame = /^[=+\-@]/.test(text) ? "'" + text : text;
  return /[",]/.test(tame) ? '"' + tame.replace(/"/g, '""') + '"' : tame;
}

function download(url, what, kind) {
  el("a", { href: url, download: prefix + "-" + what.toLowerCase().replace(/[^a-z0-9]+/g, "-") + "." + kind }).click();
}
