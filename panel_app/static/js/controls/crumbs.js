// @ts-check
// Breadcrumbs: which part of the data the page shows, and the way back. In an embed with a filter the way back ends at that filter.

import { h, icon, label, markOf } from "adtally/dom.js";
import { whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { changed, filters, inside, onlyValues, unfiltered, valueFilters } from "adtally/url.js";
import { fieldName, valueNode } from "adtally/values.js";

const said = (names, plural) =>
  names.length === 1 ? h("span", {}, h("bdi", {}, label(names[0], 60)), markOf(names[0])) : `${whole(names.length)} ${plural}`;
const same = (names, others) => names.length === others.length && names.every((name) => others.includes(name));

/**
 * @param {HTMLElement} place
 * @param {(changes: Changes) => void} show
 * @param {{campaign: string[], channel: string[]} | null} [confines] the filter that an embed is limited to
 */
export function makeCrumbs(place, show, confines = null) {
  const top = () => ({ ...unfiltered(), ...confines });
  const link = (text, changes, key) =>
    h(
      "a",
      {
        href: changed(changes),
        "data-key": key,
        onclick: (event) => {
          event.preventDefault();
          show(changes);
        },
      },
      ...text,
    );

  /** Text of the first crumb: everything, or the filter of the embed. */
  function first() {
    if (!confines) return ["All campaigns"];
    const parts = [
      confines.campaign.length && said(confines.campaign, "campaigns"),
      confines.channel.length && said(confines.channel, "channels"),
    ].filter(Boolean);
    return parts.flatMap((part, at) => (at ? [", ", part] : [part]));
  }

  return function update() {
    const chosen = filters();
    const base = confines ?? { campaign: [], channel: [] };
    const included = valueFilters().filter((one) => one.sign === "f");
    /** Each step of the way: what it says, and the filters below it. @type {[Node | string, Changes][]} */
    const steps = [];
    if (chosen.campaign.length && !same(chosen.campaign, base.campaign))
      steps.push([said(chosen.campaign, "campaigns"), { ...top(), campaign: chosen.campaign }]);
    if (chosen.channel.length && !same(chosen.channel, base.channel))
      steps.push([said(chosen.channel, "channels"), { ...onlyValues([]), q: "" }]);
    const excluded = valueFilters().filter((one) => one.sign === "x");
    const kept = [];
    for (const field of new Set(included.map((one) => one.field))) {
      const own = included.filter((one) => one.field === field);
      const text =
        own.length === 1
          ? h("span", {}, `${fieldName(field)} `, valueNode(own[0].kind, own[0].value))
          : `${fieldName(field)}: ${whole(own.length)} values`;
      kept.push(...own);
      steps.push([text, onlyValues([...kept, ...excluded])]);
    }
    place.hidden = !steps.length && !confines;
    if (place.hidden) return place.replaceChildren();
    // Back goes to the previous step on this page; without one (opened by a link) to the first crumb.
    const back =
      steps.length > 0 &&
      h(
        "button",
        {
          type: "button",
          class: "button plain back",
          "data-key": "back",
          onclick: () => (inside() ? history.back() : show(top())),
        },
        icon("back", 16),
        "Back",
      );
    const here = (text) => h("span", { "aria-current": "page" }, ...text);
    const items = steps.map(([text, changes], at) =>
      h("li", {}, at === steps.length - 1 ? here([text]) : link([text], changes, `crumb-${at}`)),
    );
    const start = steps.length ? link(first(), top(), "crumb-first") : here(first());
    return patch(place, back, h("ol", {}, h("li", {}, start), ...items));
  };
}
