// @ts-check
// What a viewer prefers, remembered by this browser: time zone, currency, first day of the week. The URL wins, and is what a link carries.

import { ownZone } from "adtally/locale.js";
import { embedded, go, param } from "adtally/url.js";

/** Parameters of the URL that are remembered. */
const REMEMBERED = ["tz", "currency", "week"];
const LONGEST = 64;

const key = (name) => `adtally.${name}`;

/** The remembered value of a parameter; empty if there is none, or if the browser stores nothing for this page. @param {string} name */
function recalled(name) {
  try {
    const value = localStorage.getItem(key(name)) ?? "";
    return value.length <= LONGEST ? value : "";
  } catch {
    return "";
  }
}

/** Remember those of `changes` that are a matter of taste, and return them all. @param {Changes} changes */
export function remembering(changes) {
  for (const name of REMEMBERED) {
    const value = changes[name];
    if (typeof value !== "string") continue;
    try {
      // The browser's own zone is not remembered: it moves with its viewer.
      if (value && !(name === "tz" && value === ownZone)) localStorage.setItem(key(name), value);
      else localStorage.removeItem(key(name));
    } catch {
      // Without storage the choice is in the URL only.
    }
  }
  return changes;
}

/**
 * Write into the URL what it lacks of the viewer's taste: what is remembered, and the time zone of the browser. An embed shows what its
 * own URL says, in the zone of its viewer.
 * @param {string[]} known the parameters that the server applies
 * @returns {boolean} whether the URL changed
 */
export function adopt(known) {
  /** @type {Changes} */
  const wanted = {};
  for (const name of REMEMBERED) {
    if (!known.includes(name) || param(name)) continue;
    const value = embedded() ? "" : recalled(name);
    // Without a zone in the URL the server counts days in UTC.
    if (name === "tz" && (value || ownZone) !== ownZone) wanted.tz = value;
    else if (name === "tz" && ownZone !== "UTC") wanted.tz = ownZone;
    else if (name !== "tz" && value) wanted[name] = value;
  }
  go(wanted, false);
  return Object.keys(wanted).length > 0;
}
