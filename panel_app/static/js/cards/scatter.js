// @ts-check
// Spend against cost per conversion: which campaigns are large and expensive, and which are cheap. Both axes are logarithmic.

import { h, label } from "adtally/dom.js";
import { chartStyle, drawable, makeCanvas, tooltipStyle } from "adtally/echarts.js";
import { figure, many } from "adtally/format.js";
import { sides } from "adtally/labels.js";
import { patch } from "adtally/patch.js";
import { channelColor, color } from "adtally/theme.js";

const FEW = 20;
const LARGEST = 34;
const SMALLEST = 7;
const NAMED = 60;
const FONT = "12px";
/** Pixels of the word at the line of all, and of the room that is left next to the plot. */
const MEAN_WIDTH = 24;
const MEAN_HEIGHT = 18;
const BESIDE = 12;
/** Pixels of the name of the upright axis, over the plot. */
const NAME_HEIGHT = 16;

/** The figures of one point, as nodes. */
function tooltip(point) {
  const line = (name, value) => h("div", { class: "tip-line" }, h("bdi", {}, name), h("b", {}, value));
  return h(
    "div",
    { class: "tip" },
    h("div", { class: "tip-head" }, h("bdi", {}, label(point.name, 40))),
    line("Spend", figure(point.spend, "money")),
    line("Conversions", figure(point.conversions, "count")),
    line("Cost per conversion", point.cpa === null ? "no conversion" : figure(point.cpa, "price")),
  );
}

/** 1, 2, 5, 10, 20, 50, …: the largest of them that is at most `value`, or the smallest that is at least it. */
function round(value, up) {
  const ten = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 5, 10].map((step) => step * ten);
  return (up ? steps.find((step) => step >= value) : steps.findLast((step) => step <= value)) ?? value;
}

/** Round bounds around some values, with room for the largest point. */
const bounds = (values) => [round(Math.min(...values) / 1.3, false), round(Math.max(...values) * 1.3, true)];

function options(page, colors) {
  const { points, by } = page.scatter;
  const converting = points.filter((point) => point.cpa > 0);
  const without = points.filter((point) => point.cpa === null);
  const [left, right] = bounds(points.map((point) => point.spend));
  const [low, high] = converting.length ? bounds(converting.map((point) => point.cpa)) : [1, 10];
  const most = Math.max(...converting.map((point) => point.conversions), 1);
  const muted = color("muted");
  const paint = (point) => (by === "channel" ? channelColor(colors.get(point.name) ?? -1) : color("accent"));
  const total = page.tiles.find((tile) => tile.id === "cpa").value;
  const axis = (name, kind) => ({
    type: "log",
    name,
    nameTextStyle: { color: muted },
    axisLine: { lineStyle: { color: color("line") } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: color("line") } },
    axisLabel: { color: muted, hideOverlap: true, formatter: (value) => figure(value, kind, true) },
  });
  const largest = points.length > FEW ? LARGEST / 2 : LARGEST;
  const shared = { type: "scatter", animation: false, label: { show: false }, emphasis: { scale: false } };
  const line =
    total > low && total < high
      ? {
          silent: true,
          symbol: "none",
          lineStyle: { color: muted, type: [5, 4] },
          label: { formatter: "all", color: muted, position: "insideStartTop" },
          data: [{ yAxis: total }],
        }
      : { data: [] };
  return {
    ...chartStyle(),
    tooltip: { ...tooltipStyle(), trigger: "item", formatter: (item) => tooltip(item.data.point) },
    grid: { ...chartStyle().grid, top: 6, outerBoundsContain: "all" },
    xAxis: { ...axis("Spend", "money"), nameLocation: "middle", nameGap: 22, min: left, max: right },
    yAxis: {
      ...axis("Cost per conversion", "price"),
      nameLocation: "end",
      nameGap: NAME_HEIGHT - 4,
      nameTextStyle: { color: muted, align: "left", padding: [0, 0, 0, -34] },
      min: low,
      max: high,
    },
    series: [
      {
        ...shared,
        id: "converting",
        markLine: line,
        data: converting.map((point) => ({
          value: [point.spend, point.cpa],
          point,
          symbolSize: SMALLEST + (largest - SMALLEST) * Math.sqrt(point.conversions / most),
          itemStyle: { color: paint(point), opacity: 0.7, borderColor: color("card") },
        })),
      },
      {
        ...shared,
        id: "without",
        symbol: "diamond",
        clip: false,
        data: without.map((point) => ({
          value: [point.spend, high],
          point,
          symbolSize: 11,
          itemStyle: { color: color("card"), borderColor: color("bad"), borderWidth: 2 },
        })),
      },
    ],
  };
}

