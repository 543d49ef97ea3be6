// PowerConfidence as `/api/partners` tells it: see docs/confidence.md. What a partner may not see is
// not in its answer, such as respondents, sentences of flags, moments; its points are whole ones.

import type { Data } from "../ask/question";
import { useData } from "../ask/question";

export type Source = "employees" | "customers" | "demos" | "consistency";

export interface Standing {
  value: number;
  low: number;
  high: number;
  provisional: boolean;
  at: string;
  place: number | null;
}

export interface Listed {
  partner_id: string;
  name: string;
  category: string;
  score: Standing | null;
}

export interface Respondent {
  respondent_id: string;
  mean: number;
  weight: number;
  factors: { age: number; verification: number; completeness: number; flags: Readonly<Record<string, number>>; flagged: number };
  points: number;
  pull: number;
}

export interface SourcePart {
  source: Source;
  weight: number;
  respondents_n: number;
  mean: number | null;
  prior: { mean: number; strength: number; partners: number; basis: string };
  points: number;
  prior_points: number;
  pull: number;
  /** For the team alone, as `effective_n` and `reliability`. */
  respondents?: Respondent[];
  effective_n?: number;
  categories: { category: string; mean: number; respondents: number }[];
  reliability?: { alpha: number | null; icc: number | null; icc_form: string; reason: string };
}

export interface Flag {
  kind: string;
  /** For the team alone, as what follows. */
  sentence?: string;
  respondents?: string[];
  factor?: number;
}

export interface Score {
  value: number;
  low: number;
  high: number;
  level: number;
  provisional: boolean;
  why_provisional: string[];
  data_points: number;
  evidence_share: number;
  baseline: number;
  sources: SourcePart[];
  flags: Flag[];
  formula_version: string;
}

export interface Quote {
  source: Source;
  field: string;
  text: string;
}

export interface Confidence {
  partner_id: string;
  name: string;
  category: string;
  /** How many witnesses of a kind there must be before the partner sees what they say. */
  k: number;
  score: Score | null;
  why: string | null;
  /** By source, answers that the partner does not see yet; for the team alone. */
  waiting: Readonly<Record<string, number>>;
  /** A moment; for a partner a day. */
  at?: string;
  quotes: Quote[];
  peers: { category: string; partners: number; ranked: number; place: number | null; median: number } | null;
}

export interface Course {
  history: { at: string; value: number; low: number; high: number; provisional: boolean; formula_version?: string }[];
}

export interface Alignment {
  score: number | null;
  low: number | null;
  high: number | null;
  coverage: number;
  witnesses: number;
}

export interface Votes {
  supports: number;
  contradicts: number;
  silent: number;
}

export interface Report {
  overall: Alignment;
  ceo_employee: Alignment;
  ceo_customer: Alignment;
  ceo_demo: Alignment;
  employee_customer: Alignment;
  claims: { claim: string; kind: string; votes: Readonly<Record<string, Votes>> }[];
  discrepancies: { claim: string; quote: string; source: string; reason: string; witness_id?: string }[];
  recommendations: string[];
}

export interface Consistency {
  report: Report | null;
  why?: string;
  at?: string;
  model?: string;
}

/** Whether a score is told in whole points, as a partner has it: then its parts are it but for rounding. */
export function isRounded(score: Score): boolean {
  return score.sources.every((part) => part.respondents === undefined);
}

/** Everything of one partner. */
export interface Told {
  /** All partners that PowerConfidence knows; one that is not among them is not asked for. */
  known: Data<{ partners: Listed[] }>;
  isKnown: boolean;
  confidence: Data<Confidence>;
  course: Data<Course>;
  consistency: Data<Consistency>;
}

export function useKnown(): Data<{ partners: Listed[] }> {
  return useData<{ partners: Listed[] }>("partners", "");
}

export function useTold(partner: string): Told {
  const known = useKnown();
  const isKnown = known.value?.partners.some((one) => one.partner_id === partner) ?? false;
  const rest = (what: string) => (isKnown ? `/${encodeURIComponent(partner)}/${what}` : null);
  return {
    known, isKnown,
    confidence: useData<Confidence>("partners", rest("confidence")),
    course: useData<Course>("partners", rest("history")),
    consistency: useData<Consistency>("partners", rest("consistency")),
  };
}
