// What the feed sends: see `stream.py`, `hour.py` and `glance.py`.

export interface Row {
  at: string;
  type: string;
  what: string;
  id?: string;
  time?: string;
  method?: string;
  route?: string;
  status?: number;
  ms?: number;
  user?: string;
  session?: string;
  trace?: string;
  error?: string;
  service?: string;
}

export interface Batch {
  rows: Row[];
  seen: number;
  matched: number;
  backlog: boolean;
}

export interface Skipped {
  n: number;
  why: "burst" | "slow";
}

export interface Line {
  name: string;
  count: number;
  errors: number;
  share: number;
  p50: number | null;
  p95: number | null;
}

/** When it began, count, errors, p50, p95, and counts in the order of `stack`. */
export type Minute = [number, number, number, number | null, number | null, number[]];

export interface Hour {
  now: number;
  first: number;
  whole: boolean;
  stack: string[];
  minutes: Minute[];
  totals: { count: number; errors: number; error_share: number; p50: number | null; p95: number | null };
  types: Line[];
  routes: Line[];
}

/** Who is online; more than `most` means "more than that". */
export interface Online {
  visitors: number;
  most: number;
  /** Of each minute of the hour, the running one last. */
  minutes: number[];
  most_in_minute: number;
  pages: { name: string; visitors: number; share: number }[];
}

/** A route: calls a second over ten seconds, and how many of them failed. */
export interface Lit {
  route: string;
  rate: number;
  errors: number;
  share: number;
}

export interface HourEvent {
  hour: Hour;
  rate: number;
  online: Online;
  lit: Lit[];
  loading: boolean;
  cut: boolean;
  trouble: string;
}

export const MINUTE = 60_000;
export const MINUTES = 60;
