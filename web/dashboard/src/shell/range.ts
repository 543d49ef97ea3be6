// Of which time a page tells: a range in the address, made into two moments in a zone.

import { useMemo } from "preact/hooks";
import { pageOf } from "./pages";
import { usePlace } from "./place";
import { type Day, addDays, compareDays, dayStart, isZone, keptZone, readDay, wall, writeDay } from "./zone";

export type Grain = "hour" | "day" | "week" | "month";
export type Compare = "" | "previous" | "day" | "week" | "month" | "year";

export const RANGES: Readonly<Record<string, string>> = {
  today: "Today",
  yesterday: "Yesterday",
  "7d": "Last 7 days",
  "28d": "Last 28 days",
  "90d": "Last 90 days",
  month: "This month",
  "12m": "Last 12 months",
};

export const COMPARES: Readonly<Record<Compare, string>> = {
  "": "No comparison",
  previous: "Previous period",
  day: "A day before",
  week: "A week before",
  month: "A month before",
  year: "A year before",
};

export const USUAL_RANGE = "7d";

export interface Range {
  /** As it stands in the address. */
  text: string;
  label: string;
  zone: string;
  compare: Compare;
  /** First and last day that count. */
  first: Day;
  last: Day;
  /** ISO 8601; the first moment that counts, and the first that counts no more. */
  since: string;
  until: string;
  /** What a point of a chart stands for, unless a page says otherwise. */
  grain: Grain;
  /** Whether it holds the present moment, so that its figures still change. */
  current: boolean;
}

/** The range of a text such as `7d` or `2026-11-01..2026-11-07`; what is none is the usual one. */
export function rangeOf(text: string, zone: string, compare: Compare, nowMs: number): Range {
  const today: Day = wall(nowMs, zone);
  const [first, last, label] = days(text, today) ?? [addDays(today, -6), today, RANGES[USUAL_RANGE] ?? ""];
  const count = Math.round((Date.UTC(last.year, last.month - 1, last.day) - Date.UTC(first.year, first.month - 1, first.day)) / 86_400_000) + 1;
  return {
    text, label, zone, compare, first, last,
    since: new Date(dayStart(first, zone)).toISOString(),
    until: new Date(dayStart(addDays(last, 1), zone)).toISOString(),
    grain: count <= 3 ? "hour" : count <= 100 ? "day" : count <= 400 ? "week" : "month",
    current: compareDays(last, today) >= 0,
  };
}

function days(text: string, today: Day): [Day, Day, string] | null {
  const label = Object.hasOwn(RANGES, text) ? RANGES[text] ?? "" : "";
  const past = /^([1-9]\d{0,3})d$/.exec(text);
  if (text === "today") return [today, today, label];
  if (text === "yesterday") return [addDays(today, -1), addDays(today, -1), label];
  if (past) return [addDays(today, 1 - Number(past[1])), today, label || `Last ${past[1]} days`];
  if (text === "month") return [{ ...today, day: 1 }, today, label];
  if (text === "12m") return [addDays({ ...today, year: today.year - 1 }, 1), today, label];
  const [from, to] = text.split("..").map(readDay);
  if (!from || !to || compareDays(from, to) > 0) return null;
  return [from, to, compareDays(from, to) ? `${writeDay(from)} – ${writeDay(to)}` : writeDay(from)];
}

export function isCompare(text: string): text is Compare {
  return Object.hasOwn(COMPARES, text);
}

/** The range that the address names, or the page's usual one; compared with another where the page does that. */
export function useRange(): Range {
  const { page: name, query } = usePlace();
  const page = pageOf(name);
  const text = query.get("range") ?? page?.usual ?? USUAL_RANGE;
  const zone = query.get("zone") ?? "";
  const compare = (page?.compared && query.get("compare")) || "";
  const day = writeDay(wall(Date.now(), "UTC"));
  return useMemo(
    () => rangeOf(text, isZone(zone) && zone ? zone : keptZone(), isCompare(compare) ? compare : "", Date.now()),
    // In a new hour it may be a new day of the zone.
    [text, zone, compare, day, new Date().getUTCHours()],
  );
}
