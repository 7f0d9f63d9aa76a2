// @ts-check
// Locale and time zone of figures and times: those of the browser if its Intl supports them, otherwise en-US and UTC.

import { param } from "adtally/url.js";

const FALLBACK = "en-US";

/** Whether Intl supports these: it throws for an unknown tag or zone. */
function takes(locale, zone) {
  try {
    new Intl.DateTimeFormat(locale, { timeZone: zone }).format(0);
    new Intl.NumberFormat(locale).format(0);
    return true;
  } catch {
    return false;
  }
}

/** The language tag `en-US` of the POSIX locale name `en_US.UTF-8@posix`. */
const tag = (name) => String(name).split(/[.@]/)[0].replaceAll("_", "-");

function chosen() {
  const given = [...(navigator.languages ?? []), navigator.language].filter(Boolean).map(tag);
  return given.find((name) => takes(name)) ?? FALLBACK;
}

/** The first of the viewer's languages that Intl supports. */
export const locale = chosen();

/** The time zone of the browser, or UTC if it has none with a name (`TZ=:/etc/localtime`). */
function own() {
  const zone = Intl.DateTimeFormat(locale).resolvedOptions().timeZone;
  return zone && zone !== "Etc/Unknown" && takes(locale, zone) ? zone : "UTC";
}

/** Zones of the URL that Intl was asked about, and whether it supports them. @type {Map<string, boolean>} */
const asked = new Map();

/** The zone in the URL, `UTC` for `utc`; empty for the browser's own, and for one that Intl does not know. */
export function zoneAsked() {
  const zone = param("tz");
  if (zone === "" || zone === "local") return "";
  if (zone.toLowerCase() === "utc") return "UTC";
  if (!asked.has(zone)) asked.set(zone, takes(locale, zone));
  return asked.get(zone) ? zone : "";
}

/** The time zone of all times on the page: that of the URL, else the browser's. The server reports one that it does not apply. */
export const timeZone = () => zoneAsked() || ownZone;

/** Zones that the time zone database has renamed, by the name that browsers still list. @type {Map<string, string>} */
const RENAMED = new Map([
  ["Africa/Asmera", "Africa/Asmara"],
  ["America/Buenos_Aires", "America/Argentina/Buenos_Aires"],
  ["America/Catamarca", "America/Argentina/Catamarca"],
  ["America/Cordoba", "America/Argentina/Cordoba"],
  ["America/Coral_Harbour", "America/Atikokan"],
  ["America/Godthab", "America/Nuuk"],
  ["America/Indianapolis", "America/Indiana/Indianapolis"],
  ["America/Jujuy", "America/Argentina/Jujuy"],
  ["America/Louisville", "America/Kentucky/Louisville"],
  ["America/Mendoza", "America/Argentina/Mendoza"],
  ["Asia/Calcutta", "Asia/Kolkata"],
  ["Asia/Katmandu", "Asia/Kathmandu"],
  ["Asia/Rangoon", "Asia/Yangon"],
  ["Asia/Saigon", "Asia/Ho_Chi_Minh"],
  ["Atlantic/Faeroe", "Atlantic/Faroe"],
  ["Europe/Kiev", "Europe/Kyiv"],
  ["Pacific/Enderbury", "Pacific/Kanton"],
  ["Pacific/Ponape", "Pacific/Pohnpei"],
  ["Pacific/Truk", "Pacific/Chuuk"],
]);

/** The name of a zone in the time zone database, if this browser takes it. @param {string} zone */
function named(zone) {
  const name = RENAMED.get(zone);
  return name && takes(locale, name) ? name : zone;
}

/** The time zone of the browser. */
export const ownZone = named(own());

/** Names of time zones (IANA) that this browser knows: its own first, then UTC. @returns {string[]} */
export function zoneNames() {
  const known = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set([ownZone, "UTC", ...known.map(named).sort()])];
}
