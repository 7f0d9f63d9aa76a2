// @ts-check
// A sparkline: the shape of a series in a small SVG. A fainter line bridges unknown points, and a point without neighbours is a dot, so
// that a sparse rate is visible, too.

import { svg } from "adtally/dom.js";

/**
 * @param {(number | null)[]} values gaps where null
 * @param {{width?: number, height?: number, area?: boolean}} [size]
 * @returns {SVGElement}
 */
export function spark(values, { width = 160, height = 34, area = false } = {}) {
  const known = values.filter((value) => value !== null);
  const top = Math.max(...known);
  const bottom = Math.min(...known);
  const x = (at) => ((at / Math.max(values.length - 1, 1)) * width).toFixed(1);
  const y = (value) => (top === bottom ? height / 2 : 2 + (1 - (value - bottom) / (top - bottom)) * (height - 4)).toFixed(1);
  const at = values.flatMap((value, place) => (value === null ? [] : [place]));
  const point = (place) => `${x(place)} ${y(values[place])}`;
  /** @type {string[]} */
  const line = [];
  /** @type {string[]} */
  const bridges = [];
  /** @type {string[]} */
  const dots = [];
  at.forEach((place, index) => {
    const [before, after] = [at[index - 1], at[index + 1]];
    line.push(`${before === place - 1 ? "L" : "M"}${point(place)}`);
    if (before !== undefined && before < place - 1) bridges.push(`M${point(before)}L${point(place)}`);
    // A line of one point would be invisible.
    if (before !== place - 1 && after !== place + 1) dots.push(`M${point(place)}h0`);
  });
  const [first, last] = [at[0], at.at(-1)];
  const box = { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  if (!at.length) return svg("svg", box);
  return svg(
    "svg",
    box,
    area &&
      at.length > 1 &&
      !bridges.length &&
      svg("path", { class: "spark-area", d: `${line.join("")}L${x(last)} ${height}L${x(first)} ${height}Z` }),
    svg("path", { class: "spark-bridge", d: bridges.join("") }),
    svg("path", { class: "spark-line", d: line.join("") }),
    svg("path", { class: "spark-dot", d: dots.join("") }),
  );
}
