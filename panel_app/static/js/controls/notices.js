// @ts-check
// What viewers have to know before they rely on the figures.

import { h } from "adtally/dom.js";
import { duration, many, moment, percent } from "adtally/format.js";
import { sentence } from "adtally/health.js";
import { apartText } from "adtally/money.js";
import { patch } from "adtally/patch.js";
import { carried, embedded, valueFilters } from "adtally/url.js";

/** Data this old was replayed: that no newer data arrives is not a failure. */
const HISTORICAL = 86_400;

/** `words` and a link to the diagnosis on the Data page; an embedded page has no link. */
function leading(setup, live, words = "") {
  if (embedded()) return [words];
  return [words, live.trouble ? "What to do" : "See the pipeline", setup.data ? `${carried(setup.data)}#health` : "#health"];
}

/** The part that does not work, and a link to the cure on the Data page. */
function culprit(setup, live) {
  const part = live.trouble;
  return leading(
    setup,
    live,
    part ? ` ${part.name}: ${sentence(part, live.now)}` : " Either no events are sent, or a part of the pipeline does not work.",
  );
}

function said(setup, live, page, view, notes = []) {
  const out = notes.map((text) => ["warn", text]);
  const { feed } = live;
  if (feed.state === "down") {
    const held = live.rows
      ? `Figures are not updated (the newest are of ${moment(page.span.newest_end)})`
      : "Nothing can be shown";
    out.push([
      "bad",
      `${held} until Kafka answers again at ${feed.brokers}. No reload is needed: the dashboard retries every second and resumes by itself.`,
      ...leading(setup, live),
    ]);
  } else if (!live.rows && feed.state === "reading") {
    out.push(["info", `Reading topic ${feed.topic} …`]);
  } else if (!live.rows && live.cleared) {
    out.push(["info", "The data was cleared. New minutes appear here as they arrive."]);
  } else if (!live.rows) {
    out.push([
      "info",
      `No figures yet. Send ad events to topic ${setup.logsTopic} on ${feed.brokers} and run the dataflow, which writes to topic ${feed.topic}: figures appear here within seconds, without a reload. “make demo” does both.`,
      ...(live.trouble ? culprit(setup, live) : []),
    ]);
  }
  if (live.rows && feed.state === "reading") {
    out.push(["info", `Catching up with topic ${feed.topic}: the figures are not complete yet.`]);
  } else if (live.rows && live.age > HISTORICAL) {
    out.push(["info", `Showing data up to ${moment(page.span.newest_end, true)}. Ranges end there, and not now.`]);
  } else if (live.rows && live.age > setup.late && feed.state !== "down") {
    out.push([
      "warn",
      `The newest minute ended at ${moment(page.span.newest_end)}, ${duration(live.age)} ago, and nothing newer has come.`,
      ...culprit(setup, live),
    ]);
  }
  if (feed.unread) {
    out.push([
      "warn",
      `${many(feed.unread, "record")} on topic ${feed.topic} could not be read. The last one: ${feed.problem.slice(0, 300)}`,
    ]);
  }
  const apart = apartText(page.currency);
  if (apart) out.push(["warn", apart]);
  if (page.figures_of && page.breakdown?.other)
    out.push([
      "warn",
      `Under these filters all figures are those of the breakdown ${page.figures_of}. ${percent(page.breakdown.other, 1)} of it is in (other), whose values are not known.`,
    ]);
  const filtered = valueFilters().length || view.campaigns.length || view.channels.length;
  if (live.rows && page.empty) {
    out.push([
      "info",
      filtered
        ? "Nothing was counted for these filters in this range. Show everything, or choose a longer range."
        : "Nothing was counted in this range.",
    ]);
  }
  return out;
}

/** Lines about the whole page: each has a tone, a text, and optionally more text and the text and address of a link. @param {HTMLElement} place */
export function makeLines(place) {
  let before = "";
  return function update(lines) {
    const now = JSON.stringify(lines);
    if (now === before) return;
    before = now;
    patch(
      place,
      ...lines.map(([tone, text, more, link, href]) =>
        h("p", { class: "notice", "data-tone": tone }, text, more, link && " ", link && h("a", { class: "link", href }, link)),
      ),
    );
  };
}

/** @param {HTMLElement} place @param {Answer} setup */
export function makeNotices(place, setup) {
  const lines = makeLines(place);
  return (live, page, view, notes) => lines(said(setup, live, page, view, notes));
}
