// @ts-check
// The main chart, on the copy of ECharts that Panel ships. Minutes that are still being counted are hatched bars, never part of a line;
// corrected minutes carry a mark on the axis.

import { h, label, markOf } from "adtally/dom.js";
import { chartStyle, drawable, makeCanvas, tooltipStyle } from "adtally/echarts.js";
import { figure, moment } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { compared, lengthOf, rangeOf, SHORTEST_DAY } from "adtally/periods.js";
import { channelColor, color } from "adtally/theme.js";
import { beginsDay, clockChanges, offsetName, ticks } from "adtally/ticks.js";

const MODES = [
  ["stacked", "Stacked"],
  ["share", "Share"],
  ["lines", "Lines"],
];
const REST = "All others";
/** Pixels for the marks of the axis of time. */
const AXIS = 28;
const DAY = 86_400;
const MINUTES = DAY / 60;

const nameOf = (series) => (series.name === null ? REST : drawable(label(series.name, 40)));

/** Each point's part of the whole, so that every point adds up to one. */
function shares(series) {
  const totals = series[0]?.values.map((_, at) => series.reduce((sum, one) => sum + Math.max(one.values[at] ?? 0, 0), 0)) ?? [];
  return series.map((one) => ({
    ...one,
    values: one.values.map((value, at) => (value === null || !totals[at] ? null : Math.max(value, 0) / totals[at])),
  }));
}

/** The mode that is drawn: rates don't add up, so they are always lines. */
export function modeOf(view, measure) {
  return measure.additive ? view.chart : "lines";
}

function seriesOf(page, mode, measure) {
  const { chart } = page;
  const drawn = mode === "share" ? shares(chart.series) : chart.series;
  const kind = mode === "share" ? "percent" : measure.kind;
  const stack = mode !== "lines";
  const open = (at) => chart.open[at] || chart.partial[at];
  const out = [];
  drawn.forEach((one, index) => {
    const paint = channelColor(one.color);
    const id = `${mode}-${measure.id}-${index}`;
    const shared = { name: nameOf(one), color: paint, emphasis: { disabled: true }, animation: false, clip: stack };
    const settled = one.values.map((value, at) => (open(at) ? null : value));
    // A line or an area of one point would be nothing at all: it is a dot.
    const alone = (at) => settled[at] !== null && (settled[at - 1] ?? null) === null && (settled[at + 1] ?? null) === null;
    const points = settled.map((value, at) => ({
      value: [chart.t[at] * 1000, value],
      symbolSize: alone(at) ? 5 : stack ? 0 : 3,
    }));
    out.push({
      ...shared,
      id,
      type: "line",
      symbol: "circle",
      showSymbol: true,
      ...(stack
        ? { stack: "now", areaStyle: { color: paint, opacity: 0.78 }, lineStyle: { width: 1, color: paint } }
        : { lineStyle: { width: 2, color: paint } }),
      data: points,
    });
    const partial = one.values
      .map((value, at) => [chart.t[at] * 1000, open(at) ? value : null])
      .filter((point) => point[1] !== null);
    if (!partial.length) return;
    out.push(
      stack
        ? {
            ...shared,
            id: `${id}-open`,
            type: "bar",
            stack: "open",
            data: partial,
            barMaxWidth: 18,
            barMinWidth: 5,
            itemStyle: {
              color: paint,
              opacity: 0.6,
              decal: {
                symbol: "rect",
                dashArrayX: [1, 0],
                dashArrayY: [2, 4],
                rotation: -Math.PI / 4,
                color: "rgba(255,255,255,.75)",
              },
            },
          }
        : {
            ...shared,
            id: `${id}-open`,
            type: "scatter",
            data: partial,
            symbolSize: 7,
            itemStyle: { color: color("card"), borderColor: paint, borderWidth: 1.5, borderType: "dashed" },
          },
    );
  });
  if (dashed(page, mode, measure)) {
    out.push({
      id: `${mode}-${measure.id}-previous`,
      name: compared(page.compare).legend,
      type: "line",
      symbol: "circle",
      symbolSize: 4,
      showSymbol: chart.previous.filter((value) => value !== null).length === 1,
      connectNulls: true,
      animation: false,
      emphasis: { disabled: true },
      z: 5,
      color: color("ink"),
      lineStyle: { type: [5, 4], width: 1.4, color: color("ink") },
      data: chart.previous.map((value, at) => [chart.t[at] * 1000, value]),
    });
  }
  const fixed = chart.t.filter((_, at) => chart.fixed[at]).map((t) => [t * 1000, 0]);
  if (fixed.length) {
    out.push({
      id: "corrected",
      name: "Corrected",
      type: "scatter",
      symbol: "triangle",
      symbolSize: 7,
      color: color("warn"),
      itemStyle: { color: color("warn") },
      data: fixed,
      z: 6,
      animation: false,
    });
  }
  return { out, kind };
}

