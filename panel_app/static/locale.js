// The locale and the time zone of figures and times: what the browser gives where its own Intl takes that, else what it always takes.

import { param } from "adtally/url.js";

const FALLBACK = "en-US";

/** Whether a browser's Intl takes these: it throws for a tag or a zone that it does not know. */
function takes(locale, zone) {
  try {
    new Intl.DateTimeFormat(locale, { timeZone: zone }).format(0);
    new Intl.NumberFormat(locale).format(0);
    return true;
  } catch {
    return false;
  }
}

/** `en-US` of `en_US.UTF-8@posix`, the way that an environment writes it. */
const tag = (name) => String(name).split(/[.@]/)[0].replaceAll("_", "-");

function chosen() {
  const given = [...(navigator.languages ?? []), navigator.language].filter(Boolean).map(tag);
  return given.find((name) => takes(name)) ?? FALLBACK;
}

/** The first of the viewer's languages that can be written in. */
export const locale = chosen();

/** The zone of the browser, or UTC where it has none that has a name, such as `:/etc/localtime`. */
function own() {
  const zone = Intl.DateTimeFormat(locale).resolvedOptions().timeZone;
  return zone && zone !== "Etc/Unknown" && takes(locale, zone) ? zone : "UTC";
}

const local = own();

/** Which zone the URL asks for: `utc`, or nothing for the browser's own. */
export const zoneAsked = () => (["utc", "UTC"].includes(param("tz")) ? "utc" : "");

/** The time zone in use: the browser's, or UTC where the URL says `tz=utc`. Of another one the server says that it is not applied. */
export function timeZone() {
  return zoneAsked() === "utc" ? "UTC" : local;
}
