// What is known of the run, and the levels of all parameters.
import { clean, decibel, duration, el, figure, panel, plural, short } from "./dom.js";
import { wanted } from "./state.js";

export function detailsOf({ run, parameters }) {
  return { node: panel("details", "Run details", "", null, list(run), parameterTable(parameters.rows)) };
}

function list(run) {
  const rows = [
    ["Run", run.id],
    ["Script", run.script || "–"],
    ["Arguments", run.args.map(clean).join(" ") || "none"],
    ["Started", run.started > 0 ? new Date(run.started * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC" : "–"],
    ["Status", run.outcome ? run.status + ": " + run.outcome : run.status],
    ["Reading", [run.detail === "exact" ? "exact: every element" : "sampled: up to 2,048 elements of each tensor, other ones at each step", ...run.effort].join("; ")],
    ...run.blind.map((told) => ["Not seen", "The watch " + told]),
    ["Steps", run.steps ? figure(run.steps) + " (" + figure(run.first_step) + " to " + figure(run.last_step) + ")" : "none"],
    ["Measured at", plural(run.sites, "site")],
    ["Time in the probe", run.probe_seconds ? duration(run.probe_seconds) + " of " + duration(run.seconds) : "–"],
    ...(run.sinks.length ? [["Of it handed on", run.sinks.join(", ")]] : []),
    ...Object.entries(run.facts).slice(0, 40).map(([key, value]) => [key, told(value)]),
    ...Object.entries(run.versions).slice(0, 20),
  ];
  return el("dl", { class: "details" }, rows.map(([key, value]) => el("div", {},
    el("dt", {}, short(key, 40).replace(/_/g, " ")),
    el("dd", { title: clean(value).slice(0, 400) }, short(value, 160)))));
}

// What a fact says, without the signs of its notation: lists by commas, tables as "name value".
function told(value) {
  if (Array.isArray(value)) return value.map(told).join(", ");
  if (value === null || typeof value !== "object") return value;
  return Object.entries(value).map(([key, part]) => key + " " + told(part)).join(", ");
}

function parameterTable(rows) {
  if (!rows.length) return null;
  const found = rows.filter((row) => wanted(row.name));
  const kinds = ["weight", "grad", "update"];
  const head = el("tr", {}, ["parameter", "shape", ...kinds.map((k) => k + " dB")].map((title) => el("th", { scope: "col" }, title)));
  const body = found.slice(0, 2000).map((row) => el("tr", {}, el("th", { scope: "row", title: clean(row.name).slice(0, 400) }, short(row.name, 40)), el("td", {}, row.shape.join(" × ")),
    kinds.map((kind) => el("td", {}, row.silent.includes(kind) ? "silent" : decibel(row[kind])))));
  const summary = el("summary", {}, "Levels of " + plural(found.length, "parameter"));
  return el("details", { class: "parameters" }, summary,
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))));
}
