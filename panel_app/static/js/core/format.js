// @ts-check
// Numbers, money and times as the viewer's locale writes them, in the page's currency and the chosen time zone.

import { locale, timeZone } from "adtally/locale.js";

const DASH = "–";
/** Largest number of decimal places: sums are in millionths. */
const DEEPEST = 12;
const formats = new Map();
let currency = "USD";

/** @param {string} code ISO 4217 */
export function setCurrency(code) {
  if (code === currency) return;
  currency = code;
  formats.clear();
}

/** A total in a currency of its own, with its code: "EUR 1,200.00". @param {number} value @param {string} code ISO 4217 */
export function amount(value, code) {
  return numbers(`amount-${code}`, { style: "currency", currency: code, currencyDisplay: "code" }).format(value);
}

function numbers(key, options) {
  let found = formats.get(key);
  if (!found) formats.set(key, (found = unsigned(new Intl.NumberFormat(locale, options))));
  return found;
}

/** `made`, without the sign of a figure that is rounded to zero: -0.001 with two digits is 0.00. */
function unsigned(made) {
  const [zero, negative] = [made.format(0), made.format(-0)];
  const format = (value) => {
    const text = made.format(value);
    return text === negative ? zero : text;
  };
  return { format, resolvedOptions: () => made.resolvedOptions() };
}

/** Decimal places of the currency: 2 for dollars, 0 for yen. */
const minorDigits = () =>
  numbers("money", { style: "currency", currency, currencyDisplay: "narrowSymbol" }).resolvedOptions().maximumFractionDigits;

/** Smallest unit of the currency: 0.01 for dollars, 1 for yen. */
export const smallest = () => 10 ** -minorDigits();

/** Decimal places: the usual number, or more if a small figure would have fewer than three significant digits. */
function digits(value, usual) {
  return value ? Math.min(Math.max(usual, 2 - Math.floor(Math.log10(Math.abs(value)))), DEEPEST) : usual;
}

/** A total with the currency's decimal places; below its smallest unit with two significant digits. */
function money(value, compact) {
  const size = Math.abs(value);
  const base = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
  if (size >= 1e15) return numbers("sci", { notation: "scientific", maximumFractionDigits: 2 }).format(value);
  if (compact ? size >= 1000 : size >= 100_000) {
    const short = { ...base, notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 };
    return numbers("money-short", short).format(value);
  }
  if (size >= 1000) return numbers("money-0", { ...base, maximumFractionDigits: 0 }).format(value);
  if (compact) return price(value, true);
  if (size > 0 && size < smallest()) return numbers("money-fine", { ...base, maximumSignificantDigits: 2 }).format(value);
  return numbers("money", base).format(value);
}

/** An average of money; a small one has more decimal places than the currency. A click may cost 0.45 yen. */
function price(value, compact) {
  if (Math.abs(value) >= 1000) return money(value, compact);
  const usual = minorDigits();
  const most = digits(value, usual);
  const least = !compact ? most : Number.isInteger(value) ? 0 : usual;
  return numbers(`price-${least}-${most}`, {
    style: "currency",
    currency,
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: least,
    maximumFractionDigits: most,
  }).format(value);
}

function count(value, compact) {
  const size = Math.abs(value);
  if (size >= 1e15) return numbers("sci", { notation: "scientific", maximumFractionDigits: 2 }).format(value);
  if (size >= (compact ? 10_000 : 100_000)) {
    return numbers("short", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }
  return numbers(`count-${Number.isInteger(value)}`, { maximumFractionDigits: Number.isInteger(value) ? 0 : 1 }).format(value);
}

/**
 * A figure of one kind; a dash where there is none.
 * @param {number | null | undefined} value
 * @param {"money" | "price" | "count" | "percent" | "multiple"} kind a total of money, an average of it, …
 * @param {boolean} [compact] for the axis of a chart
 */
export function figure(value, kind, compact = false) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  if (kind === "money") return money(value, compact);
  if (kind === "price") return price(value, compact);
  if (kind === "percent") return part(value, compact, { style: "percent" }, 100);
  if (kind === "multiple") return `${part(value, compact)}×`;
  return count(value, compact);
}

/** A ratio with two decimal places, more if it is small; `scale` is the factor it is multiplied by for display. */
function part(value, compact, style = {}, scale = 1) {
  const most = digits(value * scale, 2);
  const least = compact ? 0 : most;
  return numbers(`part-${scale}-${least}-${most}`, {
    ...style,
    minimumFractionDigits: least,
    maximumFractionDigits: most,
  }).format(value);
}

/** The absolute difference of two figures of one kind, with enough digits to judge it: $1.50, $560, 0.25 pp (percentage points). */
export function gap(value, kind) {
  const size = Math.abs(value);
  if (kind === "percent") return `${part(size * 100, false)} pp`;
  return size < 100 ? figure(size, kind) : figure(Math.round(size), kind, true);
}

/** The whole number, for titles and tables of few digits. */
export function whole(value) {
  return numbers("whole", { maximumFractionDigits: 0 }).format(value);
}

/** How many of something: "1 row", "2,000 rows"; `more` where the plural is not that with an s. */
export function many(number, one, more = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : more}`;
}

/** A part of one, as percent: 0.123 is 12 %. */
export function percent(value, places = 0) {
  return numbers(`percent-${places}`, { style: "percent", maximumFractionDigits: places }).format(value);
}

/** A relative change without its sign; two digits are enough to judge it. */
export function change(value) {
  const size = Math.abs(value);
  return percent(size, size < 0.0995 ? 1 : 0);
}

/** A size in memory: 840 kB, 35 MB, 1.2 GB. */
export function bytes(value) {
  const [unit, by] = value < 1e6 ? ["kilobyte", 1e3] : value < 1e9 ? ["megabyte", 1e6] : ["gigabyte", 1e9];
  return numbers(`bytes-${unit}`, {
    style: "unit",
    unit,
    unitDisplay: "short",
    maximumFractionDigits: unit === "gigabyte" ? 1 : 0,
  }).format(value / by);
}

/**
 * A moment (seconds since 1970) as time; as date and time if `full` is true; as a date if it is "day", without the year if it is "date".
 * @param {number} at
 * @param {boolean | "day" | "date"} [full]
 */
export function moment(at, full = false) {
  const zone = timeZone();
  const key = `time-${zone}-${full}`;
  let found = formats.get(key);
  if (!found) {
    /** @type {Intl.DateTimeFormatOptions} */
    const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone };
    /** @type {Intl.DateTimeFormatOptions} */
    const date = { month: "short", day: "numeric", timeZone: zone };
    /** @type {Intl.DateTimeFormatOptions} */
    const day = { year: "numeric", ...date };
    found = new Intl.DateTimeFormat(locale, full === "date" ? date : full === "day" ? day : full ? { ...time, ...day } : time);
    formats.set(key, found);
  }
  return found.format(at * 1000);
}

/** A short time: 0.41 s, 3.2 s, and from ten seconds on as `duration` has it. */
export function seconds(value) {
  return value < 9.95 ? `${numbers("seconds", { maximumSignificantDigits: 2 }).format(value)} s` : duration(value);
}

/** A length of time in words: 4 s, 3 min, 5 h, 2 days. */
export function duration(length) {
  const rounded = Math.max(0, Math.round(length));
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 5400) return `${Math.round(rounded / 60)} min`;
  if (rounded < 172_800) return `${Math.round(rounded / 3600)} h`;
  return `${count(Math.round(rounded / 86_400))} days`;
}
