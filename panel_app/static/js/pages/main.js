// @ts-check
// The overview: draws the figures that came with the page, then asks for new ones whenever they are due and the tab is visible.

import { makeAttention, wrongSince } from "adtally/attention.js";
import { makeBreakdown, SEARCH } from "adtally/breakdown.js";
import { patch } from "adtally/patch.js";
import { makeCampaigns, makeChannels } from "adtally/table.js";
import { makeChart } from "adtally/chart.js";
import { makeControls } from "adtally/controls.js";
import { makeCrumbs } from "adtally/crumbs.js";
import { h, remember } from "adtally/dom.js";
import { downloadMenu, save } from "adtally/download.js";
import { figure, many, moment, setCurrency } from "adtally/format.js";
import { makeFilters } from "adtally/filters.js";
import { makeFunnel } from "adtally/funnel.js";
import { makeHeatmap } from "adtally/heatmap.js";
import { timeZone } from "adtally/locale.js";
import { byId, first, makeLive, setup } from "adtally/page.js";
import { makeScatter } from "adtally/scatter.js";
import { money, rates } from "adtally/money.js";
import { makeTiles } from "adtally/tiles.js";
import { changed, embedded, param, query, unfiltered } from "adtally/url.js";

const SEARCH_WAIT = 250;
const measures = new Map(setup.measures.map((one) => [one.id, one]));

/** The last answer of the server. */
let shown = first;

/** What waits until its viewer stops typing, by the parameter of the search. @type {Map<string, ReturnType<typeof setTimeout>>} */
const searching = new Map();

const live = makeLive({
  ask: (ask) => ask("view", { query: query(), have: shown.token }),
  take: (answer) => {
    shown = { ...answer, page: answer.page ?? shown.page, attention: answer.attention ?? shown.attention };
  },
  draw: () => draw(),
  follow: () => {
    controls(param("range", shown.page.span.range), shown.page);
    crumbs();
    filters();
  },
  currency: () => shown.page.currency,
  pages: [
    ["Explore the data", setup.explore],
    ["Data and pipeline", setup.data],
  ],
});
const { link, notices, show, taste } = live;

/** The widest view: all data, or the filter of an embed. */
const everything = () => ({ ...unfiltered(), ...setup.confines });
/** Show a part of the data on the whole page, and scroll to the top, where its crumbs are. */
function aim(changes) {
  for (const name of Object.keys(changes)) clearTimeout(searching.get(name));
  show(changes);
  const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
  window.scrollTo({ top: 0, behavior: quiet ? "instant" : "smooth" });
  byId("crumbs").querySelector("[data-key=back]")?.focus({ preventScroll: true });
}

const controls = makeControls(byId("controls"), setup.ranges, {
  filter: (changes) => show(changes),
  taste,
  names: (dimension, search) => link.ask("names", { dimension, search }),
  everything: () => show(everything()),
});
const tiles = makeTiles(byId("tiles"), byId("comparison"), measures, (metric) =>
  show({ metric: metric === "spend" ? "" : metric }),
);
const chart = makeChart(byId("chart"), {
  mode: (mode) => show({ chart: mode === "stacked" ? "" : mode }),
  pick: (name) => aim({ channel: [name] }),
});
const crumbs = makeCrumbs(byId("crumbs"), (changes) => show(changes), setup.confines);
const filters = makeFilters(byId("filters"), (changes) => show(changes));
const attention = makeAttention(byId("attention"), measures, {
  pick: (one) =>
    aim({
      metric: one.metric === "spend" ? "" : one.metric,
      ...(one.campaign === null ? {} : { campaign: [one.campaign], q: "" }),
    }),
  everything: setup.confines ? null : () => show(everything()),
});
const heatmap = makeHeatmap(byId("heatmap"), (changes) => aim({ ...changes, q: "" }));
const scatter = makeScatter(byId("scatter"), (changes) => aim({ ...changes, q: "" }));
const channels = makeChannels(byId("channels"), setup.measures, (name) => aim({ channel: [name] }));

/** What changes the URL once its viewer stops typing; another change of the same parameter (`aim`) takes its place. @param {string} name */
function searcher(name) {
  return (text) => {
    clearTimeout(searching.get(name));
    searching.set(
      name,
      setTimeout(() => show({ [name]: text }, false), SEARCH_WAIT),
    );
  };
}
const campaigns = makeCampaigns(byId("campaigns"), setup.measures, {
  sort: (id) => {
    const by = shown.view.sort || shown.view.metric;
    const turned = by === id && shown.view.descending;
    show({ sort: id, order: turned || (by !== id && id === "name") ? "asc" : "" }, false);
  },
  search: searcher("q"),
  all: (all) => show({ rows: all ? "all" : "" }, false),
  pick: (name) => aim({ campaign: [name], q: "" }),
  download: (format) => save(link, { what: "campaigns", format, query: query() }),
});
const breakdown = makeBreakdown(byId("breakdown"), setup.measures, {
  show: (changes, step = false) => show(changes, step),
  aim,
  search: searcher(SEARCH),
  download: embedded() ? null : (format) => save(link, { what: "breakdown", format, query: query() }),
});
const funnel = makeFunnel(byId("funnel"));
/** The cards that have a menu for files: what is saved (`downloads.SHEETS`), and its name. */
const FILES = {
  chart: ["chart", "the chart"],
  channels: ["channels", "channels"],
  funnel: ["funnel", "the funnel"],
  heatmap: ["cells", "the heatmap"],
  scatter: ["campaigns", "the scatter plot"],
};
if (!embedded()) {
  for (const [id, [what, of]] of Object.entries(FILES)) {
    byId(id)
      .querySelector(".card-head")
      .append(downloadMenu(of, (format) => save(link, { what, format, query: query() })));
  }
}

/** Draw what the last answer says. */
function draw() {
  const { page, view } = shown;
  const measure = measures.get(view.metric);
  remember(page.marks);
  setCurrency(money(page.currency, setup.currency));
  controls(page.range?.name ?? page.span.range, page);
  crumbs();
  filters();
  notices(shown.live, page, view, shown.notes);
  tiles(page, view);
  chart(page, view, measure, wrongSince(shown.attention, measures));
  channels(page, view, measure);
  campaigns(page, view, measure);
  breakdown(page, measure);
  funnel(page);
  attention(shown.attention);
  heatmap(page, measure);
  scatter(page);
  const held = page.rows
    ? `${many(page.rows, "minute row")} held, ${moment(page.oldest, true)} to ${moment(page.span.newest_end, true)}. `
    : "";
  const full =
    embedded() &&
    !setup.confines &&
    h("a", { class: "link", href: changed({ embed: "" }), target: "_blank", rel: "noopener" }, "Open the dashboard");
  patch(byId("footer"), `${held}Times in ${timeZone()}. ${rates(page.currency, setup.currency)} `, full || "");
  document.title = page.empty
    ? "adtally"
    : `${figure(page.tiles.find((tile) => tile.id === view.metric).value, measure.kind)} ${measure.label} · adtally`;
  document.documentElement.dataset.version = String(shown.live.version);
}

const brand = /** @type {HTMLAnchorElement} */ (document.querySelector(".brand"));
brand.addEventListener("click", (event) => {
  event.preventDefault();
  show({
    ...everything(),
    range: "",
    compare: "",
    breakdown: "",
    split: "",
    bsort: "",
    border: "",
    bq: "",
    brows: "",
    metric: "",
    chart: "",
    sort: "",
    order: "",
    rows: "",
  });
});
brand.href = changed(everything());
// Findings are computed over all channels together.
byId("attention").hidden = Boolean(setup.confines?.channel.length);
live.start();
