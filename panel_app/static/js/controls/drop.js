// @ts-check
// A button that opens a panel below it: a dialog that closes with Escape, or when the viewer presses elsewhere.

import { h, icon } from "adtally/dom.js";

/**
 * @param {string} name of the panel, for screen readers
 * @param {{open: () => void, close?: () => void}} on what to do when it opens, with the focus still on the button, and closes
 * @returns {{box: HTMLElement, button: HTMLElement, text: HTMLElement, panel: HTMLElement, shown: () => boolean, close: (back?: boolean) => void}}
 *   `text` is what the button says; `close` returns the focus to the button unless `back` is false
 */
export function makeDrop(name, on) {
  const panel = h("div", { class: "picker", role: "dialog", "aria-label": name, hidden: true });
  const text = h("span", {});
  const button = h(
    "button",
    {
      type: "button",
      class: "drop",
      "aria-expanded": "false",
      "aria-haspopup": "dialog",
      onclick: () => (panel.hidden ? open() : close()),
    },
    text,
    icon("down", 16),
  );
  const box = h("div", { class: "drop-box" }, button, panel);

  function open() {
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    on.open();
  }

  function close(back = true) {
    if (panel.hidden) return;
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    on.close?.();
    if (back) button.focus();
  }

  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    close();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(/** @type {Node} */ (event.target))) close(false);
  });
  return { box, button, text, panel, shown: () => !panel.hidden, close };
}
