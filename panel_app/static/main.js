// The overview: draws the figures that came with the page, then asks for new ones whenever they are due and the tab is looked at.

import { makeAttention, wrongSince } from "adtally/attention.js";
import { makeCampaigns, makeChannels } from "adtally/table.js";
import { makeChart } from "adtally/chart.js";
import { makeControls } from "adtally/controls.js";
import { confirm, dismiss, toast } from "adtally/dialog.js";
import { makeCrumbs } from "adtally/crumbs.js";
import { h } from "adtally/dom.js";
import { figure, moment, setCurrency, timeZone, whole } from "adtally/format.js";
import { makeFunnel } from "adtally/funnel.js";
import { makeHeatmap } from "adtally/heatmap.js";
import { interval, makeHeader, paused } from "adtally/header.js";
import { runLate } from "adtally/late.js";
import { connect } from "adtally/link.js";
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

/** The last answer of the server, and when it came. */
let shown = JSON.parse(byId("first").textContent);
let heard = performance.now();
let due = performance.now() + interval() * 1000;
let asking = null;
let again = false;

const link = connect({
  changed: () => refresh(),
  ready: () => {
    document.documentElement.dataset.linked = "";
    if (document.visibilityState === "visible") refresh();
  },
  lost: () => tick(),
  refused: () => toast("refused", `There is no live connection. If this dashboard may be reached as ${location.host}, start it with --allow-origin ${location.host}.`, { seconds: 3600 }),
});

const show = (changes, step = true) => {
  go(changes, step);
  follow();
};

const header = makeHeader(byId("header"), {
  refresh: () => refresh(),
  pause: () => show({ paused: paused() ? "" : "1" }, false),
  theme: () => show({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }, false),
  clear: () => clearData(),
  set: (changes) => show(changes, false),
  explore: setup.explore,
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
  download: () => link.save({ query: query() }),
});
const funnel = makeFunnel(byId("funnel"));

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

function tick() {
  const now = performance.now();
  const running = interval() > 0 && !paused();
  header.tick(shown.live, { lost: link.lost(), since: (now - heard) / 1000, left: running ? (due - now) / 1000 : null, late: setup.late });
  if (running && now >= due && document.visibilityState === "visible" && !link.lost()) refresh();
}

/** Ask for the view in the URL. A question that comes while one is open is asked when that is answered. */
async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  const asked = query();
  asking = link.ask("view", { query: asked, have: shown.token });
  byId("main").classList.add("asking");
  try {
    const answer = await asking;
    heard = performance.now();
    shown = { ...answer, page: answer.page ?? shown.page, attention: answer.attention ?? shown.attention };
    offerUndo(answer.live);
    draw();
  } catch {
    // The pill says so, and the link is looked after by itself.
  } finally {
    asking = null;
    byId("main").classList.remove("asking");
    due = performance.now() + (interval() || 10) * 1000;
    tick();
  }
  if (again || asked !== query()) {
    again = false;
    refresh();
  }
}

/** After the URL changed: at once what can be shown without the server, then its answer. */
function follow() {
  const recolored = applyTheme();
  header.update();
  controls(param("range", shown.page.span.range));
  crumbs();
  if (recolored) draw();
  due = performance.now() + (interval() || 10) * 1000;
  tick();
  refresh();
}

let offered = 0;
function offerUndo(live) {
  if (embedded()) return;
  if (!live.undo_rows) {
    if (offered) dismiss("undo");
    offered = 0;
    return;
  }
  if (offered) return;
  offered = live.undo_rows;
  toast("undo", `Cleared ${whole(live.undo_rows)} minute rows.`, { action: "Undo", press: () => send("undo"), seconds: live.undo_seconds });
}

async function send(kind) {
  try {
    await link.ask(kind);
    offered = 0;
    refresh();
  } catch {
    toast("failed", "No connection at the moment; nothing was changed.");
  }
}

async function clearData() {
  const rows = shown.live.rows;
  const yes = await confirm({
    title: "Clear the data on screen?",
    text: [
      `${whole(rows)} minute rows held by the dashboard will be dropped, for everyone looking at it.`,
      "The results topic is not touched; new minutes keep arriving. You can undo it for a minute.",
    ],
    yes: "Clear data",
    no: "Keep data",
  });
  if (yes) send("clear");
}

window.addEventListener("popstate", follow);
onSystemTheme(() => applyTheme() && draw());
document.addEventListener("visibilitychange", () => tick());
const brand = document.querySelector(".brand");
brand.addEventListener("click", (event) => {
  event.preventDefault();
  const kept = param("theme");
  go({ range: "", campaign: "", channel: "", metric: "", chart: "", sort: "", order: "", q: "", rows: "", theme: kept });
  follow();
});
brand.href = changed({ campaign: "", channel: "", q: "" });
setInterval(tick, 1000);
offerUndo(shown.live);
draw();
tick();
performance.mark("adtally:drawn");
runLate(byId("late")).catch(() => toast("failed", "The live connection could not be loaded; reload the page to try again."));
