// @ts-check
// How far the dataflow is: each partition of the logs with its lag, and the outcome of the messages that were read.

import { h, label } from "adtally/dom.js";
import { duration, moment, whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";

/** @type {[id: string, text: string, roomy: boolean][]} */
const COUNTS = [
  ["read", "Read", true],
  ["counted", "Counted", false],
  ["duplicate", "Duplicate", true],
  ["late", "Late", false],
  ["malformed", "Malformed", false],
];

/** The error of the broker's client as a sentence; empty without one. */
const sentence = (text) => (text ? label(text[0].toUpperCase() + text.slice(1), 400) : "");

/** This many messages are in flight at any time: a lag below it is not a backlog, and is not drawn as one. */
const FEW = 1000;

/** Largest number of remarks that are shown: many partitions have the same one. */
const MOST_REMARKS = 8;

/** Seconds after which the age of the broker's answer is shown. */
const STALE = 15;

/**
 * @param {HTMLElement} place
 * @param {Answer} setup
 */
export function makePipeline(place, setup) {
  const note = h("p", { class: "hint" }, "");
  const body = h("div", { class: "table-box" });
  const foot = h("p", { class: "hint gap" }, "");
  const remarks = h("ul", { class: "remarks" });
  place.replaceChildren(
    h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Progress by partition"), note)),
    body,
    remarks,
    foot,
  );

  function row(one, most) {
    const inner = h("span", { class: "bar-in" });
    inner.style.width = `${most ? (100 * one.lag) / most : 0}%`;
    const bar = h("span", { class: "bar", "aria-hidden": "true" }, inner);
    return h(
      "tr",
      { "data-key": one.partition },
      h("th", { scope: "row", class: "left" }, whole(one.partition)),
      h("td", { class: "num roomy" }, one.offset === null ? "–" : whole(one.offset)),
      h("td", { class: "num lag" }, whole(one.lag), bar),
      ...COUNTS.map(([id, , roomy]) => h("td", { class: `num${roomy ? " roomy" : ""}` }, whole(one.counts[id]))),
      h("td", { class: "num roomy" }, one.clock === null ? "–" : moment(one.clock)),
    );
  }

  function sums(rows) {
    const total = (pick) => whole(rows.reduce((sum, one) => sum + pick(one), 0));
    return h(
      "tr",
      { class: "sum" },
      h("th", { scope: "row", class: "left" }, "All"),
      h("td", { class: "roomy" }),
      h(
        "td",
        { class: "num" },
        total((one) => one.lag),
      ),
      ...COUNTS.map(([id, , roomy]) =>
        h(
          "td",
          { class: `num${roomy ? " roomy" : ""}` },
          total((one) => one.counts[id]),
        ),
      ),
      h("td", { class: "roomy" }),
    );
  }

  function words(pipeline, rows, now) {
    const wrong = rows.filter((one) => !one.adds_up).map((one) => one.partition);
    const sum = wrong.length
      ? `Read is not the sum of the rest in partition ${wrong.join(", ")}: please report it.`
      : "Read = counted + duplicate + late + malformed, in every partition.";
    const asked = pipeline.problem || now - pipeline.asked > STALE ? `, as of ${duration(now - pipeline.asked)} ago` : "";
    return `${sum} As of the dataflow's last snapshot${asked}.`;
  }

  return function update(pipeline, live) {
    const rows = pipeline.partitions;
    const begun = rows.some((one) => one.offset !== null);
    patch(
      note,
      `Messages on topic ${setup.logsTopic}: how many the dataflow (consumer group ${setup.group}) has read, and how many wait.`,
    );
    patch(
      remarks,
      ...rows
        .flatMap((one) => one.notes.map((text) => h("li", {}, label(`Partition ${one.partition}: ${text}.`, 600))))
        .slice(0, MOST_REMARKS),
    );
    if (!rows.length) {
      patch(foot);
      const text = sentence(pipeline.problem) || "Asking the broker …";
      return patch(body, h("p", { class: "none" }, text));
    }
    const most = Math.max(...rows.map((one) => one.lag), FEW);
    const shown = rows.slice(0, 200);
    const head = h(
      "tr",
      {},
      h("th", { scope: "col", class: "left" }, "Partition"),
      h("th", { scope: "col", class: "num roomy" }, "Offset"),
      h("th", { scope: "col", class: "num" }, "Waiting"),
      ...COUNTS.map(([, text, roomy]) => h("th", { scope: "col", class: `num${roomy ? " roomy" : ""}` }, text)),
      h("th", { scope: "col", class: "num roomy" }, "Event time"),
    );
    patch(body, h("table", {}, h("thead", {}, head), h("tbody", {}, ...shown.map((one) => row(one, most)), sums(rows))));
    const state = sentence(pipeline.problem);
    const never =
      "The dataflow has not committed anything yet: it was never started with this group, or has not taken its first snapshot.";
    return patch(foot, [state, begun ? words(pipeline, rows, live.now) : never].filter(Boolean).join(" "));
  };
}
