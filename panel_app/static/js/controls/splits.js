// @ts-check
// What the rows of Explore are split by: a box for each dimension and each field of a breakdown, as many as one breakdown has together.

import { toast } from "adtally/dialog.js";
import { h } from "adtally/dom.js";
import { param } from "adtally/url.js";
import { fieldName } from "adtally/values.js";

/** Dimensions besides fields. */
const NAMES = { campaign: "Campaign", channel: "Channel", currency: "Currency" };

/**
 * @param {string[]} dimensions besides fields
 * @param {{name: string, fields: string[]}[]} breakdowns
 */
export function makeSplits(dimensions, breakdowns) {
  /** What the URL calls a field that rows are split by: a name with another meaning has a prefix. @param {string} field */
  const nameOf = (field) => (dimensions.includes(field) || field === "none" ? `f.${field}` : field);
  /** Fields by what the URL calls them. @type {Map<string, string>} */
  const fields = new Map(breakdowns.flatMap((one) => one.fields.map((field) => [nameOf(field), field])));

  /** Whether a breakdown has all these fields. @param {string[]} wanted @param {string} [name] of the breakdown */
  const together = (wanted, name) =>
    breakdowns.some((one) => (!name || one.name === name) && wanted.every((field) => one.fields.includes(field)));

  /** The fields among boxes. @param {HTMLInputElement[]} boxes */
  const fieldsOf = (boxes) => boxes.flatMap((box) => fields.get(box.value) ?? []);

  /** Take out the fields that no breakdown has together with `own`, which was chosen last, and say so. @param {HTMLInputElement[]} boxes @param {string} own */
  function keepTogether(boxes, own) {
    const others = boxes.filter((box) => fields.has(box.value) && fields.get(box.value) !== own);
    const apart = others.filter((box) => !together([own, ...fieldsOf([box])]));
    // Each of two may fit while both do not.
    const out = apart.length ? apart : others;
    for (const box of out) box.checked = false;
    const names = fieldsOf(out).map(fieldName).join(" and ");
    toast("together", `No breakdown has ${fieldName(own)} together with ${names}; the rows are split by ${fieldName(own)} now.`);
  }

  return {
    /** The boxes, checked as the answer of the server says. @param {Answer} ask @param {Answer} currency */
    draw: (ask, currency) =>
      [
        ...dimensions.filter((id) => id !== "currency" || ask.by.includes(id) || currency.available.length > 1),
        ...fields.keys(),
      ].map((id) => {
        const field = fields.get(id);
        const box = h("input", { type: "checkbox", name: "by", value: id });
        box.checked = field === undefined ? ask.by.includes(id) : ask.fields.includes(field);
        return h("label", { class: "chip" }, box, field === undefined ? NAMES[id] : fieldName(field));
      }),
    /** The change of the URL after a box was pressed, if one was. @param {HTMLElement} form @param {HTMLInputElement} pressed @returns {Changes} */
    chosen: (form, pressed) => {
      /** @returns {HTMLInputElement[]} */
      const checked = () => /** @type {any} */ ([...form.querySelectorAll('input[name="by"]:checked')]);
      const own = pressed.name === "by" && pressed.checked ? fields.get(pressed.value) : undefined;
      while (own !== undefined && !together(fieldsOf(checked()))) keepTogether(checked(), own);
      const boxes = checked();
      const by = boxes.map((box) => box.value).join(",") || "none";
      // A breakdown that the URL names may lack a field.
      return together(fieldsOf(boxes), param("breakdown")) ? { by } : { by, breakdown: "" };
    },
  };
}
