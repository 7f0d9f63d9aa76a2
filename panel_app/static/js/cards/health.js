// @ts-check
// State of each part of the pipeline, from an event to this page: which does not work, since when, and what to do.

import { h, label } from "adtally/dom.js";
import { duration, moment } from "adtally/format.js";
import { patch } from "adtally/patch.js";

const DAY = 86_400;
const WORDS = { good: "works", wait: "waits", warn: "needs attention", bad: "does not work" };

/** Since when a part has its state, as text; empty if unknown. */
function since(part, now) {
  if (part.since === null) return "";
  return ` (since ${moment(part.since, now - part.since > DAY)}, ${duration(now - part.since)} ago)`;
}

/** The state of a part as a sentence. */
export function sentence(part, now) {
  return label(`${part.state}${since(part, now)}.`, 600);
}

/** @param {HTMLElement} place */
export function makeHealth(place) {
  const note = h("p", { class: "hint" }, "State of each part between an event and this page.");
  const list = h("ul", { class: "health" });
  place.replaceChildren(h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Pipeline"), note)), list);

  function row(part, now) {
    return h(
      "li",
      { "data-key": part.id, "data-part": part.id, "data-tone": part.tone },
      h(
        "span",
        { class: "health-name" },
        h("span", { class: "dot", "aria-hidden": "true" }),
        h("b", {}, part.name),
        h("span", { class: "hidden" }, ` ${WORDS[part.tone]}: `),
      ),
      h(
        "span",
        { class: "health-state" },
        sentence(part, now),
        part.cure && h("span", { class: "hint health-cure" }, label(part.cure, 600)),
      ),
    );
  }

  return function update(parts, now) {
    patch(list, ...parts.map((part) => row(part, now)));
  };
}
