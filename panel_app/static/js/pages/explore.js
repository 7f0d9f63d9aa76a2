// @ts-check
// The Explore page: its form is the URL, the plots come from the server, and the table is drawn here.

import { makeCrumbs } from "adtally/crumbs.js";
import { makeFilters } from "adtally/filters.js";
import { toast } from "adtally/dialog.js";
import { h, icon, named, remember } from "adtally/dom.js";
import { downloadButtons, save } from "adtally/download.js";
import { figure, many, moment, setCurrency } from "adtally/format.js";
import { timeZone } from "adtally/locale.js";
import { apartText, money, rates } from "adtally/money.js";
import { makeLines } from "adtally/notices.js";
import { byId, first, leadBack, linked, loadLink, otherTheme, reveal, setup } from "adtally/page.js";
import { patch } from "adtally/patch.js";
import { makeDays } from "adtally/ranges.js";
import { makeSplits } from "adtally/splits.js";
import { adopt, remembering } from "adtally/taste.js";
import { applyTheme, onSystemTheme } from "adtally/theme.js";
import { changed, embedded, go, params, query } from "adtally/url.js";
import { fieldName } from "adtally/values.js";
import { makeCurrencies, makeZones } from "adtally/zones.js";

const SPANS = {
  "15m": "15 minutes",
  "30m": "30 minutes",
  "1h": "1 hour",
  "3h": "3 hours",
  "6h": "6 hours",
  "24h": "24 hours",
  "7d": "7 × 24 hours",
  "30d": "30 × 24 hours",
  today: "Today",
  yesterday: "Yesterday",
  last7d: "Last 7 days",
  last30d: "Last 30 days",
  mtd: "Month to date",
  last_month: "Last month",
  all: "Everything held",
};
const GRAINS = {
  auto: "Automatic",
  "1m": "Minute",
  "5m": "5 minutes",
  "15m": "15 minutes",
  "1h": "Hour",
  "1d": "Day",
  "1w": "Week",
  "1mo": "Month",
};
/** Width in pixels up to which names next to the plots are short and only few of them are in a row. */
const NARROW = 640;
/** Height in pixels of the card around the plots. */
const FRAME = 36;
let shown = first;

const link = linked({
  changed: () => refresh(),
  ready: () => refresh(),
  lost: () => toast("lost", "The connection is lost; the page comes back by itself.", { seconds: 3600 }),
});
const dark = () => document.documentElement.dataset.theme === "dark";

/** The name of a range: two dates are their own. @param {string} id */
const spanName = (id) => SPANS[id] ?? id.replace("..", " – ");

function choice(name, text, options, value) {
  const select = h(
    "select",
    { name, id: `ask-${name}` },
    ...Object.entries(options).map(([id, words]) => h("option", { value: id }, words)),
  );
  select.value = value;
  return h("label", {}, h("span", {}, text), select);
}

const splits = makeSplits(setup.splits, setup.breakdowns);

const taste = (changes) => {
  go(remembering(changes), false);
  refresh();
};
const zones = makeZones(taste);
const currencies = makeCurrencies(taste);
const days = makeDays(async (changes) => {
  go(changes);
  await refresh();
  drawForm();
  days.box.querySelector("button")?.focus();
}, taste);
const labelled = (text, box) => h("div", { class: "ask-drop" }, h("span", {}, text), box);
const amounts = labelled("Money in", currencies.box);

/** The pickers next to the form's own controls, which show what the URL and the answer say. */
function updatePickers() {
  zones.update();
  currencies.update(shown.currency);
  amounts.hidden = currencies.box.hidden;
  days.update(shown.ask.span, { start: 0, end: 0 });
}

function drawForm() {
  const { ask } = shown;
  const ticks = setup.measures.map((one) => {
    const box = h("input", { type: "checkbox", name: "measure", value: one.id });
    box.checked = ask.measures.includes(one.id);
    return h("label", { class: "chip" }, box, one.label);
  });
  byId("ask").replaceChildren(
    choice(
      "range",
      "Range",
      Object.fromEntries([...new Set([...setup.spans, ask.span])].map((id) => [id, spanName(id)])),
      ask.span,
    ),
    choice("grain", "One point per", Object.fromEntries(setup.grains.map((id) => [id, GRAINS[id] ?? id])), ask.grain),
    choice("kind", "Drawn as", setup.kinds, ask.kind),
    labelled("Days", days.box),
    labelled("Times in", zones.box),
    amounts,
    h(
      "fieldset",
      { class: "chips" },
      h("legend", {}, "Split by (each combination is a series)"),
      ...splits.draw(ask, shown.currency),
    ),
    h("fieldset", { class: "chips" }, h("legend", {}, "Measures (up to four)"), ...ticks),
  );
}

/** A time from the server, in UTC. */
const time = (text) => moment(Date.parse(`${text}Z`) / 1000, true);

/** The head of a column: the name of a breakdown's field is the contract's. */
const heading = (name, at) => (shown.kinds[at] === "field" ? fieldName(name) : name);

