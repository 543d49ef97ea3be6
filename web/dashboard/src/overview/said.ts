// What `GET /api/overview` answers: see docs/server.md.

import type { Verdict } from "../anomalies/incident";
import type { Column, Value } from "../ask/answer";

export interface Hour {
  moment: string;
  over: boolean;
  today: number | null;
  usual: number | null;
  low: number | null;
  high: number | null;
  days: number;
}

export interface Figure {
  name: string;
  doc: string;
  unit: string;
  more_is: "better" | "worse";
  today: number | null;
  usual: number | null;
  low: number | null;
  high: number | null;
  days: number;
  change: number | null;
}

export interface Incident {
  incident_id: string;
  state: string;
  severity: string;
  kind: string;
  series: string[];
  why: string | null;
  opened_at: string;
}

export interface Overview {
  at: string;
  /** Whether nothing ever came. */
  empty: boolean;
  zone: string;
  day: string;
  known: string[];
  hours: Hour[];
  figures: Figure[];
  outcomes: Figure[];
  questions: Record<string, Record<string, Value>>;
  alerts: { incidents: Incident[]; counts: Record<string, number>; verdict: Verdict | null; sentence: string };
  health: {
    ok: boolean;
    sentence: string;
    ledger_ok: boolean;
    lag_seconds: number;
    waiting: number;
    stopped: string[];
    refused: number;
    refused_is_least: boolean;
    last_at: string | null;
  };
}

function column(name: string, kind: string, doc: string, unit = ""): Column {
  return { name, kind, unit, doc };
}

const USUAL = [
  column("usual", "number", "The median of the known days."),
  column("low", "number", "The least of the known days."),
  column("high", "number", "The greatest of the known days."),
  column("days", "integer", "How many days are known."),
];

/** The hours as a table. */
export function hourTable(hours: Hour[]) {
  return {
    columns: [column("moment", "time", "Beginning of the hour."), column("today", "integer", "What came today."), ...USUAL],
    rows: hours.map((hour) => [hour.moment, hour.today, hour.usual, hour.low, hour.high, hour.days]),
  };
}

/** Figures as a table. */
export function figureTable(figures: Figure[]) {
  return {
    columns: [
      column("figure", "text", "What is counted."), column("today", "number", "Today so far."), ...USUAL,
      column("change", "number", "How much more than usual.", "0 to 1"),
    ],
    rows: figures.map((each) => [each.name, each.today, each.usual, each.low, each.high, each.days, each.change]),
  };
}
