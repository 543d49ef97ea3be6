// From the rows of an answer to the lines of a chart. Nothing is worked out: values are put in order.

import { type Answer, type Cells, type Compared, number, place, text } from "../ask/answer";
import type { Range } from "../shell/range";
import { isZone, wall } from "../shell/zone";

const HOUR_MS = 3_600_000;

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
  /** The range whose every hour, day, week or month is a point, where the answer has rows for some alone. */
  over?: Pick<Range, "first" | "last" | "since" | "until">;
  /** What a point without a row is: nothing came, so that a count is 0; or nothing can be said. */
  none?: 0 | null;
  /** Whether moments to come are drawn, too. */
  future?: boolean;
}

export function linesOf(answer: Answer, { x = "moment", values, split, labels = {}, most = 6, over, none = null, future = false }: Wanted): Lines {
  const at = place(answer, x);
  const dates = answer.columns[at]?.kind === "date";
  const now = nowOf(answer, dates);
  const told = momentsOf(answer.rows, at);
  const all = over && told.length ? [...new Set([...told, ...everyOf(x, dates, over)])].sort((a, b) => a - b) : told;
  const moments = future ? all : all.filter((ms) => ms <= now); // of what is to come there is nothing to draw
  const earlier = answer.compared ? earlierMoments(answer.compared, moments, at) : [];
  const lines: Line[] = [];
  const add = (label: string, column: string, keeps: (row: Cells) => boolean) => {
    const value = place(answer, column);
    if (value < 0) return;
    const line: Line = { label, unit: answer.columns[value]?.unit ?? "", values: along(answer.rows.filter(keeps), moments, at, value, none) };
    const compared: Compared | undefined = answer.compared;
    if (compared) line.before = along(compared.rows.filter(keeps), earlier, at, value, null);
    lines.push(line);
  };
  if (split === undefined) {
    for (const name of values) add(labels[name] ?? name, name, () => true);
  } else {
    const by = place(answer, split);
    const names = [...new Set(answer.rows.map((row) => text(row, by)))].slice(0, most);
    for (const name of names) add(labels[name ?? ""] ?? name ?? "(none)", values[0] ?? "", (row) => text(row, by) === name);
  }
  const step = moments.length > 1 ? (moments[1] ?? 0) - (moments[0] ?? 0) : HOUR_MS;
  const open = !future && (moments[moments.length - 1] ?? 0) + step > now;
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

function along(rows: readonly Cells[], moments: number[], at: number, value: number, none: 0 | null): (number | null)[] {
  const found = new Map(rows.map((row) => [Date.parse(text(row, at) ?? ""), number(row, value)]));
  return moments.map((ms) => found.get(ms) ?? (found.has(ms) ? null : none));
}

/** Every hour, day, week or month of a range, as the server names it. */
function everyOf(grain: string, dates: boolean, { first, last, since, until }: NonNullable<Wanted["over"]>): number[] {
  const found: number[] = [];
  if (!dates) {
    if (grain === "hour") for (let ms = Date.parse(since); ms < Date.parse(until); ms += HOUR_MS) found.push(ms);
    return found;
  }
  const end = Date.UTC(last.year, last.month - 1, last.day);
  const day = new Date(Date.UTC(first.year, first.month - 1, grain === "month" ? 1 : first.day));
  if (grain === "week") day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  while (day.getTime() <= end) {
    found.push(day.getTime());
    if (grain === "month") day.setUTCMonth(day.getUTCMonth() + 1);
    else day.setUTCDate(day.getUTCDate() + (grain === "week" ? 7 : 1));
  }
  return found;
}

/** The colour of the n-th line, as a name of the style. */
export function colour(n: number): string {
  return `--c${(n % 6) + 1}`;
}
