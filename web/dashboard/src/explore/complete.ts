// What could be written at the caret: views after FROM, columns of the views that the query names,
// fields of their types, functions and keywords. A heuristic over words; the server decides what is right.

import { type Schema, type View, columnsOf } from "./schema";

export interface Choice {
  label: string;
  /** What is put in its place. */
  text: string;
  kind: "view" | "column" | "field" | "function" | "keyword";
  detail: string;
}

export interface Completion {
  /** Where the word at the caret begins. */
  start: number;
  choices: Choice[];
}

const MOST = 40;
const WORD = /[A-Za-z_][\w.]*$/;
const AFTER_FROM = /\b(?:from|join|describe|summarize)\s+$/i;
const NAMED = /\b(?:from|join)\s+([a-z_]\w*)(?:\s+(?:as\s+)?([a-z_]\w*))?/gi;
const RANK: Readonly<Record<Choice["kind"], number>> = { view: 0, column: 1, field: 2, keyword: 3, function: 4 };

/** Choices at `caret`; `asked` when somebody wants to see them without a letter. */
export function complete(sql: string, caret: number, schema: Schema, asked: boolean): Completion {
  const before = sql.slice(0, caret);
  if (quoted(before)) return { start: caret, choices: [] };
  const word = WORD.exec(before)?.[0] ?? "";
  const start = caret - word.length;
  if (!word && !asked) return { start, choices: [] };
  const dot = word.lastIndexOf(".");
  const views = named(sql, schema);
  const ahead = before.slice(0, start);
  if (AFTER_FROM.test(ahead)) return { start, choices: fitting(word, [...schema.views.map(viewChoice), ...tableFunctions(schema)]) };
  const alias = dot > 0 ? views.get(word.slice(0, dot).toLowerCase()) : undefined;
  if (alias) {
    const columns = columnsOf(schema, alias).map((c): Choice => ({ label: c.name, text: c.name, kind: "column", detail: detailOf(c.type, c.doc) }));
    return { start: start + dot + 1, choices: fitting(word.slice(dot + 1), columns) };
  }
  const found = new Map<string, Choice>();
  for (const view of new Set(views.size ? views.values() : schema.views.slice(0, 1))) {
    for (const c of columnsOf(schema, view)) found.set(c.name, { label: c.name, text: c.name, kind: "column", detail: detailOf(c.type, c.doc) });
    for (const own of view.own ?? []) found.set(own.path, { label: own.path, text: own.sql, kind: "field", detail: detailOf(own.type, own.doc) });
  }
  const choices: Choice[] = [
    ...found.values(),
    ...schema.keywords.map((name): Choice => ({ label: name, text: name, kind: "keyword", detail: "" })),
    ...schema.functions.map((name): Choice => ({ label: `${name}()`, text: `${name}(`, kind: "function", detail: "function" })),
  ];
  return { start, choices: fitting(word, choices) };
}

/** Whether the caret is in a text or a comment. */
function quoted(before: string): boolean {
  const rest = before.replace(/'(?:[^']|'')*'|--[^\n]*\n|\/\*[\s\S]*?\*\//g, "");
  return rest.includes("'") || /--[^\n]*$/.test(rest) || rest.includes("/*");
}

/** The views that a query names, by name and by alias. */
function named(sql: string, schema: Schema): Map<string, View> {
  const found = new Map<string, View>();
  for (const [, name = "", alias = ""] of sql.matchAll(NAMED)) {
    const view = schema.views.find((each) => each.name === name.toLowerCase());
    if (!view) continue;
    found.set(view.name, view);
    if (alias && !schema.keywords.includes(alias.toUpperCase())) found.set(alias.toLowerCase(), view);
  }
  return found;
}

function viewChoice(view: View): Choice {
  return { label: view.name, text: view.name, kind: "view", detail: view.doc };
}

function tableFunctions(schema: Schema): Choice[] {
  return schema.table_functions.map((name) => ({ label: `${name}()`, text: `${name}(`, kind: "function", detail: "rows of a function" }));
}

function detailOf(type: string, doc: string): string {
  return doc ? `${type} · ${doc}` : type;
}

/** Those that begin with the word, then those that hold it. */
function fitting(word: string, choices: Choice[]): Choice[] {
  const wanted = word.toLowerCase();
  const scored: [number, Choice][] = [];
  for (const choice of choices) {
    const name = choice.label.toLowerCase();
    const last = name.slice(name.lastIndexOf(".") + 1);
    const named = choice.kind !== "function" && choice.kind !== "keyword"; // of those, the middle of a name says nothing
    const at = name.startsWith(wanted) || last.startsWith(wanted) ? 0 : named && wanted.length > 1 && name.includes(wanted) ? 10 : -1;
    if (at >= 0 && name !== wanted) scored.push([at + RANK[choice.kind], choice]);
  }
  scored.sort(([a, one], [b, other]) => a - b || one.label.localeCompare(other.label));
  return scored.slice(0, MOST).map(([, choice]) => choice);
}
