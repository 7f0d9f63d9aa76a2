// @ts-check
// The currency of a page: what its amounts are in, which rates converted them, and amounts that no rate could convert.

import { amount, many } from "adtally/format.js";

/** The ISO 4217 code in which the page's amounts are written. @param {Answer | null | undefined} currency @param {string} usual that of the deployment */
export const money = (currency, usual) => currency?.money ?? usual;

/** The line that says what currency amounts are in, and by which rates. @param {Answer | null | undefined} currency @param {string} usual */
export function rates(currency, usual) {
  const table = currency?.rates;
  if (!currency || !table) return `Money in ${money(currency, usual)}.`;
  const earlier = table.days_from_earlier
    ? `, ${many(table.days_from_earlier, "day")} without a rate by the last one before`
    : "";
  const until = table.last_used ? ` up to ${table.last_used}` : "";
  return `Money in ${money(currency, usual)}, converted at ${table.name}${until}${earlier}.`;
}

/** Amounts in currencies without any rate: they are in no figure of the page. @param {Answer | null | undefined} currency @returns {string} */
export function apartText(currency) {
  const apart = currency?.apart ?? [];
  if (!apart.length) return "";
  const parts = apart.map((one) => `${amount(one.spend, one.currency)} spent and ${amount(one.revenue, one.currency)} earned`);
  return `Not in these figures, because there is no exchange rate for them: ${parts.join("; ")}.`;
}
