// Steps as a reader builds them, and as questions take them: a type, conditions, a name.

import type { Value } from "../ask/answer";

export const OPS = {
  is: "is", is_not: "is not", contains: "contains", contains_not: "does not contain", starts: "starts with", ends: "ends with",
  above: "is above", at_least: "is at least", below: "is below", at_most: "is at most", known: "is known", unknown: "is not known",
} as const;
export type Op = keyof typeof OPS;
type Term = string | number | boolean;

export interface Condition {
  field: string;
  op: Op;
  values: Term[];
}

export interface Step {
  event: string;
  label: string;
  conditions: Condition[];
  /** Of what must not happen: the number of the step after which; 0 for each. */
  after?: number;
}

export type Kinds = ReadonlyMap<string, string>;

const ORDERED: readonly Op[] = ["above", "at_least", "below", "at_most"];
const WITHOUT: readonly Op[] = ["known", "unknown"];

export function takesValues(op: Op): boolean {
  return !WITHOUT.includes(op);
}

/** Text that a reader wrote, as a value of its field's kind. */
export function term(text: string, op: Op, kind: string): Term {
  const numeric = ORDERED.includes(op) || ((op === "is" || op === "is_not") && (kind === "integer" || kind === "number"));
  if (numeric) return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : 0;
  return kind === "boolean" ? text === "true" : text;
}

export function blank(event = ""): Step {
  return { event, label: "", conditions: [] };
}

/** Whether a question can be asked with it. */
export function isWhole(step: Step): boolean {
  return step.event !== "";
}

function asFilter({ field, op, values }: Condition): { [name: string]: Value } {
  return { field, ...(op === "is" ? {} : { op }), ...(takesValues(op) ? { values: [...values] } : {}) };
}

/** As a question takes it; conditions that are not whole yet are left out. */
export function asked(step: Step): { [name: string]: Value } {
  return written({ ...step, conditions: step.conditions.filter((each) => each.field && (!takesValues(each.op) || each.values.some((value) => value !== ""))) });
}

/** In the same form, with what is not whole yet: for the address. */
function written(step: Step): { [name: string]: Value } {
  const filters = step.conditions.map(asFilter);
  const where = filters.length > 1 ? { all: filters } : filters[0];
  return {
    event: step.event,
    ...(step.label ? { label: step.label } : {}),
    ...(where ? { where } : {}),
    ...(step.after ? { after: step.after } : {}),
  };
}

/** Out of a question's own form; what this page cannot show is left out. */
export function stepOf(value: unknown): Step | null {
  const found = object(value);
  if (!found || typeof found["event"] !== "string") return null;
  const where = object(found["where"]);
  const all = where && Array.isArray(where["all"]) ? where["all"] : where ? [where] : [];
  const after = found["after"];
  return {
    event: found["event"].slice(0, 200),
    label: typeof found["label"] === "string" ? found["label"].slice(0, 200) : "",
    conditions: all.map(conditionOf).filter((each): each is Condition => each !== null),
    ...(typeof after === "number" && after > 0 ? { after } : {}),
  };
}

function conditionOf(value: unknown): Condition | null {
  const found = object(value);
  const op = found?.["op"] ?? "is";
  if (!found || typeof found["field"] !== "string" || typeof op !== "string" || !(op in OPS)) return null;
  const values = Array.isArray(found["values"]) ? found["values"] : [];
  return { field: found["field"], op: op as Op, values: values.filter((each): each is Term => ["string", "number", "boolean"].includes(typeof each)) };
}

function object(value: unknown): { [name: string]: unknown } | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as { [name: string]: unknown }) : null;
}

/** Steps out of the address; none for what is not of this form. */
export function stepsOf(text: string, most = 20): Step[] {
  try {
    const found: unknown = JSON.parse(text || "[]");
    return Array.isArray(found) ? found.map(stepOf).filter((each): each is Step => each !== null).slice(0, most) : [];
  } catch {
    return [];
  }
}

/** Steps for the address; empty for none. */
export function writtenSteps(steps: readonly Step[]): string {
  return steps.length ? JSON.stringify(steps.map(written)) : "";
}

/** What a step is called. */
export function titleOf(step: Step): string {
  return step.label || step.event || "any interaction";
}

/** Conditions in words. */
export function said({ field, op, values }: Condition): string {
  return `${field} ${OPS[op]}${takesValues(op) ? ` ${values.join(" or ")}` : ""}`;
}
