// @ts-check
// Downloads of the data that is shown: buttons for CSV and Parquet, and saving the answer as a file.

import { toast } from "adtally/dialog.js";
import { h, icon } from "adtally/dom.js";

/**
 * Ask for a file and have the browser save it.
 * @param {{ask: (kind: string, more: Answer) => Promise<any>}} link
 * @param {{format: string, query: string, what?: string}} wanted `what` names the part of the overview (`downloads.SHEETS`)
 */
export async function save(link, wanted) {
  try {
    const file = await link.ask("download", wanted);
    const bytes = Uint8Array.from(atob(file.data), (one) => one.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: file.media }));
    h("a", { href: address, download: file.name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } catch {
    toast("failed", "No connection at the moment; try again in a few seconds.");
  }
}

/** File formats (`downloads.FILES`): text of the button, of the menu item, and for screen readers. */
const FORMATS = [
  ["csv", "CSV", "CSV", "as CSV"],
  ["semicolons", "CSV ;", "CSV with semicolons", "with semicolons and decimal commas"],
  ["parquet", "Parquet", "Parquet", "as Parquet"],
];

/**
 * The buttons of a card.
 * @param {string} of what is saved, for the buttons' names: "campaigns"
 * @param {(format: string) => void} press
 * @returns {HTMLElement}
 */
export function downloadButtons(of, press) {
  const button = (format, words, ...inner) =>
    h(
      "button",
      {
        type: "button",
        class: "button",
        "data-key": `save-${of}-${format}`,
        "aria-label": `Download ${of} ${words}`,
        title: `Download ${of} ${words}`,
        onclick: () => press(format),
      },
      ...inner,
    );
  const buttons = FORMATS.map(([id, short, , words], at) => button(id, words, ...(at ? [] : [icon("download", 16)]), short));
  return h("div", { class: "button-pair", role: "group", "aria-label": `Download ${of}` }, ...buttons);
}

/**
 * The same behind an icon, for a card whose head has no room.
 * @param {string} of
 * @param {(format: string) => void} press
 * @returns {HTMLElement}
 */
export function downloadMenu(of, press) {
  /** @param {string[]} format id, extension, text and spoken words */
  const pick = ([format, , text, words]) =>
    h(
      "button",
      {
        type: "button",
        class: "menu-item",
        "aria-label": `Download ${of} ${words}`,
        title: `Download ${of} ${words}`,
        onclick: () => {
          box.open = false;
          press(format);
        },
      },
      text,
    );
  const summary = h(
    "summary",
    { class: "tool small", "aria-label": `Download ${of}`, title: `Download ${of}` },
    icon("download", 17),
  );
  const box = h("details", { class: "save" }, summary, h("div", { class: "menu" }, ...FORMATS.map(pick)));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.open) return;
    box.open = false;
    summary.focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(/** @type {Node} */ (event.target))) box.open = false;
  });
  return box;
}
