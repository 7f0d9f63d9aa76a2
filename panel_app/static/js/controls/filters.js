// @ts-check
// The filters on values of breakdowns that are in force, each with a button that removes it.

import { h, icon } from "adtally/dom.js";
import { patch } from "adtally/patch.js";
import { onlyValues, valueFilters } from "adtally/url.js";
import { fieldName, valueNode, valueText } from "adtally/values.js";

/** @typedef {import("adtally/url.js").ValueFilter} ValueFilter */

const same = (one, other) =>
  one.field === other.field && one.sign === other.sign && one.kind === other.kind && one.value === other.value;

/** The change of the URL that adds a filter on a value, and removes the opposite one. @param {ValueFilter} wanted @returns {Changes} */
export function filterBy(wanted) {
  const opposite = { ...wanted, sign: wanted.sign === "f" ? "x" : "f" };
  const rest = valueFilters().filter((one) => !same(one, wanted) && !same(one, opposite));
  return onlyValues([...rest, wanted]);
}

/** @param {HTMLElement} place @param {(changes: Changes) => void} show */
export function makeFilters(place, show) {
  const key = (one) => `filter-${one.sign}-${one.kind}-${one.field}-${one.value.slice(0, 200)}`;

  return function update() {
    const filters = valueFilters();
    place.hidden = !filters.length;
    const chips = filters.map((one) => {
      const verb = one.sign === "x" ? "is not" : "is";
      const words = `${fieldName(one.field)} ${verb} ${valueText(one.kind, one.value, 200)}`;
      return h(
        "li",
        { class: `value-chip${one.sign === "x" ? " excluded" : ""}`, "data-key": key(one) },
        h("span", {}, `${fieldName(one.field)} ${verb} `, h("b", {}, valueNode(one.kind, one.value))),
        h(
          "button",
          {
            type: "button",
            "data-key": `remove-${key(one)}`,
            "aria-label": `Remove the filter ${words}`,
            title: "Remove this filter",
            onclick: () => show(onlyValues(valueFilters().filter((other) => !same(one, other)))),
          },
          icon("close", 14),
        ),
      );
    });
    patch(place, h("ul", {}, ...chips));
  };
}
