// The findings as cards; a consequence lies inside the card of its cause.
import { clean, el, emptyState, figure, panel, plural, short } from "./dom.js";
import { showStage, stageOf } from "./levels.js";

const LABELS = { error: "Error", warning: "Warning", info: "Note" };

export function findingsOf(data) {
  if (!data.findings) return { node: panel("findings", "Findings", "", null, el("div", { class: "skeleton", role: "status", "aria-label": "Judging" })) };
  const { cards, healthy, told } = data.findings;
  const body = cards.length ? el("div", { class: "cards" }, tree(cards, null, data)) : null;
  if (!cards.length && !data.run.steps) return { node: panel("findings", "Findings", "", null, emptyState("No step was recorded, so there is nothing to judge yet.")) };
  const calm = healthy ? calmPanel(data) : null;
  const note = [told || "", cards.length > 1 ? "Causes first; what follows from a cause is nested in its card." : ""].join(" ").trim();
  return { node: panel("findings", "Findings", note, null, calm, body) };
}

function calmPanel({ run, levels }) {
  const watched = [levels ? plural(levels.stages.length, "stage") : null, plural(run.sites, "site"), plural(run.steps, "step")].filter(Boolean);
  return el("div", { class: "calm" }, el("span", { class: "lamp", "aria-hidden": "true" }),
    el("div", {}, el("strong", {}, "Healthy"), el("p", {}, "No rule found anything that hurts this training. Watched: " + watched.join(", ") + ".")));
}

function tree(cards, under, data) {
  return cards.map((card, i) => ({ card, i })).filter(({ card }) => card.under === under)
    .map(({ card, i }) => cardOf(card, tree(cards, i, data), data));
}

function cardOf(card, consequences, data) {
  const head = el("header", {}, el("span", { class: "severity" }, LABELS[card.severity] || clean(card.severity)), el("h3", {}, short(card.code, 64)));
  return el("article", { class: "card " + (card.severity in LABELS ? card.severity : "info"), "data-code": clean(card.code) }, head,
    where(card, data), el("p", { class: "message" }, short(card.message, 600)), el("div", { class: "reasons" }, evidence(card), manual(card)),
    consequences.length ? el("div", { class: "consequences" }, el("p", { class: "because" }, "Follows from it"), consequences) : null);
}

function where(card, data) {
  const parts = [];
  const stage = data.levels ? stageOf(data.levels, card.site) : null;
  if (clean(card.site)) {
    parts.push(stage === null ? el("span", { class: "site", title: clean(card.site).slice(0, 400) }, short(card.site, 48))
      : el("button", { class: "site", type: "button", title: "Show in the level diagram", on: { click: () => showStage(stage) } }, short(card.site, 48)));
  }
  parts.push(el("span", {}, "since step " + figure(card.since_step)));
  if (card.confidence !== null) parts.push(el("span", {}, "confidence " + Math.round(card.confidence * 100) + " %"));
  return el("p", { class: "where" }, parts);
}

function evidence(card) {
  const keys = Object.keys(card.evidence).slice(0, 24);
  if (!keys.length) return null;
  const held = keys.some((key) => Object.hasOwn(card.threshold, key));
  const head = el("tr", {}, el("th", { scope: "col" }, "evidence"), el("th", { scope: "col" }, "measured"), held ? el("th", { scope: "col" }, "threshold") : null);
  const rows = keys.map((key) => el("tr", {}, el("th", { scope: "row" }, words(key)), el("td", {}, figure(card.evidence[key])),
    held ? el("td", {}, Object.hasOwn(card.threshold, key) ? figure(card.threshold[key]) : "") : null));
  return el("table", { class: "evidence" }, el("thead", {}, head), el("tbody", {}, rows));
}

// "gain_db_per_layer" as people write it.
function words(key) {
  return short(key, 40).replace(/_/g, " ").replace(/\bdb\b/g, "dB");
}

function manual(card) {
  if (!card.manual.trim()) return null;
  return el("details", { class: "manual", open: card.under === null }, el("summary", {}, "What it means, and what to do"), prose(card.manual));
}

// Paragraphs, lists and indented code of a docstring; nothing in it is read as html.
export function prose(text) {
  const blocks = dedent(text).slice(0, 20000).split(/\n\s*\n/).filter((block) => block.trim());
  return blocks.map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => /^ {4}/.test(line))) return el("pre", {}, lines.map((line) => line.slice(4).replace(/\p{C}/gu, "")).join("\n"));
    const first = lines.findIndex((line) => /^\s*[-*] /.test(line));
    if (first < 0) return el("p", {}, inline(lines.join(" ")));
    const items = [];
    for (const line of lines.slice(first)) {
      if (/^\s*[-*] /.test(line)) items.push(line.replace(/^\s*[-*] /, ""));
      else items[items.length - 1] += " " + line.trim();
    }
    return [first ? el("p", {}, inline(lines.slice(0, first).join(" "))) : null, el("ul", {}, items.map((item) => el("li", {}, inline(item))))];
  }).flat();
}

// A docstring's indentation, measured from its second line on.
function dedent(text) {
  const [first, ...rest] = text.replace(/\r/g, "").split("\n");
  const depths = rest.filter((line) => line.trim()).map((line) => line.length - line.trimStart().length);
  const depth = depths.length ? Math.min(...depths) : 0;
  return [first.trim(), ...rest.map((line) => line.slice(depth))].join("\n");
}

// Words between backticks are code.
function inline(text) {
  return clean(text).split(/(``?[^`]+``?)/).filter(Boolean)
    .map((part) => /^`.*`$/.test(part) ? el("code", {}, part.replace(/`/g, "")) : part);
}
