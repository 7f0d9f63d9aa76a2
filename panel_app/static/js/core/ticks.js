// @ts-check
// Where the axis of time has its marks: at round times of the page's zone, whatever its distance from UTC, also where a day has 23 or 25 hours.

import { locale, timeZone } from "adtally/locale.js";

const DAY = 1440;
/** Minutes between two marks. */
const STEPS = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  180,
  360,
  720,
  DAY,
  2 * DAY,
  4 * DAY,
  7 * DAY,
  14 * DAY,
  28 * DAY,
  91 * DAY,
  182 * DAY,
  364 * DAY,
];

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

function format(options) {
  const key = `${timeZone()} ${JSON.stringify(options)}`;
  const found =
    formats.get(key) ?? new Intl.DateTimeFormat(options.timeZoneName ? "en-US" : locale, { timeZone: timeZone(), ...options });
  formats.set(key, found);
  return found;
}

/** @type {Map<string, number>} */
const known = new Map();
const MOST = 20_000;

/** The distance of the page's zone from UTC at a moment (seconds since 1970), in minutes. @param {number} at */
export function offsetAt(at) {
  const key = `${timeZone()} ${at}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const parts = format({ timeZoneName: "longOffset", year: "numeric" }).formatToParts(at * 1000);
  const text = parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /([+-])(\d+):(\d+)/.exec(text) ?? [null, "+", "0", "0"];
  const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  if (known.size > MOST) known.clear();
  known.set(key, offset);
  return offset;
}

/** Whether the clock of the page's zone is changed between two moments. @param {number} start @param {number} end */
export const clockChanges = (start, end) => offsetAt(start) !== offsetAt(end);

/** The distance from UTC at a moment, in words: "GMT+2". @param {number} at */
export function offsetName(at) {
  const parts = format({ timeZoneName: "shortOffset", year: "numeric" }).formatToParts(at * 1000);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}

/**
 * The points at which the axis has a mark, and the minutes between two of them.
 * @param {number[]} points seconds since 1970, ascending
 * @param {number} most number of marks
 * @returns {{at: number[], step: number}}
 */
export function ticks(points, most) {
  const local = points.map((at) => at / 60 + offsetAt(at));
  for (const step of STEPS) {
    const part = local.map((minutes) => Math.floor(minutes / step));
    // A clock that is put back passes the same times twice: the second time has no mark.
    const at = points.filter((_, index) => (index ? part[index] > part[index - 1] : local[0] % step === 0));
    if (at.length <= most) return { at, step };
  }
  return { at: points.slice(0, 1), step: STEPS[STEPS.length - 1] };
}

/** Whether a point begins a day of the page's zone. @param {number} at */
export const beginsDay = (at) => (at / 60 + offsetAt(at)) % DAY === 0;
