// @ts-check
// Range and filters. Each of them changes the URL, and the page follows the URL.

import { h, icon, label, named, remember } from "adtally/dom.js";
import { whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { filters, param } from "adtally/url.js";

const RANGE_NAMES = {
  "15m": "15 min",
  "30m": "30 min",
  "1h": "1 hour",
  "3h": "3 hours",
  "6h": "6 hours",
  "24h": "24 hours",
  "7d": "7 days",
  "30d": "30 days",
};
const WAIT = 150;
/** Milliseconds until a failed request for a list is retried. */
const AGAIN = 2000;

/** A button that opens a list of names to tick, with search. */
function picker(dimension, plural, act) {
  const panel = h("div", { class: "picker", hidden: true });
  const text = h("span", {}, `All ${plural}`);
  const button = h(
    "button",
    {
      type: "button",
      class: "drop",
      "aria-expanded": "false",
      "aria-haspopup": "dialog",
      onclick: () => (panel.hidden ? open() : close()),
    },
    text,
    icon("down", 16),
  );
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: `Search ${plural}`,
    "aria-label": `Search ${plural}`,
    oninput: () => later(),
  });
  const list = h("div", { class: "picker-list" });
  const box = h("div", { class: "drop-box" }, button, panel);
  panel.setAttribute("role", "dialog");
  panel.setAttribute("aria-label", `Choose ${plural}`);
  panel.append(search, list);
  let timer = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, WAIT);
  }

  async function load() {
    const chosen = filters()[dimension];
    const asked = search.value;
    let offer;
    try {
      offer = await act.names(dimension, asked);
    } catch {
      patch(list, h("p", { class: "none" }, "No answer from the dashboard; retrying …"));
      if (!panel.hidden) timer = setTimeout(load, AGAIN);
      return undefined;
    }
    remember(offer.marks);
    // A newer request is under way, and brings its own answer.
    if (asked !== search.value) return undefined;
    const names = [...chosen.filter((name) => !offer.names.includes(name) && !search.value), ...offer.names];
    const rows = names.map((name) => {
      const tick = h("input", {
        type: "checkbox",
        "data-key": `pick-${name}`,
        onchange: (event) => toggle(name, event.currentTarget.checked),
      });
      tick.checked = chosen.includes(name);
      return h("label", { class: "pick" }, tick, named(name));
    });
    const more =
      offer.total > offer.names.length &&
      h("p", { class: "hint" }, `${whole(offer.total - offer.names.length)} more; search to find them.`);
    return patch(
      list,
      ...(rows.length ? rows : [h("p", { class: "none" }, search.value ? "Nothing matches." : "Nothing yet.")]),
      more,
    );
  }

  function toggle(name, on) {
    const rest = filters()[dimension].filter((one) => one !== name);
    act.filter({ [dimension]: on ? [...rest, name] : rest });
  }

  function open() {
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    search.value = "";
    search.focus();
    load();
  }

  function close(back = true) {
    if (panel.hidden) return;
    panel.hidden = true;
    clearTimeout(timer);
    button.setAttribute("aria-expanded", "false");
    if (back) button.focus();
  }

  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(/** @type {Node} */ (event.target))) close(false);
  });

  function update() {
    const chosen = filters()[dimension];
    button.classList.toggle("on", chosen.length > 0);
    patch(
      text,
      chosen.length === 0
        ? `All ${plural}`
        : chosen.length === 1
          ? h("bdi", {}, label(chosen[0], 24))
          : `${whole(chosen.length)} ${plural}`,
    );
    for (const tick of list.querySelectorAll("input")) tick.checked = chosen.some((name) => tick.dataset.key === `pick-${name}`);
  }
  return { box, update };
}

/**
 * @param {HTMLElement} place
 * @param {string[]} ranges
 * @param {{filter: (changes: Changes) => void, names: (dimension: string, search: string) => Promise<any>, everything: () => void}} act
 */
export function makeControls(place, ranges, act) {
  const buttons = ranges.map((id) =>
    h("button", { type: "button", "data-range": id, onclick: () => act.filter({ range: id }) }, RANGE_NAMES[id] ?? id),
  );
  const channels = picker("channel", "channels", act);
  const campaigns = picker("campaign", "campaigns", act);
  const everything = h("button", { type: "button", class: "link", hidden: true, onclick: act.everything }, "Show everything");
  place.replaceChildren(
    h("div", { class: "segments", role: "group", "aria-label": "Range" }, ...buttons),
    channels.box,
    campaigns.box,
    everything,
  );
  return function update(range) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.range === range));
    channels.update();
    campaigns.update();
    everything.hidden = !(filters().channel.length || filters().campaign.length || param("q"));
  };
}
