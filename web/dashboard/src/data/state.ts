// What `/api/data` answers: see docs/server.md.

import type { Answer, Cells, Column } from "../ask/answer";

export interface Term {
  name: string;
  n: number;
  doc: string;
}

export interface Left {
  reason: string;
  term: string;
  n: number;
  doc: string;
}

export interface Follower {
  name: string;
  state: "new" | "running" | "retrying" | "stopped";
  sentence: string;
  since: string;
  waiting: number;
  delivered: number;
  quarantined: number;
}

export interface State {
  at: string;
  ledger: {
    ok: boolean;
    sentence: string;
    faults: string[];
    offered: Term[];
    places: Term[];
    total: number;
    reasons: Left[];
  };
  keeper: { status: string; message?: string; age_ms: number | null };
  rings: { owner: string; alive: boolean; fill: number; waiting: number }[];
  followers: Follower[];
  table: { waiting_bytes: number; counts: Record<string, number>; changed_at: string | null; sentence: string };
  log_changed_at: string | null;
}

export type Sheet = Pick<Answer, "columns" | "rows">;

export interface Storage {
  zones: Sheet;
  days: Sheet;
  bytes: number;
  free: number;
  total: number;
}

/** A sheet as the charts take one. */
export function answerOf(sheet: Sheet): Answer {
  return { kind: "", question: {}, ...sheet };
}

export function column(name: string, kind: string, doc = "", unit = ""): Column {
  return { name, kind, unit, doc };
}

/** The sum as a table, for the card's menu. */
export function termsOf(state: State): Sheet {
  const row = (side: string) => (term: Term): Cells => [side, term.name, term.n, term.doc];
  return {
    columns: [column("side", "text"), column("place", "text"), column("interactions", "integer"), column("meaning", "text")],
    rows: [...state.ledger.offered.map(row("offered")), ...state.ledger.places.map(row("place"))],
  };
}
