// @ts-check
// A calendar in which a first and a last day are chosen: with the mouse, with the arrow keys, or typed into its two fields.

import { h, icon } from "adtally/dom.js";
import { patch } from "adtally/patch.js";
import { isDay, monthDays, plusDays, plusMonths, weekday, written } from "adtally/periods.js";

/** Keys that move the focus among the days. @type {Record<string, (day: string) => string>} */
const MOVES = {
  ArrowLeft: (day) => plusDays(day, -1),
  ArrowRight: (day) => plusDays(day, 1),
  ArrowUp: (day) => plusDays(day, -7),
  ArrowDown: (day) => plusDays(day, 7),
  Home: (day) => plusDays(day, -weekday(day)),
  End: (day) => plusDays(day, 6 - weekday(day)),
  PageUp: (day) => plusMonths(day, -1),
  PageDown: (day) => plusMonths(day, 1),
};

/**
 * @param {(from: string, to: string) => void} pick both days are part of the range
 * @returns {{box: HTMLElement, show: (chosen: [string, string], last: string) => void}} `show` opens the month of the last of the `chosen`
 *   days, and offers no day after `last`
 */
export function makeCalendar(pick) {
  let [from, to, last, focused] = ["", "", "", ""];
  /** The first of two days, while the second one is awaited. */
  let begun = "";

  const turn = (name, symbol, months) =>
    h(
      "button",
      {
        type: "button",
        class: "tool small",
        "aria-label": name,
        title: name,
        onclick: () => move(plusMonths(focused, months), false),
      },
      icon(symbol, 17),
    );
  const month = h("b", { "aria-live": "polite" });
  const grid = h("table", { class: "days" });
  const field = (name) => h("input", { type: "date", class: "search", "aria-label": name, onchange: () => typed() });
  const [first, second] = [field("First day"), field("Last day")];
  const apply = h("button", { type: "button", class: "button", onclick: () => pick(first.value, second.value) }, "Show");
  const hint = h("p", { class: "hint", role: "status" });
  const box = h(
    "div",
    { class: "calendar" },
    h("div", { class: "calendar-head" }, turn("Month before", "left", -1), month, turn("Month after", "right", 1)),
    grid,
    hint,
    h("div", { class: "calendar-fields" }, first, h("span", { "aria-hidden": "true" }, "–"), second, apply),
  );

  function typed() {
    const known = isDay(first.value) && isDay(second.value) && first.value <= second.value;
    apply.disabled = !known;
    if (!known) return;
    [from, to, begun] = [first.value, second.value, ""];
    focused = to > last ? last : to;
    draw();
  }

  function press(day) {
    focused = day;
    if (!begun) {
      [begun, from, to] = [day, day, day];
      return draw(true);
    }
    [from, to] = day < begun ? [day, begun] : [begun, day];
    begun = "";
    return pick(from, to);
  }

  function move(day, focus = true) {
    focused = day > last ? last : day;
    if (begun) [from, to] = focused < begun ? [focused, begun] : [begun, focused];
    draw(focus);
  }

  function cell(day) {
    const inside = day >= from && day <= to;
    return h(
      "td",
      { class: `${inside ? "inside" : ""}${day === from ? " from" : ""}${day === to ? " to" : ""}` },
      h(
        "button",
        {
          type: "button",
          "data-day": day,
          "data-key": `day-${day}`,
          tabindex: day === focused ? 0 : -1,
          disabled: day > last,
          class: day.slice(0, 7) === focused.slice(0, 7) ? "" : "other-month",
          "aria-label": written(day, { weekday: "long", day: "numeric", month: "long", year: "numeric" }),
          "aria-pressed": String(inside),
          onclick: () => press(day),
        },
        String(Number(day.slice(8))),
      ),
    );
  }

  function draw(focus = false) {
    const days = monthDays(focused);
    patch(month, written(focused, { month: "long", year: "numeric" }));
    const heads = days
      .slice(0, 7)
      .map((day) => h("th", { scope: "col", abbr: written(day, { weekday: "long" }) }, written(day, { weekday: "short" })));
    const weeks = [];
    for (let at = 0; at < days.length; at += 7) weeks.push(h("tr", {}, ...days.slice(at, at + 7).map(cell)));
    patch(grid, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...weeks));
    if (begun || document.activeElement !== first) first.value = from;
    if (begun || document.activeElement !== second) second.value = to;
    apply.disabled = false;
    patch(hint, begun ? "Choose the last day." : "Choose the first day, or type both.");
    if (focus) /** @type {HTMLElement | null} */ (grid.querySelector("[tabindex='0']"))?.focus();
  }

  grid.addEventListener("keydown", (event) => {
    const go = MOVES[event.key];
    if (!go) return;
    event.preventDefault();
    move(go(focused));
  });
  grid.addEventListener("pointerover", (event) => {
    const day = /** @type {HTMLElement} */ (event.target).dataset?.day;
    if (!begun || !day) return;
    [from, to] = day < begun ? [day, begun] : [begun, day];
    for (const one of grid.querySelectorAll("td")) {
      const own = one.querySelector("button")?.dataset.day ?? "";
      one.className = `${own >= from && own <= to ? "inside" : ""}${own === from ? " from" : ""}${own === to ? " to" : ""}`;
    }
  });

  return {
    box,
    show(chosen, end) {
      [[from, to], last, begun] = [chosen, end, ""];
      focused = to > last ? last : to;
      draw();
    },
  };
}
