// @ts-check
// The picker of days (presets, calendar, custom range), and what the range is compared with.

import { makeCalendar } from "adtally/calendar.js";
import { makeDrop } from "adtally/drop.js";
import { h } from "adtally/dom.js";
import { timeZone } from "adtally/locale.js";
import { patch } from "adtally/patch.js";
import { CALENDAR, COMPARISONS, dayAt, daysOf, ofDays, rangeName } from "adtally/periods.js";
import { param } from "adtally/url.js";

/**
 * The picker of days; it is shown where the server knows them.
 * @param {(changes: Changes) => void} set
 * @param {(changes: Changes) => void} taste as `set`, and this browser remembers it
 */
export function makeDays(set, taste) {
  /** What the page shows: its range (`range` of the URL), first moment and end in seconds since 1970. */
  let now = { range: "", start: 0, end: 0 };
  // Days are those of a zone, so that a link to them names it.
  const pick = (range) => {
    drop.close();
    set({ range, tz: timeZone() });
  };
  const presets = Object.entries(CALENDAR).map(([id, text]) =>
    h("button", { type: "button", class: "pick choice", "data-range": id, onclick: () => pick(id) }, text),
  );
  const calendar = makeCalendar((from, to) => pick(`${from}..${to}`));
  const weeks = [
    ["monday", "Monday"],
    ["sunday", "Sunday"],
  ].map(([id, text]) => h("button", { type: "button", "data-week": id, onclick: () => begin(id === "monday" ? "" : id) }, text));
  const drop = makeDrop("Days", {
    open: () => {
      open();
      (presets.find((one) => one.dataset.range === now.range) ?? presets[0]).focus();
    },
  });
  drop.button.id = "days-picker";
  drop.panel.classList.add("days-panel");
  drop.panel.append(
    h("div", { class: "presets", role: "group", "aria-label": "Ranges of days" }, ...presets),
    calendar.box,
    h(
      "div",
      { class: "week-begin" },
      h("span", {}, "Weeks begin on"),
      h("div", { class: "segments small", role: "group", "aria-label": "First day of the week" }, ...weeks),
    ),
  );

  function begin(week) {
    taste({ week });
    open();
  }

  function open() {
    const today = dayAt(Date.now() / 1000);
    const shown = daysOf(now.range) ?? (now.end > now.start ? [dayAt(now.start), dayAt(now.end - 1)] : [today, today]);
    calendar.show([shown[0], shown[1]], today);
  }

  return {
    box: drop.box,
    /** @param {string} range @param {Answer | null | undefined} shown `start` and `end` of the page's range, if the server knows days */
    update(range, shown) {
      drop.box.hidden = !shown;
      for (const one of weeks) one.setAttribute("aria-pressed", String(one.dataset.week === (param("week") || "monday")));
      now = { range, start: shown?.start ?? 0, end: shown?.end ?? 0 };
      const chosen = ofDays(range);
      drop.button.classList.toggle("on", chosen);
      patch(drop.text, chosen ? rangeName(range) : "Days");
      drop.button.setAttribute("aria-label", chosen ? `Days: ${rangeName(range)}` : "Days");
      for (const one of presets) one.setAttribute("aria-pressed", String(one.dataset.range === range));
    },
  };
}

/**
 * What the range is compared with, as a list of choices; it is shown where the server offers them.
 * @param {(changes: Changes) => void} set
 */
export function makeCompare(set) {
  const options = Object.entries(COMPARISONS).map(([id, [text]]) => h("option", { value: id }, `vs ${text.toLowerCase()}`));
  const select = h(
    "select",
    {
      class: "drop compare",
      id: "compare",
      "aria-label": "Compared with",
      title: "Compared with",
      onchange: () => set({ compare: select.value }),
    },
    ...options,
  );
  return {
    box: select,
    /** @param {Answer | null | undefined} compare `how` of the page's comparison @param {boolean} running whether its range is not over */
    update(compare, running) {
      select.hidden = !compare;
      const how = compare?.how ?? "before";
      for (const option of options) option.hidden = option.value === "elapsed" && !running && how !== "elapsed";
      select.value = Object.hasOwn(COMPARISONS, how) ? how : "before";
    },
  };
}
