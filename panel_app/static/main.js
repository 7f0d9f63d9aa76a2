// The overview: draws the figures that came with the page, then asks for new ones whenever they are due and the tab is looked at.

import { makeAttention, wrongSince } from "adtally/attention.js";
import { makeCampaigns, makeChannels } from "adtally/table.js";
import { makeChart } from "adtally/chart.js";
import { makeControls } from "adtally/controls.js";
import { makeClear } from "adtally/clear.js";
import { makeCrumbs } from "adtally/crumbs.js";
import { toast } from "adtally/dialog.js";
import { h } from "adtally/dom.js";
import { downloadMenu, save } from "adtally/download.js";
import { figure, moment, setCurrency, timeZone, whole } from "adtally/format.js";
import { makeFunnel } from "adtally/funnel.js";
import { makeHeader, paused } from "adtally/header.js";
import { makeHeatmap } from "adtally/heatmap.js";
import { runLate } from "adtally/late.js";
import { connect } from "adtally/link.js";
import { makeLoop } from "adtally/loop.js";
import { makeNotices } from "adtally/notices.js";
import { makeScatter } from "adtally/scatter.js";
import { applyTheme, onSystemTheme } from "adtally/theme.js";
import { makeTiles } from "adtally/tiles.js";
import { changed, embedded, go, param, query } from "adtally/url.js";

const SEARCH_WAIT = 250;
const byId = (id) => document.getElementById(id);
const setup = JSON.parse(byId("setup").textContent);
const measures = new Map(setup.measures.map((one) => [one.id, one]));
setCurrency(setup.currency);

/** The last answer of the server. */
let shown = JSON.parse(byId("first").textContent);

const link = connect({
  changed: () => loop.refresh(),
  ready: () => {
    document.documentElement.dataset.linked = "";
    if (document.visibilityState === "visible") loop.refresh();
  },
  lost: () => loop.tick(),
  refused: () => toast("refused", `There is no live connection. If this dashboard may be reached as ${location.host}, start it with --allow-origin ${location.host}.`, { seconds: 3600 }),
});

const show = (changes, step = true) => {
  go(changes, step);
  follow();
};

const clearing = makeClear(link, { rows: () => shown.live.rows, done: () => loop.refresh() });
const header = makeHeader(byId("header"), {
  refresh: () => loop.refresh(),
  pause: () => show({ paused: paused() ? "" : "1" }, false),
  theme: () => show({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }, false),
  clear: () => clearing.clear(),
  set: (changes) => show(changes, false),
  pages: [["Explore the data", setup.explore], ["Data and pipeline", setup.data]],
});
const notices = makeNotices(byId("notices"), setup);
const controls = makeControls(byId("controls"), setup.ranges, {
  filter: (changes) => show(changes),
  names: (dimension, search) => link.ask("names", { dimension, search }),
  everything: () => show({ campaign: "", channel: "", q: "" }),
});
const tiles = makeTiles(byId("tiles"), setup.measures, (metric) => show({ metric: metric === "spend" ? "" : metric }));
const chart = makeChart(byId("chart"), {
  mode: (mode) => show({ chart: mode === "stacked" ? "" : mode }),
  pick: (name) => show({ channel: name }),
});
const crumbs = makeCrumbs(byId("crumbs"), (changes) => show(changes));
const attention = makeAttention(byId("attention"), {
  pick: (one) => show({ metric: one.metric === "spend" ? "" : one.metric, ...(one.campaign === null ? {} : { campaign: one.campaign, q: "" }) }),
  everything: () => show({ campaign: "", channel: "", q: "" }),
});
const heatmap = makeHeatmap(byId("heatmap"), (changes) => show({ ...changes, q: "" }));
const scatter = makeScatter(byId("scatter"), (changes) => show({ ...changes, q: "" }));
const channels = makeChannels(byId("channels"), (name) => show({ channel: name }));
let searching = 0;
const campaigns = makeCampaigns(byId("campaigns"), {
  sort: (id) => {
    const by = shown.view.sort || shown.view.metric;
    const turned = by === id && shown.view.descending;
    show({ sort: id, order: turned || (by !== id && id === "name") ? "asc" : "" }, false);
  },
  search: (text) => {
    clearTimeout(searching);
    searching = setTimeout(() => show({ q: text }, false), SEARCH_WAIT);
  },
  all: (all) => show({ rows: all ? "all" : "" }, false),
  pick: (name) => show({ campaign: name, q: "" }),
  download: (format) => save(link, { what: "campaigns", format, query: query() }),
});
const funnel = makeFunnel(byId("funnel"));
/** The cards that have a menu for files: what is saved (`downloads.SHEETS`), and its name. */
const FILES = { chart: ["chart", "the chart"], channels: ["channels", "channels"], funnel: ["funnel", "the funnel"], heatmap: ["cells", "the heatmap"], scatter: ["campaigns", "the scatter plot"] };
if (!embedded()) {
  for (const [id, [what, of]] of Object.entries(FILES)) {
    byId(id).querySelector(".card-head").append(downloadMenu(of, (format) => save(link, { what, format, query: query() })));
  }
}

/** Draw what the last answer says. */
function draw() {
  const { page, view, live } = shown;
  const measure = measures.get(view.metric);
  applyTheme();
  header.update();
  controls(page.span.range);
  crumbs();
  notices(live, page, view);
  tiles(page, view);
  chart(page, view, measure, wrongSince(shown.attention));
  channels(page, view, measure);
  campaigns(page, view, measure);
  funnel(page);
  attention(shown.attention);
  heatmap(page, measure);
  scatter(page);
  const held = page.rows ? `${whole(page.rows)} minute rows held, ${moment(page.oldest, true)} to ${moment(page.span.newest_end, true)}. ` : "";
  const full = embedded() && h("a", { class: "link", href: changed({ embed: "" }), target: "_blank", rel: "noopener" }, "Open the dashboard");
  byId("footer").replaceChildren(`${held}Times in ${timeZone()}. Money in ${setup.currency}. `, full || "");
  document.title = page.empty ? "adtally" : `${figure(page.tiles.find((tile) => tile.id === view.metric).value, measure.kind)} ${measure.label} · adtally`;
  byId("main").removeAttribute("aria-busy");
  document.documentElement.dataset.version = String(live.version);
}

const loop = makeLoop({
  ask: () => link.ask("view", { query: query(), have: shown.token }),
  take: (answer) => {
    shown = { ...answer, page: answer.page ?? shown.page, attention: answer.attention ?? shown.attention };
    clearing.offerUndo(answer.live);
    draw();
  },
  tick: (now) => header.tick(shown.live, { ...now, late: setup.late }),
  lost: () => link.lost(),
});

/** After the URL changed: at once what can be shown without the server, then its answer. */
function follow() {
  const recolored = applyTheme();
  header.update();
  controls(param("range", shown.page.span.range));
  crumbs();
  if (recolored) draw();
  loop.later();
  loop.refresh();
}

window.addEventListener("popstate", follow);
onSystemTheme(() => applyTheme() && draw());
const brand = document.querySelector(".brand");
brand.addEventListener("click", (event) => {
  event.preventDefault();
  const kept = param("theme");
  go({ range: "", campaign: "", channel: "", metric: "", chart: "", sort: "", order: "", q: "", rows: "", theme: kept });
  follow();
});
brand.href = changed({ campaign: "", channel: "", q: "" });
clearing.offerUndo(shown.live);
draw();
loop.tick();
performance.mark("adtally:drawn");
runLate(byId("late")).catch(() => toast("failed", "The live connection could not be loaded; reload the page to try again."));
