// @ts-check
// Building the page. Text goes in as text nodes only: names are untrusted input, and innerHTML is not used anywhere.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children. `on…` attributes are listeners, null and false ones are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | boolean)} children strings become text nodes; null, undefined and booleans are left out
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * The same for an SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | boolean)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Current handlers by element and event type; each refresh replaces them. @type {WeakMap<Element, Map<string, ((event: any) => void) | null>>} */
const acts = new WeakMap();

function listen(element, type, act) {
  const own = acts.get(element) ?? new Map();
  acts.set(element, own);
  if (!own.has(type)) element.addEventListener(type, (event) => own.get(type)?.(event));
  own.set(type, act);
}

/** Give `element` the handlers of `other`, which `h` or `svg` made. @param {Element} element @param {Element} other */
export function takeListeners(element, other) {
  const own = acts.get(element);
  if (own) for (const type of own.keys()) own.set(type, null);
  for (const [type, act] of acts.get(other) ?? []) listen(element, type, act);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) listen(element, name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && typeof child !== "boolean"));
  return element;
}

// Controls, and marks that turn the direction of text or can't be seen: shown as a replacement character. Kept are those that a script or
// a picture is written with: joiners between letters of the scripts that have them or between parts of an emoji, selectors of a variant.
const JOINING = ["Arab", "Syrc", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym", "Sinh"]
  .map((script) => `\\p{scx=${script}}`)
  .join("");
const MEANT = [
  `(?<=[${JOINING}])[\\u200c\\u200d](?=[${JOINING}])`,
  "(?<=\\p{ExtPict}[\\ufe0f\\p{EMod}]?)\\u200d(?=\\p{ExtPict})",
  "(?<=\\p{Emoji})\\ufe0f",
  "(?<=\\p{sc=Han})[\\u{e0100}-\\u{e01ef}]",
].join("|");
const UNSEEN = new RegExp(`(?!${MEANT})[\\p{DI}\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}\\u2800]`, "gu");

/**
 * A name as people may see it: nothing invisible, nothing that changes the direction of text, and of limited length.
 * @param {string} name
 * @param {number} [limit] characters
 */
export function label(name, limit = 120) {
  const plain = name.slice(0, limit * 4).replace(UNSEEN, "\ufffd");
  const shown = plain.length > limit || name.length > limit * 4 ? `${[...plain].slice(0, limit).join("")}…` : plain;
  return shown.trim() === "" ? "(blank name)" : shown;
}

/** How names that look like another one differ from it, as received from the server. */
const marks = new Map();

/** Store the server's marks of names that look alike. @param {Record<string, {short: string, long: string}>} found */
export function remember(found) {
  for (const [name, mark] of Object.entries(found)) marks.set(name, mark);
}

/** The mark of a name that looks like another one: the difference in a word, with the code points in its tooltip; or null. */
export function markOf(name) {
  const mark = marks.get(name);
  return mark
    ? h(
        "span",
        { class: "alike", title: mark.long },
        h("span", { "aria-hidden": "true" }, "≈"),
        mark.short && ` ${mark.short}`,
        h("span", { class: "hidden" }, ` (${mark.long})`),
      )
    : null;
}

/** A name in an element with isolated text direction, with its mark if another name looks like it. @returns {HTMLElement} */
export function named(name, attributes = {}) {
  const text = h("bdi", { title: label(name, 300), ...attributes }, label(name));
  const mark = markOf(name);
  return mark ? h("span", { class: "named" }, text, " ", mark) : text;
}

const ICONS = {
  refresh: "M20 11a8 8 0 1 0-.6 4M20 5v6h-6",
  pause: "M9 5v14M15 5v14",
  play: "M8 5l11 7-11 7z",
  menu: "M12 5.5v.01M12 12v.01M12 18.5v.01",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M19.1 4.9l-1.8 1.8M6.7 17.3l-1.8 1.8",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  down: "M6 9l6 6 6-6",
  left: "M15 6l-6 6 6 6",
  right: "M9 6l6 6-6 6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  back: "M11 6l-6 6 6 6M5 12h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 5v9M12 18.5v.01",
  star: "M12 4l2.4 5.2 5.6.6-4.2 3.8 1.2 5.6-5-2.9-5 2.9 1.2-5.6L4 9.8l5.6-.6z",
  rise: "M5 16l5-5 3 3 6-7M14 7h5v5",
  close: "M6 6l12 12M18 6L6 18",
  exclude: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M6.5 6.5l11 11",
};

/** One of the page's icons, hidden from screen readers: the button that holds it has a name. */
export function icon(name, size = 20) {
  const path = svg("path", { d: ICONS[name] });
  return svg("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true" }, path);
}