/** Put the names of the points where there is room, those of the largest first. */
function nameThem(chart) {
  const { series, xAxis, yAxis } = chart.getOption();
  const pixel = (value) => chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, value);
  const [left, bottom] = pixel([xAxis[0].min, yAxis[0].min]);
  const [right, top] = pixel([xAxis[0].max, yAxis[0].max]);
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  pen.font = `${FONT} ${getComputedStyle(document.body).fontFamily}`;
  const items = series.flatMap((one) => one.data).sort((one, other) => other.point.spend - one.point.spend);
  const points = items.map((item, at) => {
    const [x, y] = pixel(item.value);
    // A point without a name still takes space from the names of others.
    return {
      x,
      y,
      radius: item.symbolSize / 2,
      width: at < NAMED ? pen.measureText(drawable(label(item.point.name, 18))).width : Infinity,
    };
  });
  // A name is not drawn across the line of all, or over its own point.
  const mean = series[0].markLine?.data?.[0]?.yAxis;
  const line = mean === undefined ? null : pixel([xAxis[0].min, mean])[1];
  const kept =
    line === null
      ? []
      : [
          { left, right, top: line - 1, bottom: line + 1 },
          { left, right: left + MEAN_WIDTH, top: line - MEAN_HEIGHT, bottom: line },
        ];
  const found = sides(points, { left, right: right + BESIDE, top: top - 10, bottom }, kept);
  items.forEach((item, at) => {
    const { side = "right", shift = 0 } = found[at] ?? {};
    item.label = {
      show: found[at] !== null,
      position: side,
      offset: [shift, 0],
      distance: 4,
      color: color("ink"),
      opacity: 1,
      textBorderColor: color("card"),
      textBorderWidth: 3,
      fontSize: FONT,
      formatter: () => drawable(label(item.point.name, 18)),
    };
  });
  chart.setOption({ series: series.map(({ id, data }) => ({ id, data })) });
}

/**
 * @param {HTMLElement} place
 * @param {(changes: Changes) => void} pick filters to a campaign or a channel
 */
export function makeScatter(place, pick) {
  const sub = h("p", { class: "hint" }, "");
  const canvas = h("div", { class: "canvas small", role: "img" });
  const nothing = h("p", { class: "none" }, "Nothing was spent in this view.");
  place.replaceChildren(
    h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Spend against cost per conversion"), sub)),
    canvas,
    nothing,
  );
  let by = "campaign";
  const draw = makeCanvas(
    canvas,
    "The chart could not be loaded; the table holds its figures.",
    (chart) => {
      chart.on("click", (item) => item.data?.point && pick({ [by]: [item.data.point.name] }));
    },
    (chart) => chart.getOption()?.series && nameThem(chart),
  );

  return function update(page) {
    const { points, more } = page.scatter;
    by = page.scatter.by;
    const colors = new Map(page.chart.series.map((series) => [series.name, series.color]));
    const without = points.filter((point) => point.cpa === null).length;
    canvas.hidden = !points.length;
    nothing.hidden = points.length > 0;
    const marked = without ? " ◇\u00a0has\u00a0none." : "";
    patch(
      sub,
      points.length
        ? `One point per ${by}; its size shows conversions.${marked}${more ? ` ${many(more, `${by} with less or no spend`, `${by}s with less or no spend`)} not shown.` : ""}`
        : "",
    );
    if (!points.length) return;
    canvas.setAttribute("aria-label", `Spend against cost per conversion. ${sub.textContent} The tables hold the figures.`);
    draw(() => options(page, colors));
  };
}
