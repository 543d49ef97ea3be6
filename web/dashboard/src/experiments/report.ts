// What the server says of experiments: see docs/server.md.

import type { Cells, Column, Value } from "../ask/answer";
import type { Question } from "../ask/question";

export interface Listed {
  key: string;
  units: number;
  exposures: number;
  first_at: string | null;
  last_at: string | null;
  days: number | null;
  state: "running" | "off" | "no_flag";
  flags: { flag: string; on: boolean; phase: string | null }[];
  arms: { arm: string; units: number; exposures: number; planned: number | null }[];
  hypothesis?: string;
  metrics?: string[];
  guardrails?: string[];
}

export interface List {
  experiments: Listed[];
  note: string | null;
}

export interface Measured {
  value: number;
  low: number | null;
  high: number | null;
  p: number | null;
}

export interface Effect {
  arm: string;
  difference: Measured | null;
  lift: Measured | null;
  p_adjusted: number | null;
  state: "better" | "worse" | "unclear";
  belief: { chance_to_win: number; loss_if_shipped: number } | null;
  detectable: number | null;
}

export interface Metric {
  metric: string;
  kind: "share" | "mean" | "ratio" | "quantile";
  role: "metric" | "guardrail";
  better: "higher" | "lower";
  arms: { arm: string; units: number; value: number | null; error: number | null }[];
  effects: Effect[];
}

export type Status = "ship" | "do_not_ship" | "keep_running" | "mixed" | "broken";

export interface Report {
  experiment: string;
  method: "sequential" | "fixed";
  level: number;
  control: string;
  arms: { arm: string; units: number; planned: number }[];
  split: { p: number | null; broken: boolean };
  metrics: Metric[];
  verdict: { status: Status; arm: string | null; sentence: string; reasons: { code: string; sentence: string }[] };
}

export interface Table {
  columns: Column[];
  rows: Cells[];
}

interface Asked {
  kind: string;
  parameters: { [name: string]: Value };
}

export interface Told {
  questions: Asked[];
  report: Report;
  sentences: { ratio: string; aside: string[]; notes: string[]; method: string };
  figures: Table;
}

export interface Course {
  questions: Asked[];
  /** Metrics that there was no time for. */
  left_out: string[];
  units: Table;
  intervals: Table;
}

/** The address of an experiment below the part; a key with a slash is no step of a path. */
export function restOf(key: string, more: string, query: URLSearchParams): string {
  if (!key.includes("/")) return `/${encodeURIComponent(key)}${more}?${query}`;
  return `/-${more}?${new URLSearchParams([...query, ["experiment", key]])}`;
}

/** Questions behind a report, as a card explains them. */
export function explained(asked: readonly Asked[] | undefined, only?: string): Question[] {
  return (asked ?? []).filter((each) => !only || each.kind === only).map((each) => (
    { ...each, value: null, refused: null, busy: false, at: 0, again: () => undefined }
  ));
}
