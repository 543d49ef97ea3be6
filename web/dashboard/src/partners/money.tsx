// Money of an answer whose currency stands in another column of the same row.

import { type Answer, type Cells, number, place, text } from "../ask/answer";
import { figure } from "../unit";

/** The worth in its currency; of several currencies no sum is ever made. */
export function worth(answer: Pick<Answer, "columns">, row: Cells | undefined, several = "several"): string {
  const value = number(row, place(answer as Answer, "revenue"));
  const currency = text(row, place(answer as Answer, "revenue_currency"));
  if (value !== null) return /^[A-Z]{3}$/.test(currency ?? "") ? figure(currency ?? "", value, false) : `${figure("", value, false)}${currency ? ` ${currency}` : ""}`;
  return (number(row, place(answer as Answer, "currencies")) ?? 0) > 1 ? several : "–";
}