function cell(value, kind) {
  if (kind === "time") return h("td", {}, time(String(value)));
  if (kind === "text" || kind === "field") return h("td", { class: "cut" }, named(String(value)));
  return h("td", { class: "num" }, figure(value, kind));
}

/** The rows; split by currency, each writes its amounts in its own. */
function tableRows() {
  const usual = money(shown.currency, setup.currency);
  const at = shown.ask.by.includes("currency") ? shown.columns.indexOf("Currency") : -1;
  const rows = shown.rows.map((row) => {
    if (at >= 0) setCurrency(String(row[at]));
    return h("tr", {}, ...row.map((value, place) => cell(value, shown.kinds[place])));
  });
  setCurrency(usual);
  return rows;
}

function drawTable() {
  const head = h(
    "div",
    { class: "card-head" },
    h("h2", {}, "What is shown"),
    downloadButtons("what is shown", (format) => save(link, { format, query: query() })),
  );
  if (!shown.total) return patch(byId("table"), head, h("p", { class: "none" }, "No results are held for this range."));
  const columns = h(
    "tr",
    {},
    ...shown.columns.map((name, at) =>
      h("th", { scope: "col", class: ["text", "field", "time"].includes(shown.kinds[at]) ? "left" : "num" }, heading(name, at)),
    ),
  );
  const rows = tableRows();
  const rest = shown.total - rows.length;
  return patch(
    byId("table"),
    head,
    h("div", { class: "table-box scroll", tabindex: "0" }, h("table", {}, h("thead", {}, columns), h("tbody", {}, ...rows))),
    rest > 0 &&
      h(
        "p",
        { class: "hint" },
        `${many(rest, shown.kinds.includes("time") ? "older row" : "smaller row")} ${rest === 1 ? "is" : "are"} in the CSV.`,
      ),
  );
}

const notices = makeLines(byId("notices"));
const crumbs = makeCrumbs(
  byId("crumbs"),
  (changes) => {
    go(changes);
    refresh();
  },
  setup.confines,
);

const filters = makeFilters(byId("filters"), (changes) => {
  go(changes);
  refresh();
});

function draw() {
  applyTheme();
  updatePickers();
  filters();
  remember(shown.marks);
  setCurrency(money(shown.currency, setup.currency));
  const apart = apartText(shown.currency);
  notices([...shown.notes, ...(apart ? [apart] : [])].map((text) => ["warn", text]));
  crumbs();
  const button = byId("theme");
  button.replaceChildren(icon(dark() ? "sun" : "moon"));
  button.setAttribute("aria-label", dark() ? "Light theme" : "Dark theme");
  patch(byId("note"), shown.note);
  const own = timeZone();
  patch(
    byId("zone"),
    `Times are in ${own}${shown.zone === own ? "" : ", those of the plots in UTC"}, those of the CSV and Parquet files in UTC. ${shown.ask.by.includes("currency") ? "Money of each row is in its own currency." : rates(shown.currency, setup.currency)}`,
  );
  // Where nothing is drawn, the table says why.
  byId("plots").hidden = !shown.total || shown.ask.kind === "table";
  const [wide, narrow] = shown.heights;
  byId("plots").style.minHeight = `${(innerWidth <= NARROW ? narrow : wide) + FRAME}px`;
  drawTable();
}

let running = false;
let again = false;
async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  const asked = query();
  byId("main").setAttribute("aria-busy", "true");
  try {
    shown = await link.ask("explore", { query: asked, dark: dark(), narrow: innerWidth <= NARROW, zone: timeZone() });
    draw();
    if (link.attached()) document.documentElement.dataset.linked = "";
  } catch {
    // The toast says so.
  }
  running = false;
  byId("main").removeAttribute("aria-busy");
  if (again || asked !== query()) {
    again = false;
    refresh();
  }
}

byId("ask").addEventListener("change", (event) => {
  if (!event.target.name) return;
  const form = new FormData(byId("ask"));
  let measures = form.getAll("measure");
  if (measures.length > 4) {
    event.target.checked = false;
    measures = new FormData(byId("ask")).getAll("measure");
    toast("four", "Four measures at a time; take one away first.");
  }
  const text = (name) => String(form.get(name) ?? "");
  const by = splits.chosen(byId("ask"), event.target);
  go({ ...by, range: text("range"), grain: text("grain"), kind: text("kind"), measure: measures.map(String) });
  refresh();
});
window.addEventListener("popstate", async () => {
  await refresh();
  drawForm();
});
byId("theme").addEventListener("click", () => {
  go(otherTheme(), false);
  draw();
  refresh();
});
onSystemTheme(() => applyTheme() && refresh());

const adopted = adopt(setup.taste);
leadBack();
if (setup.logout && !embedded()) byId("theme").before(h("a", { class: "link", id: "logout", href: setup.logout }, "Log out"));
if (!params("measure").length && location.search === "") history.replaceState(null, "", changed({}));
reveal();
drawForm();
draw();
byId("main").removeAttribute("aria-busy");
loadLink();
if (adopted) refresh();
