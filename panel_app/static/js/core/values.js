// @ts-check
// Values of a breakdown's fields: a text, "(not set)" where the event has none, and "(other)" for the sum of what was not admitted. The
// last two are drawn as their own kind, so that a client's own text "(other)" looks like a text.

import { h, label, named } from "adtally/dom.js";

/** Names of the contract's own fields; a field that only this deployment has goes by its name. @type {Map<string, [string, string]>} */
const FIELDS = new Map([
  ["adgroup_id", ["Ad group", "ad groups"]],
  ["ad_id", ["Ad", "ads"]],
  ["keyword", ["Keyword", "keywords"]],
  ["placement", ["Placement", "placements"]],
  ["device", ["Device", "devices"]],
  ["country", ["Country", "countries"]],
  ["landing_page", ["Landing page", "landing pages"]],
  ["click_id", ["Click ID", "click IDs"]],
]);

/** What a field is called. @param {string} field */
export const fieldName = (field) => FIELDS.get(field)?.[0] ?? label(field, 40);

/** What a breakdown is called: "ad (Ad group, Ad)", or its field where it has one. @param {{name: string, fields: string[]}} breakdown */
export const breakdownName = ({ name, fields }) =>
  fields.length === 1 ? fieldName(fields[0]) : `${label(name, 40)}: ${fields.map(fieldName).join(", ")}`;

/** The kind of a value as it is in a key of the results. @param {string | null | true} value @returns {"text" | "null" | "other"} */
export const kindOf = (value) => (value === null ? "null" : value === true ? "other" : "text");

/** Words for a value that is not a text. @type {Record<"null" | "other", [string, string]>} */
const WORDS = {
  null: ["(not set)", "Events without this field"],
  other: ["(other)", "The sum of the values beyond the bound of this breakdown (ADTALLY_BREAKDOWN_CELLS)"],
};

/** A value as text. @param {"text" | "null" | "other"} kind @param {string} value @param {number} [limit] characters */
export const valueText = (kind, value, limit = 120) => (kind === "text" ? label(value, limit) : WORDS[kind][0]);

/** A value in an element. @param {"text" | "null" | "other"} kind @param {string} value @param {Record<string, any>} [attributes] */
export function valueNode(kind, value, attributes = {}) {
  return kind === "text"
    ? named(value, attributes)
    : h("em", { class: "not-text", title: WORDS[kind][1], ...attributes }, WORDS[kind][0]);
}
