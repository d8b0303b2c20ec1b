// The level diagram as one drawing, for a picture of it: the page's own is a table.
import { forPlotly } from "./dom.js";
import { axis, ink, labelRoom } from "./theme.js";

// `readings`: of each stage { name, forward, backward }, each { level, low, high, hot, silent }.
export function pictureOfLevels(readings, references) {
  const rows = readings.map((_, i) => i);
  const labels = readings.map((reading) => forPlotly(reading.name, 30) + "  ");
  const height = Math.max(240, readings.length * 20 + 90);
  const traces = ["forward", "backward"].flatMap((way, side) => tracesOfWay(readings.map((reading) => reading[way]), rows, way, side ? "2" : "", references[way]));
  const layout = {
    width: 1100, height, showlegend: false, margin: { l: labelRoom(labels) + 10, r: 20, t: 34, b: 40 }, font: { family: ink("sans"), size: 12, color: ink("muted") },
    xaxis: axis({ domain: [0, 0.48] }), xaxis2: axis({ domain: [0.52, 1] }), yaxis: axis({ range: [readings.length - 0.4, -0.6], tickvals: rows, ticktext: labels, showgrid: false, tickfont: { family: ink("mono"), size: 11 } }),
    annotations: ["forward, dB", "backward, dB"].map((text, i) => ({ text, x: i ? 0.52 : 0, xref: "paper", xanchor: "left", y: 1, yref: "paper", yanchor: "bottom", showarrow: false, font: { size: 13, color: ink(i ? "backward" : "forward") } })),
    shapes: ["forward", "backward"].map((way, i) => ({ type: "line", xref: i ? "x2" : "x", yref: "paper", x0: references[way], x1: references[way], y0: 0, y1: 1, line: { color: ink("muted"), width: 1 } })),
  };
  return { data: traces, layout, getBoundingClientRect: () => ({ width: 1100, height }) };
}

function tracesOfWay(meters, rows, way, at, reference) {
  const colour = meters.map((meter) => ink(meter.hot ? "fault" : way));
  const bands = meters.flatMap((meter, i) => [[meter.low, i], [meter.high, i], [null, null]]);
  const bars = meters.flatMap((meter, i) => (meter.level === null ? [] : [[reference, i], [meter.level, i], [null, null]]));
  const line = (points, style) => ({ type: "scatter", mode: "lines", x: points.map(([x]) => x), y: points.map(([, y]) => y), xaxis: "x" + at, line: style });
  return [line(bands, { color: ink(way + "-soft"), width: 12 }), line(bars, { color: ink(way), width: 2 }),
    { type: "scatter", mode: "markers", x: meters.map((meter) => meter.level), y: rows, xaxis: "x" + at, marker: { size: 9, color: colour, symbol: meters.map((meter) => (meter.hot ? "diamond" : "square")) } }];
}
