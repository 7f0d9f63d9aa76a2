// @ts-check
// What could not be counted: the number by reason, and the newest ones unchanged. Payloads are untrusted: they are shown as text only.

import { h, label } from "adtally/dom.js";
import { many, moment, whole } from "adtally/format.js";
import { patch } from "adtally/patch.js";

const REASONS = new Map([
  ["malformed", ["Malformed", "not a valid event"]],
  ["late", ["Late", "arrived too late to be counted"]],
  ["too_far_ahead", ["Too far ahead", "dated in the future"]],
  ["oversize", ["Oversize", "larger than 64 KiB"]],
]);
const FIRST = 10;

const name = (reason) => (REASONS.get(reason) ?? [label(reason, 40)])[0];

/**
 * @param {HTMLElement} place
 * @param {Answer} setup
 * @param {(reason: string) => void} pick
 */
export function makeRejects(place, setup, pick) {
  const note = h("p", { class: "hint" }, "");
  const bars = h("div", { class: "reasons" });
  const list = h("ol", { class: "rejects" });
  const foot = h("div", { class: "table-foot" });
  place.replaceChildren(h("div", { class: "card-head" }, h("div", {}, h("h2", {}, "Rejected events"), note)), bars, list, foot);
  const open = new Set();
  let all = false;
  let before = "";

  function bar(reason, rejects, chosen) {
    const [text, why] = REASONS.get(reason) ?? [label(reason, 40), ""];
    const count = rejects.counts[reason];
    const inner = h("span", { class: "bar-in" });
    inner.style.width = `${rejects.total ? (100 * count) / rejects.total : 0}%`;
    const on = chosen === reason;
    return h(
      "button",
      {
        type: "button",
        class: "reason",
        "data-key": `reason-${reason}`,
        "aria-pressed": String(on),
        onclick: () => pick(on ? "" : reason),
      },
      h(
        "span",
        { class: "reason-line" },
        h("b", {}, text),
        h("span", {}, rejects.total || rejects.state === "live" ? whole(count) : "–"),
      ),
      h("span", { class: "bar", "aria-hidden": "true" }, inner),
      h("span", { class: "hint" }, why),
    );
  }

  function payload(one) {
    if (one.payload === null) return h("p", { class: "hint" }, "The message had no value.");
    const rest = one.length - one.payload.length;
    return h(
      "div",
      {},
      one.binary && h("p", { class: "hint" }, "Not UTF-8; as Base64:"),
      h("pre", { class: "payload", tabindex: "0", dir: "ltr" }, label(one.payload, 2000)),
      rest > 0 && h("p", { class: "hint" }, `${many(rest, "more character")} ${rest === 1 ? "is" : "are"} on the topic.`),
    );
  }

  function item(one) {
    const key = `${one.topic}/${one.partition}/${one.offset}`;
    const at = Date.parse(one.rejected_at) / 1000;
    const when = Number.isFinite(at) ? moment(at, true) : label(one.rejected_at, 40);
    const box = h(
      "details",
      { class: "reject", ontoggle: (event) => (event.currentTarget.open ? open.add(key) : open.delete(key)) },
      h(
        "summary",
        { "data-key": `reject-${key.slice(0, 200)}` },
        h("span", { class: "tag", "data-reason": one.reason }, name(one.reason)),
        h("span", { class: "reject-detail" }, h("bdi", {}, label(one.detail, 300))),
        h("span", { class: "hint" }, when),
      ),
      h(
        "p",
        { class: "hint" },
        "Topic ",
        h("bdi", {}, label(one.topic, 100)),
        `, partition ${one.partition}, offset ${one.offset}`,
      ),
      payload(one),
    );
    box.open = open.has(key);
    return h("li", { "data-key": key.slice(0, 200) }, box);
  }

  function none(rejects, reason) {
    if (rejects.state === "down") return "No broker answers; what was rejected is not known.";
    if (rejects.state === "waiting") return `Topic ${rejects.topic} does not exist yet: the dataflow creates it when it starts.`;
    if (rejects.state !== "live") return "Reading the topic …";
    return reason ? `Nothing was rejected as ${name(reason).toLowerCase()}.` : "Nothing was rejected.";
  }

  return function update(rejects, reason) {
    const now = JSON.stringify([rejects, reason, all, location.search]);
    if (now === before) return;
    before = now;
    const reading =
      rejects.state === "reading"
        ? " Still reading; there may be more."
        : rejects.state === "down" && rejects.total
          ? " As it was read before the broker went away."
          : "";
    patch(note, `They were not counted; topic ${rejects.topic} keeps them unchanged.${reading}`);
    patch(bars, ...setup.reasons.map((one) => bar(one, rejects, reason)));
    const shown = all ? rejects.newest : rejects.newest.slice(0, FIRST);
    patch(list, ...(shown.length ? shown.map(item) : [h("li", { class: "none" }, none(rejects, reason))]));
    const rest = rejects.newest.length - shown.length;
    const unread =
      rejects.unread > 0 &&
      h(
        "span",
        {},
        `${many(rejects.unread, "record")} of the topic could not be read. The last one: ${label(rejects.problem, 200)}`,
      );
    const more =
      (rest > 0 || all) &&
      h(
        "button",
        {
          type: "button",
          class: "link",
          "data-key": "more",
          onclick: () => {
            all = !all;
            update(rejects, reason);
          },
        },
        all ? `Show the newest ${FIRST}` : `Show the newest ${whole(rejects.newest.length)}`,
      );
    const hint = rejects.total > 0 && h("span", {}, "“adtally rejected” lists all of them, and sends corrected ones in again.");
    patch(foot, more, hint, unread);
  };
}
