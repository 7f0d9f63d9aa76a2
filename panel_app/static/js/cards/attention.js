// @ts-check
// What needs attention, in words: what changed, since when, how much money, and how sure. A click filters the page by it.

import { h, icon, label, named } from "adtally/dom.js";
import { duration, figure, many, moment, percent, smallest, whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { params } from "adtally/url.js";

const FIRST = 4;
const YEAR = 365;

const GOOD = new Set(["cpa_down"]);
const NEUTRAL = new Set(["surge", "ctr_up"]);
/** Whether a finding is good news; of an own metric its declaration says so. */
function toneOf(one, measures) {
  const own = { own_up: "up", own_down: "down" }[one.kind];
  if (!own) return GOOD.has(one.kind) ? "good" : NEUTRAL.has(one.kind) ? "flat" : "bad";
  const { good } = measures.get(one.metric);
  return good === "neither" ? "flat" : good === own ? "good" : "bad";
}
const SIGN = { good: ["star", "Good news"], flat: ["rise", "Worth knowing"], bad: ["alert", "Problem"] };

/** How many times the usual: one decimal is enough, and none from ten on. */
function times(one) {
  const factor = one.now / one.usual;
  return `${figure(factor < 10 ? Math.round(factor * 10) / 10 : Math.round(factor), "count")}×`;
}

const each = (value) => figure(value < 10 ? value : Math.round(value), "count", true);
const amount = (value) => figure(value, "price");

/** What to look at first. */
const NEXT = {
  silent: "Was it stopped or rejected, or is its budget used up?",
  drop: "Check its budget, bids and approval.",
  surge: "If this was not intended, check its budget.",
  flood: "Check where the clicks come from before paying for more.",
  unconverted: "Check its tracking and its landing page, or stop it.",
  cpa_up: "Check its landing page and its bids.",
  cpa_down: "Room to scale?",
  ctr_down: "Check its ads and whom they are shown to.",
  ctr_up: "See which ad does it.",
  own_up: "See which ads and channels it comes from.",
  own_down: "See which ads and channels it comes from.",
};
/** The same where all campaigns moved at once. */
const NEXT_OF_ALL = "It is all campaigns at once: check the site, its tracking and the data first.";

/** Title and sentence of a finding. */
function words(one, measures) {
  const measure = measures.get(one.metric);
  const own = (value) => (measure.additive ? `${each(value)} a minute` : figure(value, measure.kind));
  const figures = () => `${one.now === null ? "None" : own(one.now)}, was ${own(one.usual)}.`;
  const expected = each(Math.max(Math.round(one.expected), 1));
  return {
    silent: () => ["Fallen silent", `No impression and no click; ${each(one.usual)} a minute were usual.`],
    drop: () => ["Traffic has dropped", `${each(one.now)} impressions and clicks a minute; ${each(one.usual)} were usual.`],
    surge: () => [
      `Traffic is ${times(one)} the usual`,
      `${each(one.now)} impressions and clicks a minute; ${each(one.usual)} were usual.`,
    ],
    flood: () => [
      `Click flood, ${times(one)} the usual`,
      `${each(one.now)} clicks a minute, ${each(one.usual)} were usual; impressions did not follow.`,
    ],
    unconverted: () => ["Spends without converting", `No conversion; about ${expected} would be usual.`],
    cpa_up: () => [`Cost per conversion ${times(one)}`, `${amount(one.now)}, was ${amount(one.usual)}.`],
    cpa_down: () => ["Conversions are cheaper than usual", `${amount(one.now)} each, was ${amount(one.usual)}.`],
    ctr_down: () => [
      `Click rate down ${percent(1 - one.now / one.usual)}`,
      `${figure(one.now, "percent")}, was ${figure(one.usual, "percent")}.`,
    ],
    own_up: () => [one.now === null ? `${measure.label}: no event to count` : `${measure.label} ${times(one)}`, figures()],
    own_down: () => [`${measure.label} down ${percent(1 - (one.now ?? 0) / one.usual)}`, figures()],
    ctr_up: () => [`Click rate ${times(one)}`, `${figure(one.now, "percent")}, was ${figure(one.usual, "percent")}.`],
  }[one.kind]();
}

/** The money it is about; nothing where it is less than can be paid. */
function money(one) {
  if (one.money < smallest()) return "";
  const said = { missed: "of revenue missed", extra: "more than usual spent", spent: "spent", saved: "saved" }[one.money_kind];
  return `${figure(one.money, "money")} ${said} `;
}

/** How sure: how often steady traffic would look like this. */
function sure(one) {
  if (one.chance >= 1) return "Wearing off.";
  const days = 1 / one.chance;
  if (days < 2) return "Chance alone does this about once a day.";
  if (days < 2 * YEAR) return `Chance alone does this once in ${each(Math.floor(days))} days.`;
  return days < 1000 * YEAR
    ? `Chance alone does this once in ${each(Math.floor(days / YEAR))} years.`
    : "Chance alone does this less than once in 1,000 years.";
}

function item(one, until, pick, measures) {
  const [title, sentence] = words(one, measures);
  const tone = toneOf(one, measures);
  const [sign, spoken] = SIGN[tone];
  const who = one.campaign === null ? h("span", {}, "All campaigns") : named(one.campaign, { title: null });
  const key = `finding-${one.kind}-${(one.campaign ?? "").slice(0, 200)}`;
  return h(
    "li",
    { "data-key": key },
    h(
      "button",
      {
        type: "button",
        class: "finding",
        "data-key": key,
        "data-kind": one.kind,
        title: one.campaign === null ? null : `Show only ${label(one.campaign, 200)}`,
        onclick: () => pick(one),
      },
      h("span", { class: "sign", "data-tone": tone }, icon(sign, 16), h("span", { class: "hidden" }, `${spoken}: `)),
      h(
        "span",
        { class: "finding-text" },
        h("b", {}, title),
        h("span", { class: "finding-who" }, who),
        h("span", {}, sentence),
        h("span", { class: "finding-next" }, one.campaign === null && tone !== "good" ? NEXT_OF_ALL : NEXT[one.kind]),
        h(
          "span",
          { class: "finding-more" },
          `${money(one)}since ${moment(one.since)} (${duration(until - one.since)}). ${sure(one)}`,
        ),
      ),
    ),
  );
}

const CHECKS = ["Silence", "Click floods", "Spend without conversions", "Jumps of click rate", "Jumps of cost per conversion"];

/** What was looked at, where nothing was found. */
function checked(report) {
  const whom = many(report.campaigns, "campaign");
  const checks = CHECKS.map((check) => h("li", {}, icon("check", 14), check));
  return [
    h(
      "span",
      { class: "hint" },
      `${whom} checked up to ${moment(report.until)}, against ${duration(report.hours * 3600)} of history:`,
    ),
    h("ul", { class: "checks hint" }, ...checks),
  ];
}

/** Since when something has been wrong with the one campaign that is shown; null where all is well or more are shown. */
export function wrongSince(report, measures) {
  const [one, ...more] = params("campaign");
  const own = more.length ? [] : report.findings.filter((found) => found.campaign === one && toneOf(found, measures) === "bad");
  return own.length ? Math.min(...own.map((found) => found.since)) : null;
}

/**
 * @param {HTMLElement} place
 * @param {Map<string, Answer>} measures all measures by id
 * @param {{pick: (one: Answer) => void, everything: (() => void) | null}} act `everything` is null if nothing beyond the filters may be shown
 */
export function makeAttention(place, measures, act) {
  const count = h("span", { class: "count", hidden: true });
  const body = h("div", { class: "attention-body" });
  const foot = h("div", { class: "table-foot attention-foot" });
  place.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, "Needs attention ", count)), body, foot);
  let all = false;
  let last = null;

  function update(report) {
    last = report;
    const chosen = params("campaign");
    const own = chosen.length
      ? report.findings.filter((one) => one.campaign === null || chosen.includes(one.campaign))
      : report.findings;
    const elsewhere = act.everything ? report.total - own.length : 0;
    count.hidden = !own.length;
    body.classList.toggle("whole", all && own.length > FIRST);
    patch(count, whole(chosen.length ? own.length : report.total));
    if (!report.campaigns) {
      patch(
        body,
        h(
          "p",
          { class: "none" },
          report.until ? "Checks start once there are 20 complete minutes." : "Checks start once results arrive.",
        ),
      );
    } else if (!own.length) {
      const here = chosen.length && elsewhere ? "Nothing needs attention here" : "Nothing needs attention";
      patch(
        body,
        h(
          "div",
          { class: "all-well" },
          h("span", { class: "sign", "data-tone": "good" }, icon("check", 16)),
          h("div", {}, h("b", {}, here), ...checked(report)),
        ),
      );
    } else {
      const shown = all ? own : own.slice(0, FIRST);
      patch(body, h("ul", { class: "findings" }, ...shown.map((one) => item(one, report.until, act.pick, measures))));
    }
    const toggle =
      own.length > FIRST &&
      h(
        "button",
        {
          type: "button",
          class: "link",
          "data-key": "findings",
          onclick: () => {
            all = !all;
            update(last);
          },
        },
        all ? `Show the first ${FIRST}` : `Show all ${whole(own.length)}`,
      );
    const rest =
      !chosen.length &&
      report.total > report.findings.length &&
      all &&
      h("span", {}, `${whole(report.total - report.findings.length)} more of less weight`);
    const others =
      chosen.length > 0 &&
      elsewhere > 0 &&
      h(
        "button",
        { type: "button", class: "link", "data-key": "elsewhere", onclick: act.everything },
        `${whole(elsewhere)} in other campaigns`,
      );
    patch(foot, toggle, rest, others);
  }
  return update;
}
