// @ts-check
// From impression to conversion: how many are left after each step.

import { h } from "adtally/dom.js";
import { figure } from "adtally/format.js";
import { patch } from "adtally/patch.js";
import { changeMark, verdict } from "adtally/tiles.js";

const STEPS = [
  { id: "impressions", name: "Impressions" },
  { id: "clicks", name: "Clicks", of: "impressions", words: "of impressions are clicked" },
  { id: "conversions", name: "Conversions", of: "clicks", words: "of clicks convert" },
  { id: "purchases", name: "Purchases", of: "conversions", words: "of conversions are purchases" },
];

const part = (sums, step) => (sums[step.of] ? sums[step.id] / sums[step.of] : null);

/** @param {HTMLElement} place */
export function makeFunnel(place) {
  const body = h("div", { class: "funnel" });
  place.replaceChildren(h("div", { class: "card-head" }, h("h2", {}, "From impression to conversion")), body);
  return function update(page) {
    const now = page.funnel;
    if (!now.impressions && !now.clicks && !now.conversions)
      return patch(body, h("p", { class: "none" }, "Nothing was counted in this view."));
    const most = Math.log10(1 + Math.max(now.impressions, now.clicks, now.conversions));
    const lines = STEPS.flatMap((step, at) => {
      const inner = h("span", { class: `bar-in step-${at}` });
      inner.style.width = `${(Math.log10(1 + Math.max(now[step.id], 0)) / most) * 100}%`;
      const rate = step.of ? part(now, step) : null;
      const moved = page.funnel_changes[step.id];
      return [
        step.of &&
          h(
            "p",
            { class: "funnel-rate" },
            h("span", { "aria-hidden": "true" }, "↓ "),
            h("b", {}, figure(rate, "percent")),
            ` ${step.words} `,
            rate !== null && moved && changeMark(verdict(moved, { good: "up", kind: "percent" })),
          ),
        h("p", { class: "funnel-step" }, h("span", {}, step.name), h("b", {}, figure(now[step.id], "count"))),
        h("span", { class: "bar thick", "aria-hidden": "true" }, inner),
      ].filter(Boolean);
    });
    const refunds = now.refunds ? ` ${figure(now.refunds, "count")} ${now.refunds === 1 ? "refund" : "refunds"}.` : "";
    return patch(body, ...lines, h("p", { class: "hint" }, `Bar length is on a log scale.${refunds}`));
  };
}
