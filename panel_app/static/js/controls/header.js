// @ts-check
// The header: age of the figures, updated every second; refresh, pause, menu, theme.

import { h, icon } from "adtally/dom.js";
import { duration } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { carried, embedded, param } from "adtally/url.js";
import { makeCurrencies, makeZones } from "adtally/zones.js";

const EVERY = [
  ["5", "5 s"],
  ["10", "10 s"],
  ["30", "30 s"],
  ["60", "1 min"],
  ["off", "Off"],
];
const SECONDS = new Map(EVERY.map(([id]) => [id, id === "off" ? 0 : Number(id)]));

/** Seconds between two refreshes; 0 if they are off. */
export function interval() {
  return SECONDS.get(param("every")) ?? 10;
}

export const paused = () => param("paused") === "1";

/**
 * What the pill says: tone, word, detail, and what of the detail is left on a phone.
 * @param {Answer | null} live as the server sent it
 * @param {{lost: boolean, since: number, left: number, late: number}} now seconds since the last answer and to the next one
 */
export function freshness(live, now) {
  const updated = `updated ${now.since < 1.5 ? "just now" : `${duration(now.since)} ago`}`;
  if (now.lost) return ["bad", "Reconnecting", `last answer ${duration(now.since)} ago`];
  if (!live) return ["wait", "Loading", ""];
  if (live.feed.state === "down") return ["bad", "Broker unreachable", live.feed.brokers];
  if (paused()) return ["wait", "Paused", updated];
  if (live.age === null)
    return live.feed.state === "reading"
      ? ["wait", "Reading", "the results topic"]
      : ["wait", "Waiting for data", live.cleared ? "the data was cleared" : "no results yet"];
  if (live.feed.state === "reading") return ["wait", "Reading", "catching up with the topic"];
  const age = live.age + now.since;
  if (age > now.late) return ["warn", "Data is late", `newest ${duration(age)} old`];
  if (now.left === null) return ["good", "Live", updated, ""];
  const left = `${Math.max(0, Math.ceil(now.left))} s`;
  return ["good", "Live", `${updated}, next in ${left}`, left];
}

/**
 * @param {HTMLElement} place
 * @param {{refresh: () => void, pause: () => void, theme: () => void, clear: () => void, set: (changes: Changes) => void, taste: (changes: Changes) => void, pages: [string, string][], logout: string}} act `pages` are names and
 *   addresses of the other pages, `logout` is the address of the log-out, empty without a login; `taste` is as `set`, and this browser remembers it
 */
export function makeHeader(place, act) {
  const word = h("b", {}, "Loading");
  const detail = h("span", { class: "pill-detail" }, "");
  const brief = h("span", { class: "pill-brief", "aria-hidden": "true" }, "");
  const spoken = h("span", { class: "hidden", role: "status" }, "");
  const pill = h("span", { class: "pill", "data-tone": "wait", id: "pill" }, h("span", { class: "dot" }), word, detail, brief);
  const button = (id, name, press, ...inner) =>
    h("button", { type: "button", class: "tool", id, "aria-label": name, title: name, onclick: press }, ...inner);
  const pause = button("pause", "Pause", act.pause, icon("pause"));
  const theme = button("theme", "Dark theme", act.theme, icon("moon"));
  const menu = h("div", { class: "menu", hidden: true, id: "menu-list" });
  const opener = button("menu", "Menu", () => toggle(menu.hidden), icon("menu"));
  opener.setAttribute("aria-expanded", "false");
  opener.setAttribute("aria-controls", "menu-list");
  const box = h("div", { class: "drop-box" }, opener, menu);

  function toggle(open, back = true) {
    if (menu.hidden !== open) return;
    menu.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open) /** @type {HTMLElement | null} */ (menu.querySelector("a, button"))?.focus();
    else if (back) opener.focus();
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") toggle(false);
  });
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(/** @type {Node} */ (event.target))) toggle(false, false);
  });

  const every = EVERY.map(([id, text]) =>
    h("button", { type: "button", "data-every": id, onclick: () => act.set({ every: id === "10" ? "" : id, paused: "" }) }, text),
  );
  const zones = makeZones(act.taste);
  const currencies = makeCurrencies(act.taste);
  const money = h("div", { class: "menu-group", hidden: true }, h("span", {}, "Money in"), currencies.box);
  const links = act.pages.map(([text, href]) => ({ link: h("a", { class: "menu-item" }, text), href }));
  menu.append(
    ...links.map(({ link }) => link),
    h(
      "div",
      { class: "menu-group" },
      h("span", {}, "Refresh every"),
      h("div", { class: "segments small", role: "group", "aria-label": "Refresh every" }, ...every),
    ),
    h("div", { class: "menu-group" }, h("span", {}, "Times in"), zones.box),
    money,
    h(
      "button",
      {
        type: "button",
        class: "menu-item danger",
        id: "clear",
        onclick: () => {
          toggle(false);
          act.clear();
        },
      },
      "Clear data …",
    ),
    act.logout ? h("a", { class: "menu-item", id: "logout", href: act.logout }, "Log out") : "",
  );
  if (embedded()) place.replaceChildren(spoken, pill);
  else place.replaceChildren(spoken, pill, button("refresh", "Refresh now", act.refresh, icon("refresh")), pause, box, theme);

  /** Called each second and at each answer. */
  function tick(live, now) {
    const [tone, text, more, less = ""] = freshness(live, now);
    pill.dataset.tone = tone;
    if (word.textContent !== text) {
      word.textContent = text;
      spoken.textContent = text;
    }
    patch(detail, more);
    patch(brief, less);
    pill.title = more ? `${text}, ${more}` : text;
  }

  /** @param {Answer | null | undefined} currency of the page, if it shows money */
  function update(currency = null) {
    const stopped = paused();
    patch(pause, icon(stopped ? "play" : "pause"));
    pause.setAttribute("aria-label", stopped ? "Resume" : "Pause");
    pause.title = stopped ? "Resume" : "Pause";
    const dark = document.documentElement.dataset.theme === "dark";
    patch(theme, icon(dark ? "sun" : "moon"));
    theme.setAttribute("aria-label", dark ? "Light theme" : "Dark theme");
    theme.title = dark ? "Light theme" : "Dark theme";
    const chosen = param("every", "10");
    for (const { link, href } of links) link.href = carried(href);
    for (const one of every) one.setAttribute("aria-pressed", String(one.dataset.every === chosen));
    zones.update();
    currencies.update(currency);
    money.hidden = currencies.box.hidden;
  }
  return { tick, update };
}
