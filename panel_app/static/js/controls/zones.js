// @ts-check
// The pickers of the time zone and the currency of a page; their choices are remembered by this browser (`taste.js`).

import { makeChoice } from "adtally/choices.js";
import { label } from "adtally/dom.js";
import { locale, ownZone, timeZone, zoneNames } from "adtally/locale.js";
import { patch } from "adtally/patch.js";

/** Currencies as they are, without conversion (`currency=` of the URL). */
export const NATIVE = "native";

/** The distance of a zone from UTC now: "GMT+5:45". */
function distance(zone) {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "shortOffset" });
  return format.formatToParts(Date.now()).find(({ type }) => type === "timeZoneName")?.value ?? "";
}

const spelled = (zone) => label(zone, 60).replaceAll("_", " ");

/** @type {Intl.DisplayNames | null} */
let names = null;

/** A currency's name in the viewer's language; empty if it has none. */
function currencyName(code) {
  try {
    names ??= new Intl.DisplayNames(locale, { type: "currency", fallback: "none" });
    return names.of(code) ?? "";
  } catch {
    return "";
  }
}

/** @param {(changes: Changes) => void} set */
export function makeZones(set) {
  const drop = makeChoice({
    name: "Time zone",
    search: "Search time zones",
    offer: () =>
      zoneNames().map((zone) => ({
        id: zone,
        text: spelled(zone),
        more: () => (zone === ownZone ? "this browser" : distance(zone)),
      })),
    chosen: timeZone,
    pick: (zone) => set({ tz: zone }),
  });
  drop.button.id = "zone-picker";
  return {
    box: drop.box,
    update() {
      patch(drop.text, spelled(timeZone()));
      drop.button.setAttribute("aria-label", `Time zone: ${spelled(timeZone())}`);
    },
  };
}

/**
 * @param {(changes: Changes) => void} set
 * @returns {{box: HTMLElement, update: (currency: Answer | null | undefined) => void}} hidden where the server sends no currencies
 */
export function makeCurrencies(set) {
  /** @type {Answer} */
  let known = { shown: "", reporting: "", available: [] };
  const entry = (code) => ({ id: code, text: code, more: () => currencyName(code), found: currencyName(code) });
  const drop = makeChoice({
    name: "Currency",
    search: "Search currencies",
    offer: () => [
      entry(known.reporting),
      { id: NATIVE, text: "As received", found: `${NATIVE} not converted` },
      ...known.available.filter((code) => code !== known.reporting).map(entry),
    ],
    chosen: () => known.shown,
    pick: (code) => set({ currency: code === known.reporting ? "" : code }),
  });
  drop.button.id = "currency-picker";
  return {
    box: drop.box,
    update(currency) {
      drop.box.hidden = !currency?.available?.length;
      if (!currency) return;
      known = currency;
      const shown = currency.shown === NATIVE ? "As received" : currency.shown;
      patch(drop.text, shown);
      drop.button.setAttribute("aria-label", `Currency: ${shown}`);
    },
  };
}
