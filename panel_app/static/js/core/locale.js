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

const local = own();

/** The zone in the URL: `utc`, or empty for the browser's own. */
export const zoneAsked = () => (["utc", "UTC"].includes(param("tz")) ? "utc" : "");

/** The time zone in use: the browser's, or UTC if the URL has `tz=utc`. The server reports any other value as not applied. */
export function timeZone() {
  return zoneAsked() === "utc" ? "UTC" : local;
}
