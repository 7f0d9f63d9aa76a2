// @ts-check
// The Data page: what is held, how old events are when they get here, how far the dataflow is, what it rejected, files, and clearing.

import { makeAges } from "adtally/ages.js";
import { makeBreakdowns } from "adtally/breakdowns.js";
import { h, icon } from "adtally/dom.js";
import { bytes, duration, many, moment, percent, whole } from "adtally/format.js";
import { makeHealth } from "adtally/health.js";
import { timeZone } from "adtally/locale.js";
import { byId, first, leadBack, makeLive, setup } from "adtally/page.js";
import { patch } from "adtally/patch.js";
import { makePipeline } from "adtally/pipeline.js";
import { makeRejects } from "adtally/rejects.js";
import { query } from "adtally/url.js";

/** The last answer of the server. */
let shown = first;

const live = makeLive({
  ask: (ask) => ask("stock", { query: query() }),
  take: (answer) => {
    shown = answer;
    // What is asked for the first time takes a moment to come.
    if (answer.pipeline.asked === null && !answer.pipeline.problem) setTimeout(live.refresh, 700);
  },
  draw: () => draw(),
  pages: [
    ["Overview", setup.back],
    ["Explore the data", setup.explore],
  ],
});
const ages = makeAges(byId("ages"));
const breakdowns = makeBreakdowns(byId("breakdowns"));
const health = makeHealth(byId("health"));
const pipeline = makePipeline(byId("pipeline"), setup);
const rejects = makeRejects(byId("rejects"), setup, (reason) => live.show({ reason }));

function tile(name, value, more, why = "") {
  return h(
    "div",
    { class: "tile", title: why },
    h("span", { class: "tile-name" }, name),
    h("span", { class: "tile-value" }, value),
    h("span", { class: "tile-foot" }, h("span", { class: "was" }, more)),
  );
}

function lag() {
  const { partitions, problem } = shown.pipeline;
  if (!partitions.length) return ["–", problem ? "not known" : "asking …"];
  const none = partitions.every((one) => one.offset === null);
  const total = partitions.reduce((sum, one) => sum + one.lag, 0);
  return [whole(total), none ? "nothing was read yet" : total ? "as of the last snapshot" : "everything is counted"];
}

/** The share of all messages that was rejected, in words. */
function share(rejected) {
  const read = shown.pipeline.partitions.reduce((sum, one) => sum + one.counts.read, 0);
  return read > rejected ? `${percent(rejected / read, 2)} of what was read` : "on their topic";
}

function drawStock() {
  const { stock } = shown;
  const { age: old } = shown.live;
  const rejected = shown.rejects;
  const age = old === null ? "" : old < 0 ? "not over yet" : `ended ${duration(old)} ago`;
  const packed = stock.packed
    ? `${whole(stock.packed)} of them packed`
    : `${many(stock.campaigns, "campaign")}, ${many(stock.channels, "channel")}`;
  const known = rejected.state === "live" || rejected.total > 0;
  patch(
    byId("stock"),
    tile(
      "Minute rows held",
      whole(stock.rows),
      packed,
      `${many(stock.campaigns, "campaign")} and ${many(stock.channels, "channel")}. The last ${stock.store_hours} h are at hand, ${stock.history_days} days packed behind them.`,
    ),
    tile("Oldest minute", stock.rows ? moment(stock.oldest) : "–", stock.rows ? moment(stock.oldest, "day") : "nothing is held"),
    tile("Newest minute", stock.rows ? moment(stock.newest_end - setup.window) : "–", stock.rows ? age : "nothing is held"),
    tile(
      "Waiting to be counted",
      ...lag(),
      `Messages on topic ${setup.logsTopic} that the dataflow (consumer group ${setup.group}) has not counted yet`,
    ),
    tile(
      "Rejected",
      known ? whole(rejected.total) : "–",
      known
        ? share(rejected.total)
        : rejected.state === "down"
          ? "not known"
          : rejected.state === "waiting"
            ? "no topic yet"
            : "reading …",
    ),
    tile(
      "Memory",
      bytes(stock.process_bytes),
      `rows ${bytes(stock.held_bytes)}, ${many(stock.viewers, "viewer")}`,
      "Of the dashboard's process",
    ),
  );
}

