// The URL is the state of the page: every control writes it, and the server reads the view from it.

/** The query part that the page shows now. */
export function query() {
  return location.search.slice(1);
}

/** One parameter, or `fallback`. @param {string} name */
export function param(name, fallback = "") {
  return new URLSearchParams(location.search).get(name) ?? fallback;
}

/** All values of a parameter. @param {string} name */
export function params(name) {
  return new URLSearchParams(location.search).getAll(name);
}

/**
 * The address with some parameters changed; an empty value takes one out, an array gives one for each.
 * @param {Record<string, string | string[]>} changes
 */
export function changed(changes) {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) if (one !== "") next.append(name, one);
  }
  const text = next.toString();
  return `${location.pathname}${text ? `?${text}` : ""}`;
}

/**
 * Go there. What one would want to come back to (range, filters, measure) is a step of its own in the browser's history.
 * @param {Record<string, string | string[]>} changes
 * @param {boolean} [step]
 */
export function go(changes, step = true) {
  const address = changed(changes);
  if (address === location.pathname + location.search) return;
  if (step) history.pushState({ steps: (history.state?.steps ?? 0) + 1 }, "", address);
  else history.replaceState(history.state, "", address);
}

/** Whether the step before this one, in the browser's history, was on this page. */
export function inside() {
  return (history.state?.steps ?? 0) > 0;
}

/** Whether the page stands in another one (`embed=1`): nothing in it but figures. */
export function embedded() {
  return param("embed") === "1";
}

/**
 * The address of another page, with what of this one's URL is the viewer's taste and not the page's.
 * @param {string} href
 */
export function carried(href) {
  const there = new URL(href, location.href);
  for (const name of ["theme", "tz", "every", "paused"]) {
    const value = param(name);
    if (value) there.searchParams.set(name, value);
  }
  return there.href;
}
