// @ts-check
// The tiles: the headline figures, which are also a radio group that selects the measure of the page.

import { h } from "adtally/dom.js";
import { change, duration, figure, gap, percent } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { compared, comparedDays } from "adtally/periods.js";
import { spark } from "adtally/spark.js";

/**
 * Text, arrow and tone of a change; null without a comparison. The tone follows the direction of the difference.
 * @param {{change: number | null, difference: number | null}} moved `change` 0.1 is +10 %; `difference` is set if a percentage has no meaning
 * @param {Answer} measure `good` is the better direction ("up", "down", "neither"), `kind` the kind of its figures
 */
export function verdict(moved, { good, kind }) {
  const relative = moved.change !== null;
  const by = relative ? moved.change : moved.difference;
  if (by === null) return null;
  const steady = relative ? Math.abs(by) < 0.0005 : by === 0;
  const rising = by > 0;
  const tone = steady || good === "neither" ? "flat" : rising === (good === "up") ? "good" : "bad";
  const arrow = steady ? "→" : rising ? "▲" : "▼";
  const text = steady ? percent(0) : relative ? change(by) : gap(by, kind);
  const words = steady
    ? "steady"
    : `${rising ? "up" : "down"} ${text}${tone === "flat" ? "" : tone === "good" ? ", better" : ", worse"}`;
  return { arrow, tone, words, text };
}

/** The mark of a change, which says it in words to those who can't see colour or arrow. */
export function changeMark(found) {
  if (!found) return h("span", { class: "change", "data-tone": "flat" }, "–");
  return h(
    "span",
    { class: "change", "data-tone": found.tone },
    h("span", { "aria-hidden": "true" }, `${found.arrow} ${found.text}`),
    h("span", { class: "hidden" }, found.words),
  );
}

/** The line that says what is compared. */
export function comparison({ empty, span, compare, range }) {
  if (empty) return "";
  if (compare?.how === "none") return "Not compared with an earlier period.";
  const days = comparedDays({ range, compare });
  const words = `${compared(compare).words}${days && ` (${days})`}`;
  const left = Math.min(span.newest_end, span.end) - span.start - span.compared;
  if (span.compared && !left) return `Changes are against ${words}.`;
  if (span.compared)
    return `Changes are against ${words}, without ${duration(left)} that ${left === 60 ? "is" : "are"} not complete in both.`;
  if (!span.held) return "There is no earlier data to compare with.";
  if (span.held < span.length)
    return `Not compared yet: of the ${duration(span.length)} before, only ${duration(span.held)} are held.`;
  return "Not compared yet: no minute is complete in both periods.";
}

/** Text of a tile about the compared period: its figure, or both compared figures if the tile shows another one. */
function before(tile, measure, { span, compare }) {
  if (compare?.how === "none") return { text: "", title: "" };
  if (tile.was === null) return { text: span.compared ? "was –" : span.held ? "not compared" : "no earlier data", title: "" };
  const [now, was] = [tile.compared ?? tile.value, tile.was].map((value) => figure(value, measure.kind));
  const title = `${now} in the minutes that are compared, ${was} in the same minutes of ${compared(compare).words}. Those that are still being counted are left out.`;
  return tile.compared === null || now === figure(tile.value, measure.kind)
    ? { text: `was ${was}`, title: tile.compared === null ? "" : title }
    : { text: `${now}, was ${was}`, title };
}

/** A choice of the measures that have no tile; the chosen one becomes a tile as long as the page is about it. */
function moreMeasures(measures, choose) {
  const list = h("select", { "aria-label": "Other measures", onchange: () => list.value && choose(list.value) });
  const place = h("label", { class: "more-measures" }, list);
  let shown = "";
  return {
    place,
    update(tiles) {
      const others = [...measures.values()].filter((measure) => !tiles.includes(measure.id));
      const key = others.map((measure) => measure.id).join();
      place.hidden = !others.length;
      if (key === shown && list.value === "") return;
      shown = key;
      list.replaceChildren(
        h("option", { value: "" }, "Other measures …"),
        ...others.map((measure) => h("option", { value: measure.id }, measure.label)),
      );
      list.value = "";
    },
  };
}

/** Largest number of tiles in a row of a wide screen. */
const ROW = 7;

/** Number of columns that fills the rows of `count` tiles evenly. @param {number} count */
export const columnsFor = (count) => Math.ceil(count / Math.ceil(count / ROW));

/** One tile of a measure. */
function makeTile(measure, choose) {
  const value = h("span", { class: "tile-value" }, "–");
  const foot = h("span", { class: "tile-foot" });
  const line = h("span", { class: "tile-spark" });
  const name = h(
    "span",
    { class: "tile-name", title: measure.label },
    h("span", {}, measure.label),
    measure.short && h("abbr", {}, measure.short),
  );
  const button = h(
    "button",
    { class: "tile", type: "button", role: "radio", "data-measure": measure.id, onclick: () => choose(measure.id) },
    name,
    value,
    foot,
    line,
  );
  return { measure, button, value, foot, line };
}

/**
 * @param {HTMLElement} place
 * @param {HTMLElement} note element for the line that says what is compared
 * @param {Map<string, Answer>} measures all measures by id
 * @param {(id: string) => void} choose
 */
export function makeTiles(place, note, measures, choose) {
  let tiles = [];
  const said = h("span", {});
  const more = moreMeasures(measures, choose);
  note.replaceChildren(said, more.place);
  place.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = tiles.findIndex((tile) => tile.button === document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = tiles[(at + step + tiles.length) % tiles.length];
    next.button.focus();
    choose(next.measure.id);
  });

  /** Show a page's figures. */
  return function update(page, view) {
    const figures = new Map(page.tiles.map((tile) => [tile.id, tile]));
    const ids = [...figures.keys()];
    if (ids.join() !== tiles.map((tile) => tile.measure.id).join()) {
      tiles = ids.map((id) => makeTile(measures.get(id), choose));
      place.replaceChildren(...tiles.map((tile) => tile.button));
      place.style.setProperty("--columns", String(columnsFor(ids.length)));
    }
    more.update(ids);
    for (const { measure, button, value, foot, line } of tiles) {
      const tile = figures.get(measure.id);
      const chosen = measure.id === view.metric;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      patch(value, figure(tile.value, measure.kind));
      value.title = tile.value === null ? "" : String(tile.value);
      const { text, title } = before(tile, measure, page);
      patch(foot, tile.was === null ? "" : changeMark(verdict(tile, measure)), h("span", { class: "was" }, text));
      foot.title = title;
      patch(line, spark(tile.spark, { area: true }));
    }
    patch(said, comparison(page));
  };
}