/** The time of a point: its minute, from when until when it lasts, or its day. */
function timeOf(start, end, span) {
  if (end - start >= SHORTEST_DAY) {
    const [first, last] = [moment(start, "day"), moment(end - 1, "day")];
    return first === last ? first : `${first} – ${last}`;
  }
  return `${moment(start, span.length > DAY)}${end - start > 60 ? ` – ${moment(end)}` : ""}`;
}

/** The tooltip as nodes: ECharts takes an element as it is, so no name is ever read as markup. */
function tooltip(items, page, kind) {
  const at = page.chart.t.indexOf(Math.round(items[0].value[0] / 1000));
  const { span, chart } = page;
  const seen = new Set();
  const lines = items
    .filter(
      (item) =>
        item.value[1] !== null &&
        !["corrected", "marks"].includes(item.seriesId) &&
        !seen.has(item.seriesName) &&
        seen.add(item.seriesName),
    )
    .map((item) => {
      const dot = h("i", { class: "tip-dot" });
      dot.style.background = item.color;
      return h("div", { class: "tip-line" }, dot, h("bdi", {}, item.seriesName), h("b", {}, figure(item.value[1], kind)));
    });
  const state = chart.open[at]
    ? "Still counting"
    : chart.partial[at]
      ? "May not be held whole"
      : chart.fixed[at]
        ? "Final, corrected since"
        : "Final";
  const start = chart.t[at] ?? 0;
  const end = chart.t[at + 1] ?? span.end;
  // Where the clock is put back, an hour comes twice.
  const zone = clockChanges(span.start, span.end) ? ` ${offsetName(start)}` : "";
  return h(
    "div",
    { class: "tip" },
    h("div", { class: "tip-head" }, `${timeOf(start, end, span)}${zone}`, h("span", {}, state)),
    ...lines.reverse(),
  );
}

/** The time since when something is wrong with what is shown, behind everything else. */
function shade({ span, chart }, since) {
  const area = {
    silent: true,
    itemStyle: { color: color("bad"), opacity: 0.09 },
    data: [[{ xAxis: Math.max(since, span.start) * 1000 }, { xAxis: (chart.t.at(-1) ?? span.end) * 1000 }]],
  };
  return { id: "attention", type: "line", data: [], markArea: area, animation: false, z: 0 };
}

/**
 * The marks of the axis of time, as points without a symbol at its foot: its own are at round times of UTC or of this machine only.
 * @param {number[]} points of the chart, in seconds since 1970
 */
function axisMarks(points) {
  const { at, step } = ticks(points, window.innerWidth < 600 ? 4 : 9);
  const text = (mark) => moment(mark, (step >= MINUTES || beginsDay(mark)) && "date");
  return {
    id: "marks",
    type: "scatter",
    yAxisIndex: 1,
    data: at.map((mark) => ({ value: [mark * 1000, 0], label: { formatter: () => text(mark) } })),
    symbolSize: 0,
    silent: true,
    animation: false,
    clip: false,
    label: { show: true, position: "bottom", distance: 8, color: color("muted"), fontSize: 12 },
    labelLayout: { hideOverlap: true },
  };
}

function options(page, view, measure, since) {
  const mode = modeOf(view, measure);
  const { out, kind } = seriesOf(page, mode, measure);
  const { t } = page.chart;
  const style = chartStyle();
  const muted = color("muted");
  out.push(axisMarks(t));
  if (since !== null && since < page.span.end - page.span.bucket) out.push(shade(page, since));
  return {
    ...style,
    grid: { ...style.grid, bottom: AXIS },
    tooltip: {
      ...tooltipStyle(),
      trigger: "axis",
      formatter: (items) => tooltip(items, page, kind),
      axisPointer: { lineStyle: { color: muted } },
    },
    xAxis: {
      type: "time",
      min: (t[0] ?? 0) * 1000,
      max: (t.at(-1) ?? 0) * 1000,
      axisLabel: { show: false },
      axisLine: { lineStyle: { color: color("line") } },
      axisTick: { show: false },
      splitLine: { show: false },
    },
    yAxis: [
      {
        type: "value",
        max: mode === "share" ? 1 : null,
        min: (extent) => (extent.min < 0 ? null : 0),
        splitNumber: 5,
        axisLabel: { color: muted, formatter: (value) => figure(value, kind, true) },
        splitLine: { lineStyle: { color: color("line") } },
      },
      { type: "value", min: 0, max: 1, show: false },
    ],
    series: out,
  };
}

