// What retention is asked about, as it stands in the address and as questions take it.

import type { Parameters } from "../ask/question";
import { setQuery, usePlace } from "../shell/place";
import { type Step, asked, blank, stepsOf, writtenSteps } from "../steps/step";

export const GRAINS = { day: "days", week: "weeks", month: "months" } as const;
export type Grain = keyof typeof GRAINS;
export const KINDS = { on: "just that", on_or_after: "that or later" } as const;
export const COHORTS = { first: "their first in this range", first_ever: "their first ever", every: "every start" } as const;
export const UNITS: Readonly<Record<string, string>> = { person: "people", visitor: "visitors by recorded id", user_id: "users", session_id: "sessions" };

export interface Back {
  start: Step;
  back: Step;
  grain: Grain;
  kind: keyof typeof KINDS;
  cohort: keyof typeof COHORTS;
  unit: string;
  by: string;
}

const ANYTHING = blank("*");

export function useBack(usual: Grain): Back {
  const { query } = usePlace();
  const one = (name: string) => stepsOf(query.get(name) ?? "", 1)[0] ?? ANYTHING;
  const word = <T extends string>(name: string, known: Readonly<Record<T, string>>, otherwise: T): T => {
    const said = query.get(name) ?? "";
    return said in known ? (said as T) : otherwise;
  };
  return {
    start: one("start"), back: one("back"), grain: word("grain", GRAINS, usual), kind: word("kind", KINDS, "on"),
    cohort: word("cohort", COHORTS, "first"), unit: query.get("unit") || "person", by: query.get("by") ?? "",
  };
}

export function setStep(name: "start" | "back", step: Step): void {
  const nothing = step.event === "*" && !step.label && !step.conditions.length;
  setQuery({ [name]: nothing ? null : writtenSteps([step]) });
}

export function parametersOf(of: Back): Parameters {
  const most = { day: 14, week: 12, month: 12 }[of.grain];
  return {
    start: asked(of.start), back: asked(of.back), grain: of.grain, kind: of.kind, cohort: of.cohort, unit: of.unit, periods: most,
    ...(of.by ? { by: [of.by] } : {}),
  };
}
