// @ts-check
// The campaigns table and the channel table.

import { h, label, named } from "adtally/dom.js";
import { downloadButtons } from "adtally/download.js";
import { figure, whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { spark } from "adtally/spark.js";
import { channelColor } from "adtally/theme.js";
import { changeMark, verdict } from "adtally/tiles.js";

/**
 * Heads of the columns whose names are too long for a table.
 * @type {Record<string, string>}
 */
const HEADS = { conversions: "Conv.", cpa: "Cost/conv.", roas: "Return" };

/** Columns that a table without room for all gives up first. */
export const SPARED = ["cpc", "ctr"];

/** Columns that a narrow table and the channel table have, too. */
const NARROW = ["spend", "conversions", "cpa"];

/**
 * @param {any[]} measures those of the page's set-up
 * @param {any} table whose `columns` are ids of measures
 * @returns {any[]} the columns of the table
 */
export function columnsOf(measures, table) {
  const shown = measures.filter((one) => table.columns.includes(one.id));
  return shown.map((one) => ({
    id: one.id,
    head: HEADS[one.id] ?? (one.short || one.label),
    label: one.label,
    kind: one.kind,
    wide: !NARROW.includes(one.id),
    spare: SPARED.includes(one.id),
  }));
}

/** Classes of the cells of a column of figures. */
const classes = (column) => `num${column.wide ? " roomy" : ""}${column.spare ? " spare" : ""}`;

/** The figures of a row, one cell for each column. */
export function cells(row, table, chosen, columns) {
  return columns.map((column) =>
    h(
      "td",
      { class: `${classes(column)}${column.id === chosen ? " chosen" : ""}` },
      figure(row.figures[table.columns.indexOf(column.id)], column.kind),
    ),
  );
}

/** The bar below a name: its share of the largest row. */
export function bar(row, color = "") {
  const inner = h("span", { class: "bar-in" });
  inner.style.width = `${(row.share * 100).toFixed(1)}%`;
  if (color) inner.style.background = color;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

/**
 * The head of a column that the table can be sorted by.
 * @param {any} column
 * @param {{by: string, descending: boolean}} order of the table
 * @param {string} table for the keys of its buttons
 * @param {(id: string) => void} sort
 */
export function sortHead(column, order, table, sort) {
  const on = order.by === column.id;
  const arrow = on ? (order.descending ? "\u00a0↓" : "\u00a0↑") : "";
  const button = h(
    "button",
    {
      type: "button",
      "data-key": `sort-${table}-${column.id}`,
      title: column.label ? `Sort by ${column.label}` : null,
      onclick: () => sort(column.id),
    },
    column.head,
    h("span", { "aria-hidden": "true" }, arrow),
  );
  const kind = column.id === "name" ? "left" : classes(column);
  const sorted = on ? (order.descending ? "descending" : "ascending") : null;
  return h("th", { scope: "col", class: kind, "aria-sort": sorted }, button);
}

/**
 * @param {HTMLElement} place
 * @param {any[]} measures those of the page's set-up
 * @param {Record<string, (...given: any[]) => void>} act `sort(id)`, `search(text)`, `all(boolean)`, `pick(name)`, `download(format)`
 */
export function makeCampaigns(place, measures, act) {
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: "Search campaigns",
    "aria-label": "Search campaigns",
    maxlength: 200,
    oninput: () => act.search(search.value),
  });
  const download = downloadButtons("campaigns", act.download);
  const body = h("div", { class: "table-box" });
  const foot = h("div", { class: "table-foot" });
  place.replaceChildren(
    h("div", { class: "card-head" }, h("h2", {}, "Top campaigns"), h("div", { class: "card-tools" }, search, download)),
    body,
    foot,
  );

  return function update(page, view, measure) {
    if (document.activeElement !== search) search.value = view.search;
    const table = page.campaigns;
    const allColumns = columnsOf(measures, table);
    const by = view.sort || view.metric;
    const rows = table.rows.map((row, at) =>
      h(
        "tr",
        { "data-key": row.name.slice(0, 200) },
        h("td", { class: "rank" }, whole(at + 1)),
        h(
          "th",
          { scope: "row", class: "name" },
          h(
            "button",
            {
              type: "button",
              "data-key": `row-${row.name.slice(0, 200)}`,
              title: `Show only ${label(row.name, 200)}`,
              onclick: () => act.pick(row.name),
            },
            named(row.name, { title: null }),
          ),
          bar(row),
        ),
        ...cells(row, table, by, allColumns),
        h("td", { class: "num roomy" }, changeMark(verdict(row, measure))),
        h("td", { class: "trend roomy" }, spark(row.trend, { width: 80, height: 24 })),
      ),
    );
    if (!rows.length) {
      const why = view.search ? "No campaign matches the search." : "No campaign has data in this view.";
      patch(body, h("p", { class: "none" }, why));
    } else {
      const order = { by, descending: view.descending };
      const heads = [{ id: "name", head: "Campaign" }, ...allColumns].map((column) =>
        sortHead(column, order, "campaigns", act.sort),
      );
      const line = h(
        "tr",
        {},
        h("th", { class: "rank" }, h("span", { class: "hidden" }, "Rank")),
        ...heads,
        h("th", { class: "num roomy", scope: "col" }, "Change"),
        h("th", { class: "trend roomy", scope: "col" }, "Trend"),
      );
      patch(body, h("table", {}, h("thead", {}, line), h("tbody", {}, ...rows)));
    }
    const rest = table.matched - rows.length;
    const more = view.all_rows
      ? [
          h("button", { type: "button", class: "link", "data-key": "rows", onclick: () => act.all(false) }, "Show the top 10"),
          rest > 0 && h("span", {}, `The first ${whole(rows.length)} of ${whole(table.matched)}; search finds the others.`),
        ]
      : rest > 0 && [
          h(
            "button",
            { type: "button", class: "link", "data-key": "rows", onclick: () => act.all(true) },
            `Show all ${whole(table.matched)}`,
          ),
        ];
    patch(foot, ...(more || []));
  };
}

