// @ts-check
// The currency of a page: what its amounts are in, which rates converted them, and amounts that no rate could convert.

import { amount, many } from "adtally/format.js";

/** The ISO 4217 code in which the page's amounts are written. @param {Answer | null | undefined} currency @param {string} usual that of the deployment */
export const money = (currency, usual) => currency?.money ?? usual;

/** The line that says what currency amounts are in, and by which rates. @param {Answer | null | undefined} currency @param {string} usual */
export function rates(currency, usual) {
  const table = currency?.rates;
  if (!currency || !table) return `Money in ${money(currency, usual)}.`;
  const earlier = table.days_from_earlier ? `; ${many(table.days_from_earlier, "day")} at the rate of an earlier day` : "";
  return `Money in ${money(currency, usual)}, converted at ${table.name}${earlier}.`;
}

/** Amounts in other currencies that are in no figure of the page. @param {Answer | null | undefined} currency @returns {string} */
export function apartText(currency) {
  if (!currency?.apart?.length) return "";
  const parts = currency.apart.map(
    (one) => `${amount(one.spend, one.currency)} spent and ${amount(one.revenue, one.currency)} earned`,
  );
  const reason = currency.shown === "native" ? "they are in other currencies" : "there is no exchange rate for them";
  return `Not in these figures, because ${reason}: ${parts.join("; ")}.`;
}
