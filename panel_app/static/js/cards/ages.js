// @ts-check
// How old an event is when the dashboard holds the minute that counts it.

import { h } from "adtally/dom.js";
import { duration, many, seconds } from "adtally/format.js";
import { patch } from "adtally/patch.js";

/** @param {HTMLElement} place */
export function makeAges(place) {
  const body = h("div", {});
  place.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, "From event to dashboard")), body);

  const one = (name, value) =>
    h(
      "div",
      { class: "age" },
      h("dt", { class: "tile-name" }, name),
      h("dd", { class: "tile-value" }, value === null ? "–" : seconds(value)),
    );

  function words({ measured, catching_up: old, seconds: span }) {
    const left = old
      ? ` ${many(old, "result")} of minutes long over ${old === 1 ? "is" : "are"} left out: a backlog or a replay is being caught up with, and its events are old by themselves.`
      : "";
    if (!measured) return `No new event of a recent minute has come in the last ${duration(span)}.${left}`;
    return `Age of an event when the dashboard holds the minute that counts it, over ${many(measured, "result")} of the last ${duration(span)}: in each batch of the dataflow the one that waited longest, the newest event time of its partition standing for the event’s own. A page shows it at its next refresh.${left}`;
  }

  return (ages) =>
    patch(
      body,
      h("dl", { class: "ages" }, one("Half are here within", ages.p50), one("99 of 100 within", ages.p99)),
      h("p", { class: "hint" }, words(ages)),
    );
}
