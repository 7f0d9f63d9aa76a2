// @ts-check
// Light or dark: the system's setting until the viewer chooses, which is then in the URL.

import { param } from "adtally/url.js";

const system = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"light" | "dark"} */
export function theme() {
  const asked = param("theme");
  if (asked === "light" || asked === "dark") return asked;
  return system.matches ? "dark" : "light";
}

/** Put the theme on the page. @returns whether it changed */
export function applyTheme() {
  const before = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = theme();
  return before !== theme();
}

/** Call `then` when the system's setting changes. @param {() => void} then */
export function onSystemTheme(then) {
  system.addEventListener("change", then);
}

/** The value of a custom property, for what is drawn on a canvas. @param {string} name */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The colour of a channel by its number; -1 is all the small ones together. @param {number} number */
export function channelColor(number) {
  return color(number < 0 ? "channel-rest" : `channel-${number % 8}`);
}
