// @ts-check
// What the dashboard holds of each breakdown, what that costs, and how much is in "(other)".

import { h, label } from "adtally/dom.js";
import { bytes, moment, percent, whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { fieldName } from "adtally/values.js";

/** States of a reader that mean that the rows are not complete, in words. @type {Map<string, string>} */
const STATES = new Map([
  ["starting", "starting"],
  ["reading", "being read"],
  ["waiting", "no topic yet"],
  ["down", "broker unreachable"],
]);

/** Heads of the columns; the roomy ones have no place on a phone. */
const HEADS = [
  ["Rows", ""],
  ["Memory", ""],
  ["Held from", "roomy"],
  ["Minutes with (other)", "roomy"],
  ["Events in (other)", ""],
];

/** The share of events in "(other)", in words. */
function share({ other_share: other, other_windows: count }) {
  if (other === null) return "–";
  if (!count) return "nothing";
  return other < 0.001 ? `less than ${percent(0.001, 1)}` : percent(other, 1);
}

/** @param {HTMLElement} place hidden where no breakdown is declared */
export function makeBreakdowns(place) {
  const body = h("div", { class: "table-box" });
  place.replaceChildren(
    h("div", { class: "card-head" }, h("h2", {}, "Breakdowns")),
    body,
    h(
      "p",
      { class: "hint gap" },
      "“(other)” is the sum of the values beyond ADTALLY_BREAKDOWN_CELLS of a partition and minute; the other rows of such a minute are lower bounds.",
    ),
  );

  const row = (one) =>
    h(
      "tr",
      { "data-key": one.name },
      h(
        "th",
        { scope: "row", class: "left" },
        h("b", {}, label(one.name, 40)),
        h("span", { class: "hint" }, ` ${one.fields.map(fieldName).join(", ")}`),
      ),
      h("td", { class: "num" }, whole(one.rows)),
      h("td", { class: "num" }, bytes(one.held_bytes)),
      h("td", { class: "num roomy" }, STATES.get(one.state) ?? (one.rows ? moment(one.oldest, true) : "–")),
      h("td", { class: "num roomy" }, one.windows ? `${whole(one.other_windows)} of ${whole(one.windows)}` : "–"),
      h("td", { class: "num" }, share(one)),
    );

  /** @param {Answer[]} breakdowns */
  return function update(breakdowns) {
    place.hidden = !breakdowns.length;
    const line = h(
      "tr",
      {},
      h("th", { scope: "col", class: "left" }, "Breakdown"),
      ...HEADS.map(([text, width]) => h("th", { scope: "col", class: `num ${width}` }, text)),
    );
    patch(body, h("table", {}, h("thead", {}, line), h("tbody", {}, ...breakdowns.map(row))));
  };
}
