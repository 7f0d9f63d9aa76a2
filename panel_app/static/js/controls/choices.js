// @ts-check
// A picker of one among many: a button, and a list with search whose first entries are the likely ones. For time zones and currencies.

import { makeDrop } from "adtally/drop.js";
import { h, icon } from "adtally/dom.js";
import { whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";

/** Largest number of entries that are drawn; search finds the others. */
const DRAWN = 60;

/** A text as a search compares it: without case, accents, and the signs between words. */
const plain = (text) =>
  text
    .normalize("NFKD")
    .replace(/[\p{M}]/gu, "")
    .replace(/[\s_/-]+/gu, " ")
    .toLowerCase();

/**
 * The entries that have all words of a search; first those in which each word begins one: "lord" finds Lord Howe before Qyzylorda.
 * @param {Entry[]} entries
 * @param {string} search
 */
export function matches(entries, search) {
  const words = plain(search).split(" ").filter(Boolean);
  const found = entries
    .map((one) => ({ one, text: ` ${plain(`${one.text} ${one.found ?? ""}`)}` }))
    .filter(({ text }) => words.every((word) => text.includes(word)));
  const begun = ({ text }) => words.every((word) => text.includes(` ${word}`));
  return [...found.filter(begun), ...found.filter((one) => !begun(one))].map(({ one }) => one);
}

/**
 * @param {object} picker
 * @param {string} picker.name of the list: "Time zone"
 * @param {string} picker.search placeholder of the search
 * @param {() => Entry[]} picker.offer the entries, asked for whenever the list opens
 * @param {() => string} picker.chosen id of the chosen entry
 * @param {(id: string) => void} picker.pick
 * @typedef {{id: string, text: string, more?: () => string, found?: string}} Entry `more` gives what is shown next to its text, `found` is searched, too
 */
export function makeChoice(picker) {
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: picker.search,
    "aria-label": picker.search,
    autocomplete: "off",
    maxlength: 80,
    oninput: () => draw(),
  });
  const list = h("div", { class: "picker-list", role: "group", "aria-label": picker.name });
  const drop = makeDrop(picker.name, {
    open: () => {
      entries = picker.offer();
      search.value = "";
      search.hidden = entries.length < 8;
      draw();
      if (search.hidden) /** @type {HTMLElement | null} */ (list.querySelector("button"))?.focus();
      else search.focus();
    },
  });
  drop.panel.append(search, list);
  /** @type {Entry[]} */
  let entries = [];

  function draw() {
    const matching = matches(entries, search.value);
    const chosen = picker.chosen();
    const rows = matching.slice(0, DRAWN).map((one) =>
      h(
        "button",
        {
          type: "button",
          class: "pick choice",
          "data-key": `choice-${one.id}`,
          "data-choice": one.id,
          "aria-pressed": String(one.id === chosen),
          onclick: () => {
            drop.close();
            picker.pick(one.id);
          },
        },
        h("span", {}, one.text),
        one.more && h("span", { class: "hint" }, one.more()),
        one.id === chosen && icon("check", 16),
      ),
    );
    const rest = matching.length - rows.length;
    patch(
      list,
      ...(rows.length ? rows : [h("p", { class: "none" }, "Nothing matches.")]),
      rest > 0 && h("p", { class: "hint" }, `${whole(rest)} more; search to find them.`),
    );
  }

  drop.panel.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const stops = [...(search.hidden ? [] : [search]), ...list.querySelectorAll("button")];
    const at = stops.indexOf(/** @type {any} */ (document.activeElement));
    stops[Math.min(Math.max(at + step, 0), stops.length - 1)]?.focus();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !search.value) return;
    // The choice moves the focus to the button of the list, which the same Enter would press.
    event.preventDefault();
    /** @type {HTMLElement | null} */ (list.querySelector("button"))?.click();
  });
  return drop;
}
