// What a chart of a result cannot show of it, in words: nothing is left out in silence.

import { type Answer, number, place, text } from "../ask/answer";
import { isNumeric } from "../unit";

/** Numbers too large for JSON's readers come as text; a drawing has no use for their last digits. */
export function drawable(answer: Answer): Answer {
  const local = answer.columns.map((column) => column.kind === "local");
  const numeric = answer.columns.map(isNumeric);
  const rows = answer.rows.map((row) => row.map((value, n) => {
    if (typeof value !== "string") return value;
    if (numeric[n] && value !== "" && Number.isFinite(Number(value))) return Number(value);
    return local[n] ? `${value}Z` : value; // without a zone it is drawn as if it were UTC, as the axis says
  }));
  return { ...answer, rows };
}

interface Drawn {
  x: string;
  y: string;
  split: string;
  /** How many lines are drawn at most. */
  most: number;
}

/** Of lines along `x`, one for each value of `split`. */
export function leftOut(answer: Answer, { x, y, split, most }: Drawn): string[] {
  const [at, value, by] = [place(answer, x), place(answer, y), place(answer, split)];
  const names = new Map<string | null, number>();
  const seen = new Set<string>();
  let [untimed, unnumbered, again, others] = [0, 0, 0, 0];
  for (const row of answer.rows) {
    const name = by < 0 ? null : text(row, by);
    if (!names.has(name)) names.set(name, names.size);
    const moment = Date.parse(text(row, at) ?? "");
    const key = JSON.stringify([moment, name]);
    if ((names.get(name) ?? 0) >= most) others += 1;
    else if (Number.isNaN(moment)) untimed += 1;
    else if (number(row, value) === null) unnumbered += 1;
    else if (seen.has(key)) again += 1;
    else seen.add(key);
  }
  const said = (n: number, why: string) => (n ? [`${n} ${n === 1 ? "row" : "rows"} ${why}`] : []);
  return [
    ...said(others, `of ${names.size - most} further values of ${split}, as ${most} lines are drawn`),
    ...said(untimed, `without a time in ${x}`),
    ...said(unnumbered, `without a number in ${y}`),
    ...said(again, `at a moment that another row${by < 0 ? "" : " of the same line"} has, too: group them`),
  ];
}

/** Of bars. */
export function leftOutOfBars(answer: Answer, y: string): string[] {
  const value = place(answer, y);
  const rows = answer.rows.filter((row) => number(row, value) === null).length;
  return rows ? [`${rows} ${rows === 1 ? "row" : "rows"} without a number in ${y}`] : [];
}
