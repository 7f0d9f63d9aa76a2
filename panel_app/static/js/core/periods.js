// @ts-check
// Names of ranges and comparisons, and days of the calendar. A day is a text, `2026-11-30`, without a time zone.

import { duration } from "adtally/format.js";
import { locale, timeZone } from "adtally/locale.js";
import { param } from "adtally/url.js";

/** Ranges that end with the newest minute. @type {Record<string, string>} */
export const ROLLING = {
  "15m": "15 min",
  "30m": "30 min",
  "1h": "1 hour",
  "3h": "3 hours",
  "6h": "6 hours",
  "24h": "24 hours",
  "7d": "7 days",
  "30d": "30 days",
};

/** Ranges of days in the page's time zone. @type {Record<string, string>} */
export const CALENDAR = {
  today: "Today",
  yesterday: "Yesterday",
  last7d: "Last 7 days",
  last30d: "Last 30 days",
  mtd: "Month to date",
  last_month: "Last month",
};

/** What figures are compared with: text of the choice, words in a sentence, name in a legend. @type {Record<string, [string, string, string]>} */
export const COMPARISONS = {
  before: ["Period before", "the period before", "Period before"],
  elapsed: ["Same elapsed part", "the same part of the period before", "Same part before"],
  "7d": ["7 days before", "the same days a week before", "7 days before"],
  "364d": ["364 days before", "the same weekdays a year before", "364 days before"],
  none: ["Nothing", "nothing", ""],
};

/** @typedef {{shown: string, words: string, legend: string}} Comparison */

/** What the page is compared with, in words. @param {Answer | null | undefined} compare @returns {Comparison} */
export function compared(compare) {
  const [shown, words, legend] = COMPARISONS[compare?.how ?? "before"] ?? COMPARISONS.before;
  return { shown, words, legend };
}

const CUSTOM = /^(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)$/;

/** First and last day of a custom range (`2026-11-01..2026-11-15`), or null. @param {string} range @returns {[string, string] | null} */
export function daysOf(range) {
  const found = CUSTOM.exec(range);
  return found && isDay(found[1]) && isDay(found[2]) ? [found[1], found[2]] : null;
}

/** Noon of a day in UTC: far from both of its ends. */
const noon = (day) => new Date(`${day}T12:00:00Z`);

/** Whether a text is a day of the calendar. @param {string} text */
export const isDay = (text) => {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? noon(text) : null;
  return at !== null && !Number.isNaN(at.getTime()) && dayOf(at) === text;
};

const dayOf = (at) => at.toISOString().slice(0, 10);

/** The day `count` days later. @param {string} day @param {number} count */
export function plusDays(day, count) {
  const at = noon(day);
  at.setUTCDate(at.getUTCDate() + count);
  return dayOf(at);
}

/** The same day `count` months later, or the last one of that month. @param {string} day @param {number} count */
export function plusMonths(day, count) {
  const [year, month, date] = day.split("-").map(Number);
  const last = new Date(Date.UTC(year, month + count, 0, 12)).getUTCDate();
  return dayOf(new Date(Date.UTC(year, month - 1 + count, Math.min(date, last), 12)));
}

/** Day of the week, 0 for the one that weeks begin with. @param {string} day */
export function weekday(day) {
  return (noon(day).getUTCDay() + (param("week") === "sunday" ? 0 : 6)) % 7;
}

/** The days of the weeks that a month is in. @param {string} day any day of the month @returns {string[]} */
export function monthDays(day) {
  const first = `${day.slice(0, 7)}-01`;
  const begin = plusDays(first, -weekday(first));
  const last = plusDays(plusMonths(first, 1), -1);
  const end = plusDays(last, 6 - weekday(last));
  const days = [begin];
  while (days[days.length - 1] < end) days.push(plusDays(days[days.length - 1], 1));
  return days;
}

/** A day as the viewer's locale writes it. @param {string} day @param {Intl.DateTimeFormatOptions} [as] */
export function written(day, as = { month: "short", day: "numeric", year: "numeric" }) {
  return new Intl.DateTimeFormat(locale, { ...as, timeZone: "UTC" }).format(noon(day));
}

/** The day of a moment (seconds since 1970) in the page's time zone. @param {number} at */
export function dayAt(at) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: timeZone(), year: "numeric", month: "2-digit", day: "2-digit" });
  const found = Object.fromEntries(parts.formatToParts(at * 1000).map(({ type, value }) => [type, value]));
  return `${found.year.padStart(4, "0")}-${found.month}-${found.day}`;
}

/** Two days as one text: "Nov 1 – 15, 2026" in the viewer's locale. @param {string} from @param {string} to */
export function stretch(from, to) {
  const format = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", year: "numeric", timeZone: "UTC" });
  return format.formatRange(noon(from), noon(to));
}

/** A range in words. @param {string} range as in the URL */
export function rangeName(range) {
  const days = daysOf(range);
  return days ? stretch(...days) : (CALENDAR[range] ?? ROLLING[range] ?? range);
}

/** Whether a range is one of days. @param {string} range */
export const ofDays = (range) => Object.hasOwn(CALENDAR, range) || daysOf(range) !== null;

/** The days that a range of days is compared with, such as "Nov 17 – 23, 2026"; empty for other ranges. @param {Answer} page */
export function comparedDays({ range, compare }) {
  const days = compare && compare.end > compare.start && ofDays(range?.name ?? "");
  return days ? stretch(dayAt(compare.start), dayAt(compare.end - 1)) : "";
}

const DAY = 86_400;
/** Seconds of a day on which the clock is put forward. */
export const SHORTEST_DAY = 23 * 3600;

/** Names of the lengths that a point can have, in seconds: days, weeks and months are not always the same. @type {[number, string][]} */
const LENGTHS = [
  [60, "minute"],
  [3600, "hour"],
  [DAY, "day"],
  [7 * DAY, "week"],
  [30 * DAY, "month"],
];

/** The length of a point in words. */
export function lengthOf({ span }) {
  const near = span.bucket >= SHORTEST_DAY ? 0.1 : 0;
  return LENGTHS.find(([length]) => Math.abs(span.bucket - length) <= near * length)?.[1] ?? duration(span.bucket);
}

/** The range in words: "last hour", "today", "Nov 1 – 15, 2026". */
export function rangeOf({ span, range }) {
  const name = range?.name ?? span.range;
  if (daysOf(name)) return rangeName(name);
  if (ofDays(name)) return rangeName(name).toLowerCase();
  return span.length === 3600
    ? "last hour"
    : span.length > DAY
      ? `last ${Math.round(span.length / DAY)} days`
      : span.length > 3600
        ? `last ${Math.round(span.length / 3600)} hours`
        : `last ${Math.round(span.length / 60)} minutes`;
}
