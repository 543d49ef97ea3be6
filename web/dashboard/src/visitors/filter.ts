// What the page is narrowed to; it stands in the address, one name for each field.

import type { Value } from "../ask/answer";
import { setQuery, usePlace } from "../shell/place";

/** The fields that a click narrows the page to, and what each is called. */
export const FIELDS: Readonly<Record<string, string>> = {
  path: "page",
  referrer_host: "source",
  utm_source: "campaign source",
  utm_medium: "campaign medium",
  utm_campaign: "campaign",
  device: "device",
  browser: "browser",
  os: "system",
  country: "country",
};

export interface Narrowed {
  /** The chosen value of each field. */
  chosen: Readonly<Record<string, string>>;
  /** The same as a question takes it. */
  where: Value | undefined;
}

export function useNarrowed(): Narrowed {
  const { query } = usePlace();
  const chosen: Record<string, string> = {};
  for (const field of Object.keys(FIELDS)) {
    const value = query.get(field);
    if (value !== null) chosen[field] = value;
  }
  const terms: Value[] = Object.entries(chosen).map(([field, value]) => ({ field, values: [value] }));
  return { chosen, where: terms.length > 1 ? { all: terms } : terms[0] };
}

/** Narrow the page to a value of a field, or with "" no more. */
export function narrow(field: string, value: string): void {
  setQuery({ [field]: value || null });
}
