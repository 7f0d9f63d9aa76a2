// Where one is when the page shows only a part, and the way back.

import { h, icon, label, swap } from "adtally/dom.js";
import { whole } from "adtally/format.js";
import { changed, inside, params } from "adtally/url.js";

const ALL = { campaign: "", channel: "", q: "" };

function part(dimension, plural) {
  const chosen = params(dimension);
  if (!chosen.length) return null;
  return { dimension, names: chosen, text: chosen.length === 1 ? h("bdi", {}, label(chosen[0], 60)) : `${whole(chosen.length)} ${plural}` };
}

/**
 * @param {HTMLElement} place
 * @param {(changes: object) => void} show
 */
export function makeCrumbs(place, show) {
  const link = (text, changes) =>
    h("a", { href: changed(changes), "data-key": `crumb-${Object.keys(changes).join()}`, onclick: (event) => { event.preventDefault(); show(changes); } }, text);

  return function update() {
    const parts = [part("campaign", "campaigns"), part("channel", "channels")].filter(Boolean);
    place.hidden = !parts.length;
    if (!parts.length) return place.replaceChildren();
    // Back is the step before, where there is one on this page; who came by a link goes up to everything.
    const back = h("button", { type: "button", class: "button plain back", "data-key": "back", onclick: () => (inside() ? history.back() : show(ALL)) }, icon("back", 16), "Back");
    const steps = parts.map((one, at) => {
      const last = at === parts.length - 1;
      return h("li", {}, last ? h("span", { "aria-current": "page" }, one.text) : link(one.text, { channel: "", q: "" }));
    });
    return swap(place, back, h("ol", {}, h("li", {}, link("All campaigns", ALL)), ...steps));
  };
}
