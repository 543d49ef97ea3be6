// A funnel as it stands in the address, and as questions take it.

import type { Parameters } from "../ask/question";
import { setQuery, usePlace } from "../shell/place";
import { type Step, asked, isWhole, stepOf, stepsOf, writtenSteps } from "../steps/step";

export const ORDERS = { ordered: "in this order", strict: "right after each other", any: "in any order" } as const;
export type Order = keyof typeof ORDERS;
export const UNITS: Readonly<Record<string, string>> = { person: "people", visitor: "visitors by recorded id", user_id: "users", session_id: "sessions" };
export const SPANS = { minutes: 60, hours: 3600, days: 86_400 } as const;
export const MOST_STEPS = 20;
const USUAL_WITHIN = 604_800;

export interface Funnel {
  steps: Step[];
  order: Order;
  /** Seconds from the first step to the last. */
  within: number;
  unit: string;
  /** What breaks it down; empty for nothing. */
  by: string;
  exclude: Step[];
}

export interface Ready {
  name: string;
  source: string;
  events: number;
  steps: unknown[];
  /** Seconds from the first step to the last, as the page has it before somebody says otherwise. */
  within: number;
}

export interface ReadyFunnels {
  funnels: Ready[];
  note: string | null;
}

/** The steps of a ready funnel. */
export function readySteps(ready: Ready): Step[] {
  return ready.steps.map(stepOf).filter((step): step is Step => step !== null);
}

/** The funnel of the address; where it has no steps, a ready one. */
export function useFunnel(otherwise: Ready | undefined): Funnel {
  const { query } = usePlace();
  const steps = stepsOf(query.get("steps") ?? "", MOST_STEPS);
  const order = query.get("order") ?? "";
  const within = Number(query.get("within"));
  return {
    steps: query.has("steps") ? steps : otherwise ? readySteps(otherwise) : [],
    order: order in ORDERS ? (order as Order) : "ordered",
    within: within > 0 && within <= 366 * 86_400 ? within : (!query.has("steps") && otherwise?.within) || USUAL_WITHIN,
    unit: query.get("unit") || "person",
    by: query.get("by") ?? "",
    exclude: stepsOf(query.get("exclude") ?? "", 10),
  };
}

/** Change the funnel in the address; what was chosen below it no longer fits. */
export function setFunnel(change: Partial<Funnel>): void {
  setQuery({
    ...(change.steps ? { steps: writtenSteps(change.steps) || "[]", step: null } : {}),
    ...(change.order ? { order: change.order === "ordered" ? null : change.order } : {}),
    ...(change.within ? { within: change.within === USUAL_WITHIN ? null : change.within } : {}),
    ...(change.unit === undefined ? {} : { unit: change.unit === "person" ? null : change.unit }),
    ...(change.by === undefined ? {} : { by: change.by || null }),
    ...(change.exclude ? { exclude: writtenSteps(change.exclude) || null } : {}),
  });
}

/** The parameters of a question about it; null while there is nothing to ask. */
export function parametersOf(funnel: Funnel): Parameters | null {
  const steps = funnel.steps.filter(isWhole);
  if (steps.length < 2) return null;
  const exclude = funnel.order === "ordered" ? funnel.exclude.filter(isWhole) : [];
  return {
    steps: steps.map(asked), order: funnel.order, within: funnel.within, unit: funnel.unit,
    ...(exclude.length ? { exclude: exclude.map((step) => asked({ ...step, ...((step.after ?? 0) < steps.length ? {} : { after: 0 }) })) } : {}),
  };
}

export function unitName(unit: string): string {
  return UNITS[unit] ?? unit;
}
