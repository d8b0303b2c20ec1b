// The remedies that were tried on the script, verified ones first.
import { clean, el, panel, short } from "./dom.js";

export function remediesOf(data) {
  const remedies = data.remedies || [];
  if (!remedies.length) return { node: document.createDocumentFragment() };
  const proven = remedies.filter((remedy) => remedy.verified).length;
  const note = proven ? "Verified: better than unchanged and than the control, beyond the spread of the seeds." : "None that was tried is verified.";
  return { node: panel("remedies", (remedies.length === 1 ? "One remedy" : remedies.length + " remedies") + " tried", note, null, el("div", { class: "cards" }, remedies.map(remedyOf))) };
}

function remedyOf(remedy) {
  const head = el("header", {}, el("span", { class: "severity" }, remedy.verified ? "Verified" : "Not verified"), el("h3", {}, short(remedy.name, 96)));
  return el("article", { class: "card remedy " + (remedy.verified ? "verified" : "info") }, head,
    el("p", { class: "where" }, el("span", {}, "for " + clean(remedy.codes.join(", ")))),
    el("p", { class: "message" }, short(remedy.told, 600)), trialTable(remedy), remedy.verified ? written(remedy) : null);
}

function trialTable(remedy) {
  const rows = [["unchanged", remedy.loss_before, remedy.score_before], ["with it", remedy.loss_after, remedy.score_after],
    ["control: " + short(remedy.control_name, 60), remedy.control, remedy.score_control]].filter(([, losses]) => losses.length);
  const head = el("tr", {}, ["run", "late loss, one a seed", "learnt"].map((text) => el("th", { scope: "col" }, text)));
  return el("table", { class: "evidence" }, el("thead", {}, head), el("tbody", {}, rows.map(([name, losses, scores]) => el("tr", {},
    el("th", { scope: "row" }, name), el("td", {}, losses.map((loss) => (loss === null ? "none" : Number(loss.toPrecision(4)).toString())).join(", ")),
    el("td", {}, scores.map((score) => Math.round(100 * score) + " %").join(", "))))));
}

function written(remedy) {
  return el("div", { class: "manual" }, el("p", {}, clean(remedy.change)),
    remedy.where ? el("p", { class: "where" }, el("span", {}, clean(remedy.where))) : null,
    remedy.diff ? el("pre", {}, remedy.diff.split("\n").map((line) => line.replace(/[^\P{C}\t]/gu, "")).join("\n")) : null);
}
