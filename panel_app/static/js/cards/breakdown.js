// @ts-check
// The table of a breakdown: what each ad, device or country got for its money. A value is pressed to show only it, or to leave it out.

import { h, icon, label } from "adtally/dom.js";
import { downloadMenu } from "adtally/download.js";
import { filterBy } from "adtally/filters.js";
import { moment, percent, whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { spark } from "adtally/spark.js";
import { bar, cells, columnsOf, SPARED, sortHead } from "adtally/table.js";
import { changeMark, verdict } from "adtally/tiles.js";
import { onlyValues, valueFilters } from "adtally/url.js";
import { breakdownName, fieldName, kindOf, valueNode, valueText } from "adtally/values.js";

/** Parameters of the URL that are this table's own: the same as those of the campaigns table with a b in front. */
export const SEARCH = "bq";
const ROWS = "brows";
const SORT = "bsort";
const ORDER = "border";

/** Columns that a phone has no room for besides several fields. */
const CLOSE = ["cpa"];

/** From which share on a part is worth a decimal place less. */
const ALMOST_ALL = 0.995;

/** A share as text that is never rounded to everything or nothing. */
function shareText(part) {
  if (part > ALMOST_ALL && part < 1) return `more than ${percent(ALMOST_ALL, 1)}`;
  return part > 0 && part < 0.001 ? `less than ${percent(0.001, 1)}` : percent(part, part < 0.1 ? 1 : 0);
}

/** How much of the page's figures is in rows with values, and what is not held, in words. @param {Answer} table @param {Answer} measure @param {Answer} span */
function coverage(table, measure, span) {
  const { coverage: covered, other, fields } = table;
  const out = [];
  if (covered !== null) {
    const what = measure.additive ? measure.label.toLowerCase() : "spend";
    const by = `${shareText(covered)} of ${what} by ${fields.map((one) => fieldName(one).toLowerCase()).join(" and ")}`;
    out.push(other ? `${by}; ${shareText(other)} in (other), so that the other rows are lower bounds.` : `${by}.`);
  }
  if (table.state === "reading") out.push("The breakdown is still being read.");
  else if (table.oldest > span.start && table.oldest > span.oldest) out.push(`It is held from ${moment(table.oldest, true)} on.`);
  return out.join(" ");
}

/** Between the name of a breakdown and one of its fields, in the list of what can be chosen: no name has it. */
const OF = "|";

/** What can be chosen: each breakdown, and each of its fields alone. @param {{name: string, fields: string[]}} breakdown @returns {[string, string][]} */
const choices = ({ name, fields }) => [
  [name, breakdownName({ name, fields })],
  ...(fields.length > 1
    ? fields.map((field) => /** @type {[string, string]} */ ([`${name}${OF}${field}`, fieldName(field)]))
    : []),
];

/**
 * @param {HTMLElement} place hidden while the server sends no breakdown
 * @param {Answer[]} measures those of the page's set-up
 * @param {object} act
 * @param {(changes: Changes, step?: boolean) => void} act.show changes the URL, in place unless it is a `step` of the history
 * @param {(changes: Changes) => void} act.aim aims the whole page
 * @param {(text: string) => void} act.search
 * @param {((format: string) => void) | null} act.download
 */
export function makeBreakdown(place, measures, act) {
  const choice = h("select", {
    class: "drop",
    id: "breakdown-choice",
    "aria-label": "Breakdown",
    onchange: () => choose(...choice.value.split(OF)),
  });
  /** Fields by the name of their breakdown. @type {Map<string, string[]>} */
  const fieldsOf = new Map();

  /** Show another breakdown, without the filters that it can't have. */
  function choose(breakdown, split = "") {
    const kept = valueFilters().filter(({ field }) => fieldsOf.get(breakdown)?.includes(field));
    act.show({ breakdown, split, [SORT]: "", [ORDER]: "", [SEARCH]: "", ...onlyValues(kept) }, true);
  }

  const search = h("input", {
    type: "search",
    class: "search",
    maxlength: 200,
    oninput: () => act.search(search.value),
  });
  const body = h("div", { class: "table-box" });
  const foot = h("div", { class: "table-foot" });
  const note = h("p", { class: "hint" });
  place.replaceChildren(
    h(
      "div",
      { class: "card-head" },
      h("div", { class: "breakdown-title" }, h("h2", {}, "By"), choice),
      h("div", { class: "card-tools" }, search, act.download && downloadMenu("the breakdown", act.download)),
    ),
    body,
    note,
    foot,
  );

  /** The columns of figures, of which the one that the table is sorted by is always shown. */
  const columnsFor = (table) => {
    const all = columnsOf(measures, table);
    const by = table.sort;
    if (table.fields.length === 1) return all;
    return all
      .filter(({ id }) => !SPARED.includes(id) || id === by)
      .map((one) => (CLOSE.includes(one.id) && one.id !== by ? { ...one, wide: true } : one));
  };

  /** One value of a row: pressed to show only it, with a button to leave it out. */
  function valueCell(table, field, value, key, last) {
    const kind = kindOf(value);
    const text = kind === "text" ? value : "";
    const shown = `${fieldName(field)} ${valueText(kind, text, 100)}`;
    const press = (sign) => act.aim({ breakdown: table.name, ...filterBy({ field, sign, kind, value: text }) });
    return h(
      last ? "th" : "td",
      { class: "name value", scope: last ? "row" : null },
      h(
        "div",
        { class: "value-line" },
        h(
          "button",
          { type: "button", class: "only", "data-key": `only-${key}`, title: `Show only ${shown}`, onclick: () => press("f") },
          valueNode(kind, text, { title: null }),
        ),
        h(
          "button",
          {
            type: "button",
            class: "leave-out",
            "data-key": `out-${key}`,
            "aria-label": `Leave out ${shown}`,
            title: `Leave out ${shown}`,
            onclick: () => press("x"),
          },
          icon("exclude", 15),
        ),
      ),
      last,
    );
  }

  function rowOf(row, at, table, measure) {
    const key = JSON.stringify(row.values).slice(0, 300);
    const { fields } = table;
    return h(
      "tr",
      { "data-key": key },
      h("td", { class: "rank" }, whole(at + 1)),
      ...fields.map((field, index) =>
        valueCell(table, field, row.values[index], `${field}-${key}`, index === fields.length - 1 && bar(row)),
      ),
      ...cells(row, table, table.sort, columnsFor(table)),
      h("td", { class: "num roomy" }, changeMark(verdict(row, measure))),
      h("td", { class: "trend roomy" }, spark(row.trend, { width: 80, height: 24 })),
    );
  }

  function sort(id, table) {
    const turned = table.sort === id && table.descending;
    act.show({ [SORT]: id, [ORDER]: turned || (table.sort !== id && id === "name") ? "asc" : "" });
  }

  function drawTable(table, measure) {
    const order = { by: table.sort, descending: table.descending };
    const head = (column) => sortHead(column, order, "breakdown", (id) => sort(id, table));
    const line = h(
      "tr",
      {},
      h("th", { class: "rank" }, h("span", { class: "hidden" }, "Rank")),
      ...table.fields.map((field, at) =>
        at ? h("th", { scope: "col", class: "left" }, fieldName(field)) : head({ id: "name", head: fieldName(field) }),
      ),
      ...columnsFor(table).map(head),
      h("th", { class: "num roomy", scope: "col" }, "Change"),
      h("th", { class: "trend roomy", scope: "col" }, "Trend"),
    );
    const rows = table.rows.map((row, at) => rowOf(row, at, table, measure));
    return h("table", {}, h("thead", {}, line), h("tbody", {}, ...rows));
  }

  return function update(page, measure) {
    const table = page.breakdown;
    place.hidden = !table;
    if (!table) return;
    for (const one of table.names) fieldsOf.set(one.name, one.fields);
    const offered = table.names.flatMap(choices);
    patch(choice, ...offered.map(([id, text]) => h("option", { value: id }, text)));
    const complete = fieldsOf.get(table.name)?.length === table.fields.length;
    choice.value = complete ? table.name : `${table.name}${OF}${table.fields[0]}`;
    const plural = table.fields.map((one) => fieldName(one).toLowerCase()).join(", ");
    search.placeholder = `Search ${plural}`;
    search.setAttribute("aria-label", `Search ${plural}`);
    if (document.activeElement !== search) search.value = table.search;
    place.setAttribute("aria-label", `By ${label(plural, 100)}`);
    if (!table.rows.length)
      patch(body, h("p", { class: "none" }, search.value ? "No value matches the search." : "No value has data in this view."));
    else patch(body, drawTable(table, measure));
    patch(note, coverage(table, measure, page.span));
    const every = table.all_rows;
    const rest = table.total_rows - table.rows.length;
    const button = (text, changes) =>
      h("button", { type: "button", class: "link", "data-key": "breakdown-rows", onclick: () => act.show(changes) }, text);
    patch(
      foot,
      every && button("Show the top 10", { [ROWS]: "" }),
      every &&
        rest > 0 &&
        h("span", {}, `The first ${whole(table.rows.length)} of ${whole(table.total_rows)}; search finds the others.`),
      !every && rest > 0 && button(`Show all ${whole(table.total_rows)}`, { [ROWS]: "all" }),
    );
  };
}
