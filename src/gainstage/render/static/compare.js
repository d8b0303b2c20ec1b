// Two runs beside each other: the losses, their difference, the levels, and what sets them apart.
import { clean, decibel, duration, el, emptyState, failed, figure, forPlotly, panel, plural, short, signed, waiting } from "./dom.js";
import { logo } from "./header.js";
import { savers } from "./save.js";
import { ask } from "./server.js";
import { get, link, listen, wanted } from "./state.js";
import { axis, chart, dress, ink, labelRoom, narrow, plotlyThere } from "./theme.js";

const MOST_ROWS = 120;

// A choice of the run to compare with; the list is asked for when it is opened.
export function compareWith(name) {
  const select = el("select", { class: "compare-with", "aria-label": "Compare with another run" }, el("option", { value: "" }, "Compare with …"));
  const load = async () => {
    select.removeEventListener("focus", load);
    const { runs } = await ask("/api/runs", {});
    const others = runs.filter((run) => run.name !== name && run.status !== "unreadable").slice(0, 200);
    select.append(...others.map((run) => el("option", { value: run.name }, short(run.name, 40))));
    if (!others.length) select.append(el("option", { value: "", disabled: true }, "There is no other run"));
  };
  select.addEventListener("focus", load);
  select.addEventListener("pointerenter", load, { once: true });
  select.addEventListener("change", () => { if (select.value) window.location.hash = link({ run: name, with: select.value }); });
  return select;
}

export function comparisonPage(root) {
  let ended = false;
  const [one, two] = [get("run"), get("with")];
  root.replaceChildren(el("main", { class: "first-sight" }, waiting("opening", "Comparing")));
  let draws = [];
  const show = async () => {
    try {
      const data = await ask("/api/compare", { run: one, other: two });
      if (ended) return;
      draws = drawPage(root, data);
      document.documentElement.dataset.ready = "true";
    } catch (error) {
      if (!ended) root.replaceChildren(el("main", { class: "first-sight" }, failed("opening", "Comparing", error, show), el("p", { class: "note" }, el("a", { href: link({}) }, "All runs"))));
    }
  };
  show();
  const quiet = listen((keys) => { if (keys.includes("find") || keys.includes("steps")) draws.forEach((draw) => draw()); if (keys.includes("theme")) dress(get("theme")); });
  return { end: () => { ended = true; quiet(); } };
}

function drawPage(root, data) {
  document.title = "Gainstage · " + short(data.names[0], 30) + " and " + short(data.names[1], 30);
  const links = [el("a", { class: "plain", href: link({}) }, "All runs"), el("a", { class: "plain", href: link({ run: get("run") }) }, "First"), el("a", { class: "plain", href: link({ run: get("with") }) }, "Second"),
    el("a", { class: "plain", href: link({ run: get("with"), with: get("run") }) }, "Swap")];
  const parts = [overlay(data), levelsOfBoth(data), apart(data)];
  root.replaceChildren(mastheadOf(data), el("nav", { class: "bar", "aria-label": "Page" }, el("div", { class: "inner" }, links)), el("main", {}, parts.map((part) => part.node)));
  const draws = [];
  plotlyThere(() => parts.forEach((part) => { if (part.draw) draws.push(part.draw()); }));
  return draws;
}

function mastheadOf(data) {
  const side = (i) => el("div", { class: "side " + ["one", "two"][i] }, el("h1", {}, short(data.names[i], 48)),
    el("p", { class: "verdict-detail" }, [short(data.scripts[i].split(/[\\/]/).pop() || "watched in a program", 60), plural(data.counts[i], "step"), duration(data.seconds[i])].join(" · ")),
    el("p", { class: "end" }, "last loss ", el("b", {}, figure(data.last[i]))));
  return el("header", { class: "masthead" }, el("div", { class: "inner" }, el("div", { class: "brand" }, logo(), el("span", { class: "wordmark" }, "Gainstage"), "two runs"), el("div", { class: "sides" }, side(0), side(1))));
}

function colours() {
  return [ink("forward"), ink("backward")];
}

function overlay(data) {
  if (!data.steps.length) return { node: panel("losses", "Losses", "", null, emptyState("Neither run has a step.")) };
  const node = el("div", { class: "chart tall-chart", role: "img", "aria-label": "Losses of both runs and their difference" });
  const rows = () => [["step", "first loss", "second loss", "second minus first"], ...data.steps.map((step, i) => [step, data.losses[0][i], data.losses[1][i], data.difference[i]])];
  const make = () => ({ traces: tracesOfLosses(data), layout: layoutOfLosses(data) });
  return { node: panel("losses", "Losses", "Above: both, averaged over a few steps where there are many. Below: the second minus the first; under the line the second is better.", savers("Losses", rows, () => node), node), draw: () => chart(node, make, true) };
}

function tracesOfLosses(data) {
  const lines = data.losses.map((loss, i) => ({
    type: "scatter", mode: "lines", x: data.steps, y: loss, line: { color: colours()[i], width: 1.8 }, connectgaps: true,
    text: data.steps.map(() => forPlotly(data.names[i], 40)), hovertemplate: "%{text}<br>step %{x:,}<br>loss %{y:.4g}<extra></extra>",
  }));
  return [...lines, {
    type: "scatter", mode: "lines", x: data.steps, y: data.difference, yaxis: "y2", line: { color: ink("muted"), width: 1.4 }, connectgaps: true, fill: "tozeroy", fillcolor: ink("backward-soft"),
    hovertemplate: "step %{x:,}<br>second − first %{y:.4g}<extra></extra>",
  }];
}

