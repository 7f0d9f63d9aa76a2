// @ts-check
// Campaigns by channels: a table whose cells are tinted by their figure. Each cell shows its figure as text, so that colour is not the only cue.

import { h, label, named } from "adtally/dom.js";
import { figure, many } from "adtally/format.js";
import { patch } from "adtally/patch.js";

/** The strongest tint, in percent: text keeps a contrast of 4.5 on it in both themes. */
const STRONGEST = 58;
const FAINTEST = 5;

/** Pixels that a name and a figure need; if there is less room, the table scrolls sideways inside its card. */
const WIDTHS = { wide: { name: 120, cell: 76 }, narrow: { name: 92, cell: 52 } };
const NARROW = 640;

/** From a figure to the strength of its tint. Amounts start at nothing, rates at the lowest one there is. */
function strengths(values, additive) {
  const known = values.flat().filter((value) => value !== null);
  const top = Math.max(...known, 0);
  const bottom = additive ? 0 : Math.min(...known);
  return (value) =>
    top > bottom ? FAINTEST + (STRONGEST - FAINTEST) * Math.max(0, (value - bottom) / (top - bottom)) : FAINTEST;
}

/** A figure as short as a cell on a phone: no cents from a hundred on, thousands as K. */
const brief = (value, kind) =>
  (kind === "money" || kind === "price") && Math.abs(value) >= 100
    ? figure(Math.round(value), kind, true)
    : figure(value, kind, kind === "count");

/**
 * @param {HTMLElement} place
 * @param {(changes: Changes) => void} pick filters to a campaign, a channel, or both
 */
export function makeHeatmap(place, pick) {
  const title = h("h2", {}, "");
  const body = h("div", { class: "table-box", tabindex: "0", role: "group" });
  const foot = h("div", { class: "table-foot" });
  place.replaceChildren(h("div", { class: "card-head" }, title), body, foot);

  const button = (key, name, change, ...inner) =>
    h(
      "button",
      { type: "button", "data-key": `heat-${key.slice(0, 200)}`, title: `Show only ${name}`, onclick: () => pick(change) },
      ...inner,
    );

  return function update(page, measure) {
    const { campaigns, channels, values, more } = page.heatmap;
    patch(title, `${measure.label} by campaign and channel`);
    body.setAttribute("aria-label", title.textContent);
    if (!campaigns.length) {
      patch(foot);
      return patch(body, h("p", { class: "none" }, "No campaign has data in this view."));
    }
    const narrow = innerWidth <= NARROW;
    const strength = strengths(values, measure.additive);
    const cell = (value, row, column) => {
      if (value === null) return h("td", { class: "heat-none" }, "–");
      const [campaign, channel] = [campaigns[row], channels[column]];
      const inner = button(
        `${campaign.slice(0, 90)} ${channel.slice(0, 90)}`,
        `${label(campaign, 100)}, ${label(channel, 100)}`,
        { campaign: [campaign], channel: [channel] },
        narrow ? brief(value, measure.kind) : figure(value, measure.kind),
      );
      inner.style.setProperty("--heat", `${strength(value).toFixed(1)}%`);
      return h("td", { class: "heat" }, inner);
    };
    const head = h(
      "tr",
      {},
      h("th", { scope: "col", class: "left" }, "Campaign"),
      ...channels.map((name) =>
        h("th", { scope: "col" }, button(`channel-${name}`, label(name, 200), { channel: [name] }, named(name, { title: null }))),
      ),
    );
    const rows = campaigns.map((name, row) =>
      h(
        "tr",
        { "data-key": name.slice(0, 200) },
        h(
          "th",
          { scope: "row", class: "heat-name" },
          button(`campaign-${name}`, label(name, 200), { campaign: [name] }, named(name, { title: null })),
        ),
        ...values[row].map((value, column) => cell(value, row, column)),
      ),
    );
    const table = h("table", { class: "heatmap" }, h("thead", {}, head), h("tbody", {}, ...rows));
    const { name: first, cell: each } = narrow ? WIDTHS.narrow : WIDTHS.wide;
    table.style.minWidth = `${first + each * channels.length}px`;
    patch(body, table);
    const rest = [more[0] && many(more[0], "smaller campaign"), more[1] && many(more[1], "smaller channel")]
      .filter(Boolean)
      .join(" and ");
    return patch(
      foot,
      h(
        "span",
        {},
        `${measure.kind === "price" ? "A stronger colour means a higher cost" : "A stronger colour means more"}.${rest ? ` ${rest} not shown.` : ""}`,
      ),
    );
  };
}
