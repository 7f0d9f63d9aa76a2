// A sparkline: the shape of a series in one small SVG.

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
  let line = "";
  let pen = "M";
  let first = -1;
  let last = -1;
  values.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    if (first < 0) first = at;
    last = at;
    line += `${pen}${x(at)} ${y(value)}`;
    pen = "L";
  });
  const box = { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  if (known.length < 2) return svg("svg", box);
  const gapless = last - first + 1 === known.length;
  return svg(
    "svg",
    box,
    area && gapless && svg("path", { class: "spark-area", d: `${line}L${x(last)} ${height}L${x(first)} ${height}Z` }),
    svg("path", { class: "spark-line", d: line }),
  );
}
