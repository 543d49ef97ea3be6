// From the rows of an answer to the lines of a chart. Nothing is worked out: values are put in order.

import { type Answer, type Cells, type Compared, number, place, text } from "../ask/answer";
import { isZone, wall } from "../shell/zone";

export interface Line {
  label: string;
  unit: string;
  values: (number | null)[];
  /** Of an earlier range, drawn behind. */
  before?: (number | null)[];
}

export interface Lines {
  /** Moments, in milliseconds. */
  x: number[];
  /** Whether they are calendar days, which have no zone. */
  dates: boolean;
  lines: Line[];
  /** Moments of the earlier range, by place. */
  beforeX?: number[];
  /** Whether the last moment is not over yet, so that its values still grow. */
  open?: boolean;
}

interface Wanted {
  /** The column with the moments. */
  x?: string;
  /** Columns that are drawn; of several, each is a line. */
  values: string[];
  /** A column whose values make a line each; then the first of `values` is drawn. */
  split?: string;
  labels?: Readonly<Record<string, string>>;
  /** How many lines of a split, those that come first. */
  most?: number;
}

export function linesOf(answer: Answer, { x = "moment", values, split, labels = {}, most = 6 }: Wanted): Lines {
  const at = place(answer, x);
  const dates = answer.columns[at]?.kind === "date";
  const now = nowOf(answer, dates);
  const moments = momentsOf(answer.rows, at).filter((ms) => ms <= now); // of what is to come there is nothing to draw
  const earlier = answer.compared ? earlierMoments(answer.compared, moments, at) : [];
  const lines: Line[] = [];
  const add = (label: string, column: string, keeps: (row: Cells) => boolean) => {
    const value = place(answer, column);
    if (value < 0) return;
    const line: Line = { label, unit: answer.columns[value]?.unit ?? "", values: along(answer.rows.filter(keeps), moments, at, value) };
    const compared: Compared | undefined = answer.compared;
    if (compared) line.before = along(compared.rows.filter(keeps), earlier, at, value);
    lines.push(line);
  };
  if (split === undefined) {
    for (const name of values) add(labels[name] ?? name, name, () => true);
  } else {
    const by = place(answer, split);
    const names = [...new Set(answer.rows.map((row) => text(row, by)))].slice(0, most);
    for (const name of names) add(labels[name ?? ""] ?? name ?? "(none)", values[0] ?? "", (row) => text(row, by) === name);
  }
  const step = moments.length > 1 ? (moments[1] ?? 0) - (moments[0] ?? 0) : 3_600_000;
  const open = (moments[moments.length - 1] ?? 0) + step > now;
  return { x: moments, dates, lines, open, ...(answer.compared ? { beforeX: earlier } : {}) };
}

/** For each moment the earlier one that stands beside it; by place where the server does not say. */
function earlierMoments(compared: Compared, moments: number[], at: number): number[] {
  const { beside, rows } = compared;
  if (!beside) return momentsOf(rows, at);
  const found = new Map(rows.map((row, n) => [Date.parse(beside[n] ?? ""), Date.parse(text(row, at) ?? "")]));
  return moments.map((ms) => found.get(ms) ?? NaN);
}

/** The present moment as `x` has it: a calendar day is that of the answer's zone, whatever day it is in UTC. */
export function nowOf(answer: Pick<Answer, "question">, dates: boolean): number {
  if (!dates) return Date.now();
  const zone = answer.question["zone"];
  const { year, month, day } = wall(Date.now(), typeof zone === "string" && isZone(zone) ? zone : "UTC");
  return Date.UTC(year, month - 1, day);
}

function momentsOf(rows: readonly Cells[], at: number): number[] {
  const found = new Set<number>();
  for (const row of rows) {
    const ms = Date.parse(text(row, at) ?? "");
    if (!Number.isNaN(ms)) found.add(ms);
  }
  return [...found].sort((a, b) => a - b);
}

function along(rows: readonly Cells[], moments: number[], at: number, value: number): (number | null)[] {
  const found = new Map(rows.map((row) => [Date.parse(text(row, at) ?? ""), number(row, value)]));
  return moments.map((ms) => found.get(ms) ?? null);
}

/** The colour of the n-th line, as a name of the style. */
export function colour(n: number): string {
  return `--c${(n % 6) + 1}`;
}
