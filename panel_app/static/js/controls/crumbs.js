// @ts-check
// Breadcrumbs: which part of the data the page shows, and the way back. In an embed with a filter the way back ends at that filter.

import { h, icon, label, markOf } from "adtally/dom.js";
import { whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { changed, filters, inside } from "adtally/url.js";

const ALL = { campaign: "", channel: "", q: "" };

const said = (names, plural) =>
  names.length === 1 ? h("span", {}, h("bdi", {}, label(names[0], 60)), markOf(names[0])) : `${whole(names.length)} ${plural}`;
const same = (names, others) => names.length === others.length && names.every((name) => others.includes(name));

/**
 * @param {HTMLElement} place
 * @param {(changes: Changes) => void} show
 * @param {{campaign: string[], channel: string[]} | null} [confines] the filter that an embed is limited to
 */
export function makeCrumbs(place, show, confines = null) {
  const top = confines ? { ...confines, q: "" } : ALL;
  const link = (text, changes) =>
    h(
      "a",
      {
        href: changed(changes),
        "data-key": `crumb-${Object.keys(changes).join()}`,
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
    const parts = [
      ["campaign", "campaigns"],
      ["channel", "channels"],
    ]
      .filter(([dimension]) => chosen[dimension].length && !same(chosen[dimension], base[dimension]))
      .map(([dimension, plural]) => said(chosen[dimension], plural));
    place.hidden = !parts.length && !confines;
    if (place.hidden) return place.replaceChildren();
    // Back goes to the previous step on this page; without one (opened by a link) to the first crumb.
    const back =
      parts.length > 0 &&
      h(
        "button",
        {
          type: "button",
          class: "button plain back",
          "data-key": "back",
          onclick: () => (inside() ? history.back() : show(top)),
        },
        icon("back", 16),
        "Back",
      );
    const here = (text) => h("span", { "aria-current": "page" }, ...text);
    const steps = parts.map((text, at) =>
      h("li", {}, at === parts.length - 1 ? here([text]) : link([text], { channel: top.channel, q: "" })),
    );
    return patch(place, back, h("ol", {}, h("li", {}, parts.length ? link(first(), top) : here(first())), ...steps));
  };
}
