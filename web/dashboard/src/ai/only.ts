// What the page is narrowed to: a model, a feature, a user; it stands in the address.

import { useMemo } from "preact/hooks";
import type { Range } from "../shell/range";
import { usePlace } from "../shell/place";

export const FILTERS = ["model", "feature", "user"] as const;
export type Field = (typeof FILTERS)[number];
export type Only = { [name: string]: string[] };

/** What every card of the page is about. */
export interface Scope {
  range: Range;
  only: Only;
  grain: Range["grain"];
}

export function useOnly(): Only {
  const { query } = usePlace();
  const values = FILTERS.map((name) => query.get(name) ?? "");
  return useMemo(() => {
    const only: Only = {};
    FILTERS.forEach((name, n) => {
      const value = values[n];
      if (value) only[name] = [value];
    });
    return only;
  }, values);
}
