// A list of objects as a table, for the menu of its card: what is seen can be taken home as CSV.

import type { Answer, Column, Value } from "../ask/answer";

export function tableOf<T extends object>(items: readonly T[], names: readonly (keyof T & string)[]): Pick<Answer, "columns" | "rows"> {
  const columns: Column[] = names.map((name) => ({ name, kind: /_at$/.test(name) ? "time" : "text", unit: "", doc: "" }));
  return { columns, rows: items.map((item) => names.map((name) => cell(item[name]))) };
}

function cell(value: unknown): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return Array.isArray(value) ? value.map(String).join(", ") : JSON.stringify(value);
}