const FILES = [
  ["minute", "Every minute"],
  ["hour", "By the hour"],
  ["day", "By the day"],
];

function drawFiles() {
  const file = (interval, format, words, ...text) =>
    h(
      "a",
      {
        class: "button",
        href: `${setup.api}?interval=${interval}&tz=${encodeURIComponent(timeZone())}&format=${format}`,
        download: "",
        "aria-label": `Download ${interval}s ${words}`,
        title: `Download ${interval}s ${words}`,
      },
      ...text,
    );
  const rows = FILES.map(([id, text]) =>
    h(
      "div",
      { class: "file-row" },
      h("span", {}, text),
      h(
        "span",
        { class: "button-pair" },
        file(id, "csv&bom=1", "as CSV", icon("download", 16), "CSV"),
        file(id, "csv&bom=1&separator=%3B&decimal_comma=1", "with semicolons and decimal commas", "CSV ;"),
        file(id, "parquet", "as Parquet", "Parquet"),
      ),
    ),
  );
  // No line ends at the hyphens of a flag.
  const script = (text) =>
    h(
      "code",
      { class: "command" },
      ...text.split(" ").flatMap((word) => [word.startsWith("-") ? h("span", {}, word) : word, " "]),
    );
  patch(
    byId("files"),
    h("div", { class: "card-head" }, h("h2", {}, "Take it with you")),
    ...(setup.api
      ? [
          h(
            "p",
            { class: "hint" },
            `Everything that is held, split by campaign and channel. Hours and days are those of ${timeZone()}.`,
          ),
          ...rows,
        ]
      : [
          h(
            "p",
            { class: "hint" },
            "Files are served by “adtally dashboard”, and by “panel serve” with “--plugins panel_app.routes”.",
          ),
        ]),
    h("p", { class: "hint gap" }, "For scripts:"),
    setup.api ? script(`curl '${new URL(setup.api, location.href).href}?interval=hour&format=csv'`) : "",
    script("adtally export --interval hour --out results.parquet"),
  );
}

const clearButton = h("button", { type: "button", class: "button danger", onclick: live.clear }, "Clear data …");
const clearText = h("p", { class: "hint" }, "");
byId("clearing").replaceChildren(h("div", { class: "card-head" }, h("h2", {}, "Clear data")), clearText, clearButton);

function drawClearing() {
  const { stock } = shown;
  clearButton.disabled = !stock.rows;
  patch(
    clearText,
    stock.rows
      ? `Drops the ${many(stock.rows, "minute row")} that the dashboard holds, ${moment(stock.oldest, true)} to ${moment(stock.newest_end, true)}, for everyone looking at it. Topic ${setup.resultsTopic} is not touched, and new minutes keep arriving. It can be undone for a minute.`
      : "The dashboard holds no rows; there is nothing to clear.",
  );
}

/** Milliseconds to wait for unknown parts before the rest is shown without them. */
const PATIENCE = 3000;
let patient = true;
setTimeout(() => {
  patient = false;
  draw();
}, PATIENCE);

/** Draw what the last answer says. */
function draw() {
  // The number of partitions, and so the length of their table, comes with the second answer.
  byId("main").classList.toggle("pending", patient && shown.pipeline.asked === null && !shown.pipeline.problem);
  live.notices(
    shown.live,
    { span: { newest_end: shown.stock.newest_end }, empty: false },
    { campaigns: [], channels: [] },
    shown.notes,
  );
  drawStock();
  ages(shown.stock.ages);
  breakdowns(shown.breakdowns);
  health(shown.parts, shown.live.now);
  pipeline(shown.pipeline, shown.live);
  rejects(shown.rejects, shown.reason);
  drawClearing();
  drawFiles();
  leadBack();
  patch(byId("footer"), `Times in ${timeZone()}. Broker ${setup.brokers}.`);
}

live.start();