function layoutOfLosses(data) {
  const known = data.losses.flat().filter((v) => v !== null).sort((a, b) => a - b);
  const wide = known.length > 0 && known[0] > 0 && known[known.length - 1] > 30 * known[known.length >> 1];
  const last = data.steps[data.steps.length - 1];
  return {
    hovermode: "closest", xaxis: axis({ title: "step", anchor: "y2", tickformat: ",d", range: last > data.steps[0] ? [data.steps[0], last] : [last - 1, last + 1] }),
    yaxis: axis({ title: "loss", domain: [0.36, 1], nticks: 6, ...(wide ? { type: "log", dtick: 1 } : { rangemode: "tozero" }) }), yaxis2: axis({ title: "difference", domain: [0, 0.26], nticks: 3, zeroline: true, zerolinecolor: ink("line") }),
  };
}

function levelsOfBoth(data) {
  if (!data.stages.length) return { node: panel("pairs", "Levels", "", null, emptyState("No stage was measured in either run.")) };
  const node = el("div", { class: "chart", role: "img", "aria-label": "Levels of every stage in both runs" });
  const lone = data.only.map((n, i) => (n ? plural(n, "stage") + " in the " + ["first", "second"][i] + " alone" : "")).filter(Boolean);
  const note = "Median level of each stage: blue the first run, pink the second, joined where both have the stage." + (lone.length ? " " + lone.join(", ") + "." : "");
  const rows = () => [["stage", "forward first (dB)", "forward second (dB)", "backward first (dB)", "backward second (dB)"], ...data.stages.map((s) => [s.name, ...s.forward, ...s.backward])];
  const make = () => { const stages = data.stages.filter((s) => wanted(s.name)).slice(0, MOST_ROWS); return { traces: tracesOfPairs(stages, data), layout: layoutOfPairs(stages) }; };
  return { node: panel("pairs", "Levels", note, savers("Levels", rows, () => node), node), draw: () => chart(node, make) };
}

function tracesOfPairs(stages, data) {
  const traces = [];
  for (const [way, at] of [["forward", ""], ["backward", "2"]]) {
    const joined = stages.flatMap((s, i) => (s[way].includes(null) ? [] : [[s[way][0], i], [s[way][1], i], [null, null]]));
    traces.push({ type: "scatter", mode: "lines", x: joined.map(([x]) => x), y: joined.map(([, y]) => y), xaxis: "x" + at, line: { color: ink("line"), width: 3 }, hoverinfo: "skip" });
    [0, 1].forEach((side) => traces.push({
      type: "scatter", mode: "markers", x: stages.map((s) => s[way][side]), y: stages.map((_, i) => i), xaxis: "x" + at, marker: { color: colours()[side], size: 8, symbol: side ? "diamond" : "circle" },
      text: stages.map((s) => forPlotly(s.name, 60) + "<br>" + forPlotly(data.names[side], 40) + "<br>" + way + " " + decibel(s[way][side]) + " dB" + (s[way].includes(null) ? "" : ", second − first " + signed(s[way][1] - s[way][0]))), hovertemplate: "%{text}<extra></extra>",
    }));
  }
  return traces;
}

function layoutOfPairs(stages) {
  const labels = stages.map((s) => forPlotly(s.name, narrow() ? 14 : 30));
  const every = Math.ceil(stages.length / 60);
  const shown = stages.map((_, i) => i).filter((i) => i % every === 0);
  return {
    height: Math.min(1200, Math.max(200, stages.length * 22 + 80)), hovermode: "closest", margin: { l: labelRoom(labels), r: 16, t: 8, b: 44 },
    xaxis: axis({ title: "forward, dB", domain: [0, 0.47], zeroline: true, zerolinecolor: ink("line"), nticks: narrow() ? 4 : 6, tickangle: 0 }), xaxis2: axis({ title: "backward, dB", domain: [0.53, 1], nticks: narrow() ? 4 : 6, tickangle: 0 }),
    yaxis: axis({ range: [stages.length - 0.4, -0.6], tickvals: shown, ticktext: shown.map((i) => labels[i]), tickfont: { family: ink("mono"), size: 11 } }),
  };
}

function apart(data) {
  if (!data.facts.length) return { node: panel("apart", "What sets them apart", "", null, emptyState("Nothing that was recorded: the same script, arguments and versions.")) };
  const head = el("tr", {}, ["", "first", "second"].map((title) => el("th", { scope: "col" }, title)));
  const body = data.facts.slice(0, 200).map(([key, a, b]) => el("tr", {}, el("th", { scope: "row" }, short(key, 40).replace(/_/g, " ")), [a, b].map((text) => el("td", { title: clean(text).slice(0, 400) }, short(text, 120)))));
  return { node: panel("apart", "What sets them apart", "", null, el("div", { class: "scroll" }, el("table", { class: "evidence apart" }, el("thead", {}, head), el("tbody", {}, body)))) };
}
