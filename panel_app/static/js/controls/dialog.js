// @ts-check
// Confirmation dialogs and short messages.

import { h, icon } from "adtally/dom.js";

/**
 * Ask before something is done. The native dialog keeps the focus inside and closes with Escape.
 * @param {{title: string, text: string[], yes: string, no: string}} words
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes, no }) {
  return new Promise((resolve) => {
    const keep = h("button", { type: "button", class: "button plain", onclick: () => dialog.close("") }, no);
    const go = h("button", { type: "button", class: "button danger", onclick: () => dialog.close("yes") }, yes);
    const dialog = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "dialog-title" },
      h("h2", { id: "dialog-title" }, title),
      ...text.map((line) => h("p", {}, line)),
      h("div", { class: "dialog-foot" }, keep, go),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.getElementById("layer")?.append(dialog);
    dialog.showModal();
    keep.focus();
  });
}

const toasts = new Map();

/**
 * A message at the foot of the page; a message with the same `id` is replaced.
 * @param {string} id
 * @param {string} text
 * @param {{action?: string, press?: () => void, seconds?: number}} [more]
 */
export function toast(id, text, { action, press, seconds = 6 } = {}) {
  dismiss(id);
  const close = h(
    "button",
    { type: "button", class: "tool", "aria-label": "Dismiss", onclick: () => dismiss(id) },
    icon("close", 16),
  );
  const act =
    action &&
    h(
      "button",
      {
        type: "button",
        class: "link",
        onclick: () => {
          dismiss(id);
          press?.();
        },
      },
      action,
    );
  const box = h("div", { class: "toast" }, h("span", {}, text), act, close);
  document.getElementById("toasts")?.append(box);
  toasts.set(id, { box, timer: setTimeout(() => dismiss(id), seconds * 1000) });
}

/** Remove a message. @param {string} id */
export function dismiss(id) {
  const found = toasts.get(id);
  if (!found) return;
  clearTimeout(found.timer);
  found.box.remove();
  toasts.delete(id);
}