/**
 * @param {HTMLElement} place
 * @param {any[]} measures those of the page's set-up
 * @param {(name: string) => void} pick
 */
export function makeChannels(place, measures, pick) {
  const body = h("div", { class: "table-box" });
  place.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, "Channels")), body);
  return function update(page, view, measure) {
    const table = page.channels;
    const allColumns = columnsOf(measures, table);
    const own = allColumns.filter((column) => !column.wide);
    if (!table.rows.length) return patch(body, h("p", { class: "none" }, "No channel has data in this view."));
    const colors = new Map(page.chart.series.map((series) => [series.name, series.color]));
    const extra = allColumns.find((column) => column.id === view.metric && !own.includes(column));
    const columns = extra ? [{ ...extra, wide: false }, ...own.filter((one) => one.id !== "conversions")] : own;
    const rows = table.rows.map((row) =>
      h(
        "tr",
        { "data-key": row.name.slice(0, 200) },
        h(
          "th",
          { scope: "row", class: "name" },
          h(
            "button",
            {
              type: "button",
              "data-key": `channel-${row.name.slice(0, 200)}`,
              title: `Show only ${label(row.name, 200)}`,
              onclick: () => pick(row.name),
            },
            named(row.name, { title: null }),
          ),
          bar(row, channelColor(colors.get(row.name) ?? -1)),
        ),
        ...cells(row, table, view.metric, columns),
        h("td", { class: "num" }, changeMark(verdict(row, measure))),
      ),
    );
    const line = h(
      "tr",
      {},
      h("th", { scope: "col", class: "left" }, "Channel"),
      ...columns.map((column) => h("th", { scope: "col", class: "num" }, column.head)),
      h("th", { scope: "col", class: "num" }, "Change"),
    );
    return patch(body, h("table", {}, h("thead", {}, line), h("tbody", {}, ...rows)));
  };
}