/** Whether the previous period is drawn: next to single lines of channels, its total would flatten them. */
function dashed({ chart }, mode, measure) {
  const single = mode === "lines" && measure.additive && chart.series.length > 1;
  return mode !== "share" && !single && chart.previous.some((value) => value !== null);
}

/** What the chart shows, in words: for its subtitle and for screen readers. */
function words(page, mode, measure) {
  const dash = dashed(page, mode, measure) ? ` Dashed: ${compared(page.compare).words}.` : "";
  return `Per ${lengthOf(page)}, ${rangeOf(page)}.${dash}`;
}

function legend(page, mode, measure, pick) {
  const key = (text, dot) => h("li", { "data-key": text }, dot, h("bdi", {}, text));
  const items = page.chart.series.map((one) => {
    const dot = h("i", { class: "key" });
    dot.style.background = channelColor(one.color);
    if (one.name === null) return key(REST, dot);
    const own = `legend-${one.name.slice(0, 200)}`;
    return h(
      "li",
      { "data-key": own },
      h(
        "button",
        { type: "button", "data-key": own, title: `Show only ${label(one.name, 200)}`, onclick: () => pick(one.name) },
        dot,
        h("bdi", {}, label(one.name, 40)),
        markOf(one.name),
      ),
    );
  });
  // Parts that appear and disappear have reserved space, so that nothing moves.
  const slot = (id, shown) =>
    h(
      "li",
      { "data-key": id, class: `slot ${id}` },
      ...(shown ? [h("i", { class: `key ${shown[1]}` }), h("bdi", {}, shown[0])] : []),
    );
  const mark = mode === "lines" ? "hollow" : "hatched";
  const open = page.chart.open.some(Boolean) ? "Still counting" : page.chart.partial.some(Boolean) && "May be partial";
  items.push(
    slot("slot-before", dashed(page, mode, measure) && [compared(page.compare).legend, "dashed"]),
    slot("slot-open", open && [open, mark]),
    slot("slot-fixed", page.chart.fixed.some(Boolean) && ["Corrected", "triangle"]),
  );
  return items;
}

/**
 * @param {HTMLElement} place
 * @param {{mode: (mode: string) => void, pick: (channel: string) => void}} act
 * @returns {(page: Answer, view: Answer, measure: Answer, since: number | null) => void} `since` when something has been wrong with
 *   what is shown, in seconds
 */
export function makeChart(place, act) {
  const title = h("h2", {}, "");
  const sub = h("p", { class: "hint" }, "");
  const keys = h("ul", { class: "legend" });
  const canvas = h("div", { class: "canvas", role: "img" });
  const nothing = h("p", { class: "none tall" }, "");
  const modes = MODES.map(([id, text]) => h("button", { type: "button", "data-mode": id, onclick: () => act.mode(id) }, text));
  const group = h("div", { class: "segments", role: "group", "aria-label": "How the chart is drawn" }, ...modes);
  place.replaceChildren(h("div", { class: "card-head" }, h("div", {}, title, sub), group), keys, canvas, nothing);
  const draw = makeCanvas(canvas, "The chart could not be loaded; the tables hold its figures.");

  return function update(page, view, measure, since = null) {
    const mode = modeOf(view, measure);
    patch(title, `${measure.label} by channel`);
    patch(sub, words(page, mode, measure));
    group.hidden = !measure.additive;
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    patch(keys, ...legend(page, mode, measure, act.pick));
    canvas.hidden = page.empty;
    keys.hidden = page.empty;
    nothing.hidden = !page.empty;
    patch(nothing, page.rows ? "Nothing to draw in this view." : "The chart begins with the first minute of data.");
    if (page.empty) return;
    canvas.setAttribute("aria-label", `${title.textContent}. ${sub.textContent} The tables below hold the figures.`);
    draw(() => options(page, view, measure, since));
  };
}
