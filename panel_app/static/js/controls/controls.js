// @ts-check
// Range and filters. Each of them changes the URL, and the page follows the URL.

import { h, label, named, remember } from "adtally/dom.js";
import { makeDrop } from "adtally/drop.js";
import { whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { ofDays, ROLLING } from "adtally/periods.js";
import { makeCompare, makeDays } from "adtally/ranges.js";
import { filters, param, valueFilters } from "adtally/url.js";

const WAIT = 150;
/** Milliseconds until a failed request for a list is retried. */
const AGAIN = 2000;

/** A button that opens a list of names to tick, with search. */
function picker(dimension, plural, act) {
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: `Search ${plural}`,
    "aria-label": `Search ${plural}`,
    oninput: () => later(),
  });
  const list = h("div", { class: "picker-list" });
  const { box, button, text, panel, shown } = makeDrop(`Choose ${plural}`, {
    open: () => {
      search.value = "";
      search.focus();
      load();
    },
    close: () => clearTimeout(timer),
  });
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
      if (shown()) timer = setTimeout(load, AGAIN);
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
 * @param {string[]} ranges the rolling ones
 * @param {object} act
 * @param {(changes: Changes) => void} act.filter
 * @param {(changes: Changes) => void} act.taste as `filter`, and this browser remembers it
 * @param {(dimension: string, search: string) => Promise<any>} act.names
 * @param {() => void} act.everything
 */
export function makeControls(place, ranges, act) {
  const buttons = ranges.map((id) =>
    h("button", { type: "button", "data-range": id, onclick: () => act.filter({ range: id }) }, ROLLING[id] ?? id),
  );
  const days = makeDays(act.filter, act.taste);
  const compare = makeCompare(act.filter);
  const channels = picker("channel", "channels", act);
  const campaigns = picker("campaign", "campaigns", act);
  const everything = h("button", { type: "button", class: "link", hidden: true, onclick: act.everything }, "Show everything");
  place.replaceChildren(
    h("div", { class: "segments", role: "group", "aria-label": "Range" }, ...buttons),
    days.box,
    compare.box,
    channels.box,
    campaigns.box,
    everything,
  );
  /** @param {string} range as in the URL @param {Answer} page */
  return function update(range, page) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.range === range));
    days.update(range, page.range);
    compare.update(page.compare, page.range?.running === true && ofDays(page.range.name));
    channels.update();
    campaigns.update();
    everything.hidden = !(filters().channel.length || filters().campaign.length || param("q") || valueFilters().length);
  };
}
