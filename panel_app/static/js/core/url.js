// @ts-check
// The URL is the state of the page: every control writes it, and the server reads the view from it.

/** The query part that the page shows now. */
export function query() {
  return location.search.slice(1);
}

/** All values of a parameter. @param {string} name */
export function params(name) {
  return new URLSearchParams(location.search).getAll(name);
}

/** Value of a parameter, the last if there are several, as on the server; or `fallback`. @param {string} name */
export function param(name, fallback = "") {
  return params(name).at(-1) ?? fallback;
}

/**
 * The names in the filters of the URL. The answer of the server says which are applied.
 * @returns {{campaign: string[], channel: string[]}}
 */
export function filters() {
  return { campaign: [...new Set(params("campaign"))], channel: [...new Set(params("channel"))] };
}

/** Parameters with a meaning of their own: a field of that name is filtered with a prefix only. */
const NAMED = new Set(
  (
    "breakdown bq brows bsort border by campaign channel chart compare currency embed every from grain interval kind measure metric " +
    "order page paused q range reason rows sort split theme to tz week"
  ).split(" "),
);

/** Fields of the breakdowns. @type {string[]} */
let fields = [];

/** Declare the fields that the URL can filter by. @param {string[]} names */
export function declareFields(names) {
  fields = names;
}

/**
 * A filter on the values of a field, as `figures/views/breakdown_filter.py` reads it from the URL.
 * @typedef {{field: string, sign: "f" | "x", kind: "text" | "null" | "other", value: string}} ValueFilter `sign` x excludes
 */

/** What a parameter filters by; null if it is not a filter. @param {string} name @returns {{field: string, sign: "f" | "x", kind: "text" | "null" | "other"} | null} */
function target(name) {
  const [sign, rest] = [name.slice(0, 1), name.slice(2)];
  if (name[1] === "." && (sign === "f" || sign === "x")) {
    if (fields.includes(rest)) return { field: rest, sign, kind: "text" };
    for (const kind of /** @type {("null" | "other")[]} */ (["null", "other"]))
      if (rest.endsWith(`.${kind}`) && fields.includes(rest.slice(0, -kind.length - 1)))
        return { field: rest.slice(0, -kind.length - 1), sign, kind };
  }
  return fields.includes(name) && !NAMED.has(name) ? { field: name, sign: "f", kind: "text" } : null;
}

/** The filters on values in the URL. @returns {ValueFilter[]} */
export function valueFilters() {
  /** @type {Map<string, ValueFilter>} */
  const found = new Map();
  for (const [name, value] of new URLSearchParams(location.search)) {
    const own = target(name);
    if (own) found.set(JSON.stringify([own, own.kind === "text" && value]), { ...own, value: own.kind === "text" ? value : "" });
  }
  return [...found.values()];
}

/** The change of the URL that leaves `wanted` of the filters on values, written with their prefixes. @param {ValueFilter[]} wanted @returns {Changes} */
export function onlyValues(wanted) {
  /** @type {Map<string, string[]>} */
  const values = new Map();
  for (const name of new URLSearchParams(location.search).keys()) if (target(name)) values.set(name, []);
  for (const { field, sign, kind, value } of wanted) {
    const name = `${sign}.${field}${kind === "text" ? "" : `.${kind}`}`;
    values.set(name, [...(values.get(name) ?? []), kind === "text" ? value : "1"]);
  }
  return Object.fromEntries(values);
}

/** The change of the URL that removes every filter. @returns {Changes} */
export function unfiltered() {
  return { campaign: "", channel: "", q: "", ...onlyValues([]) };
}

/**
 * The address with some parameters changed; an empty value takes one out, an array gives one for each.
 * @param {Record<string, string | string[]>} changes
 */
export function changed(changes) {
  // Unchanged parameters are copied as they are: decoding and encoding would alter a name that is not UTF-8.
  const kept = query()
    .split("&")
    .filter((pair) => pair && ![...new URLSearchParams(pair).keys()].some((name) => Object.hasOwn(changes, name)));
  const added = new URLSearchParams();
  for (const [name, value] of Object.entries(changes)) {
    // In a list, an empty name is a name; a single empty value removes the parameter.
    if (Array.isArray(value)) for (const one of value) added.append(name, one);
    else if (value !== "") added.append(name, value);
  }
  const text = [...kept, ...(added.size ? [added.toString()] : [])].join("&");
  return `${location.pathname}${text ? `?${text}` : ""}`;
}

/**
 * Go there. Changes that the viewer may want to undo (range, filters, measure) are steps of the browser's history.
 * @param {Record<string, string | string[]>} changes
 * @param {boolean} [step]
 */
export function go(changes, step = true) {
  const address = changed(changes);
  if (address === location.pathname + location.search) return;
  if (step) {
    // Scroll position and focus, which going back restores.
    const key = document.activeElement?.getAttribute("data-key") ?? "";
    history.replaceState({ ...history.state, top: window.scrollY, key }, "");
    history.pushState({ steps: (history.state?.steps ?? 0) + 1 }, "", address);
  } else history.replaceState(history.state, "", address);
}

/** Whether the step before this one, in the browser's history, was on this page. */
export function inside() {
  return (history.state?.steps ?? 0) > 0;
}

/** Whether the page is embedded in another one (`embed=1`): it shows only figures. */
export function embedded() {
  return param("embed") === "1";
}

/**
 * The address of another page, with the display options of this page's URL (theme, time zone, currency, first day of the week).
 * @param {string} href
 */
export function carried(href) {
  const there = new URL(href, location.href);
  for (const name of ["theme", "tz", "week", "currency", "every", "paused"]) {
    const value = param(name);
    if (value) there.searchParams.set(name, value);
  }
  return there.href;
}
