// Incidents and pictures as `/api/alerts` tells them: see docs/alerts.md.

import type { Column, Cells } from "../ask/answer";

export interface Incident {
  incident_id: string;
  state: "opened" | "ongoing" | "acknowledged" | "snoozed" | "resolved";
  kind: "anomaly" | "threshold" | "budget" | "silent";
  severity: "info" | "warning" | "critical";
  series: string[];
  members: number;
  flapping: boolean;
  began_at: string;
  opened_at: string;
  changed_at: string;
  resolved_at: string | null;
  snoozed_until: string | null;
  rule: string | null;
  direction: "up" | "down" | null;
  value: number | null;
  expected: number | null;
  low: number | null;
  high: number | null;
  unit: string | null;
  why: string | null;
}

export interface Step {
  at: string;
  what: string;
  state: string;
  severity: string;
  by: string | null;
  why: string | null;
}

export interface Telling {
  by: string;
  what: string;
  state: string;
  attempts: number;
  due_at: string;
  reason: string | null;
}

export interface Whole extends Incident {
  history: Step[];
  tellings: Telling[];
}

export interface Listed {
  incidents: Incident[];
  counts: Record<string, number>;
  snoozes: { series: string; until: string }[];
  tellings: Record<string, number>;
  not_told: Telling[];
}

export interface Told {
  at: string;
  what: string;
  value: number | null;
  expected: number | null;
  low: number | null;
  high: number | null;
  why: string | null;
}

/** One series drawn, with its band. */
export interface Picture {
  series: string;
  others: string[];
  unit: string;
  seconds: number;
  note: string;
  whys: string[];
  told: Told[];
  began_at: string | null;
  ended_at: string | null;
  learned_since: string | null;
  columns: Column[];
  rows: Cells[];
}

export interface Series {
  series: string;
  minutes: number;
  per_hour: number;
  unit: string;
  at: string | null;
  value: number | null;
  expected: number | null;
  low: number | null;
  high: number | null;
  learned_since: string | null;
  wrong_since: string | null;
  /** The open incident that it is of. */
  incident_id: string | null;
  kind: string | null;
}

/** The server's one word on how things are. */
export interface Verdict {
  state: "usual" | "unusual" | "incidents" | "unknown";
  sentence: string;
}

export interface Watched {
  verdict: Verdict;
  series: Series[];
  left_out: number;
  rare: number;
  judged_until: string | null;
  sentence: string;
  refused: string;
  zone: string;
  groups: string[];
  rules: { kind: string; name: string; of: string }[];
  excluded: { series: string; from: string; until: string }[];
}

export function isOpen(incident: Incident): boolean {
  return incident.state !== "resolved";
}

/** What went wrong, in a few words. */
export function headline(incident: Incident): string {
  const [first = ""] = incident.series;
  const more = incident.members > 1 ? ` and ${incident.members - 1} more` : "";
  return first + more;
}
