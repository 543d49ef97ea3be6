// What a question is answered by: see docs/questions.md. Rows are lists in the order of the columns.

export type Value = string | number | boolean | null | Value[] | { [name: string]: Value };
export type Cells = readonly Value[];

export interface Column {
  name: string;
  kind: string;
  unit: string;
  doc: string;
}

/** The same question over an earlier range. */
export interface Compared {
  since: string;
  until: string;
  rows: readonly Cells[];
  /** By row, the moment of the range that it stands beside; only where rows are of moments. */
  beside?: readonly (string | null)[];
  /** Of an answer of one row, by column: how each number has changed, relative to then; null where that has no meaning. */
  changes?: readonly (number | null)[] | null;
}

export interface Answer {
  kind: string;
  question: Record<string, Value>;
  columns: readonly Column[];
  rows: readonly Cells[];
  compared?: Compared;
  /** What was read: rows, or roll-ups. */
  source?: string;
  took_ms?: number;
  /** `runnable` has the values in their places and runs as it is; null where it asks what is no view. */
  sql?: { text: string; parameters: { [name: string]: Value }; runnable: string | null };
}

/** The place of a column; -1 for none. */
export function place(answer: Pick<Answer, "columns">, name: string): number {
  return answer.columns.findIndex((column) => column.name === name);
}

/** A number of a row; null for what is none. */
export function number(row: Cells | undefined, at: number): number | null {
  const value = row?.[at];
  return typeof value === "number" ? value : null;
}

/** A text of a row; null stays null, as it means that there is no value. */
export function text(row: Cells | undefined, at: number): string | null {
  const value = row?.[at];
  return value === null || value === undefined ? null : typeof value === "string" ? value : JSON.stringify(value);
}

/** How the single value of an answer has changed; undefined where nothing is compared. */
export function changed(answer: Answer | null, name: string): number | null | undefined {
  return answer?.compared?.changes?.[place(answer, name)];
}

/** The single value of an answer, of its first row. */
export function single(answer: Answer | null, name: string): number | null {
  return answer ? number(answer.rows[0], place(answer, name)) : null;
}
