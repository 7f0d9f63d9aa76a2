// The tiles: the headline figures, which are also one radio group that says what the rest of the page is about.

import { h } from "adtally/dom.js";
import { change, figure, percent } from "adtally/format.js";
import { spark } from "adtally/spark.js";

/**
 * Word, arrow and tone of a change.
 * @param {number | null} part 0.1 is up by a tenth; null where there is nothing to compare with
 * @param {"up" | "down" | "neither"} good the direction that is welcome
 */
export function verdict(part, good) {
  if (part === null || !Number.isFinite(part)) return null;
  const steady = Math.abs(part) < 0.0005;
  const rising = part > 0;
  const tone = steady || good === "neither" ? "flat" : rising === (good === "up") ? "good" : "bad";
  const arrow = steady ? "→" : rising ? "▲" : "▼";
  const words = steady ? "steady" : `${rising ? "up" : "down"} ${change(part)}${tone === "flat" ? "" : tone === "good" ? ", better" : ", worse"}`;
  return { arrow, tone, words, text: steady ? percent(0) : change(part) };
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

/**
 * @param {HTMLElement} place
 * @param {object[]} measures
 * @param {(id: string) => void} choose
 */
export function makeTiles(place, measures, choose) {
  const tiles = measures.map((measure) => {
    const value = h("span", { class: "tile-value" }, "–");
    const foot = h("span", { class: "tile-foot" });
    const line = h("span", { class: "tile-spark" });
    const name = h("span", { class: "tile-name" }, measure.label, measure.short && h("abbr", {}, measure.short));
    const button = h(
      "button",
      { class: "tile", type: "button", role: "radio", "data-measure": measure.id, onclick: () => choose(measure.id) },
      name,
      value,
      foot,
      line,
    );
    return { measure, button, value, foot, line };
  });
  place.replaceChildren(...tiles.map((tile) => tile.button));
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
    for (const { measure, button, value, foot, line } of tiles) {
      const tile = figures.get(measure.id);
      const chosen = measure.id === view.metric;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      value.textContent = figure(tile.value, measure.kind);
      value.title = tile.value === null ? "" : String(tile.value);
      const found = verdict(tile.change, measure.good);
      if (tile.was !== null) {
        foot.replaceChildren(changeMark(found), h("span", { class: "was" }, `was ${figure(measure.kind === "count" ? Math.round(tile.was) : tile.was, measure.kind)}`));
        foot.title = "Was: the period before, up to the same point. Only complete minutes are compared.";
      } else {
        const earlier = page.tiles.some((one) => one.was !== null);
        foot.replaceChildren(h("span", { class: "was" }, earlier ? "was –" : "no earlier data"));
        foot.title = "";
      }
      line.replaceChildren(spark(tile.spark, { area: true }));
    }
  };
}
