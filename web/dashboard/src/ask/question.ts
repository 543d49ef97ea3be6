// Questions of a page: asked when their parameters change, and anew when there is something new. What
// is shown stays while the next answer is on its way, and is marked stale when none comes.

import { useEffect, useMemo, useReducer, useRef } from "preact/hooks";
import type { Range } from "../shell/range";
import type { Answer, Value } from "./answer";
import { onChange } from "./changes";
import { Refused, tell } from "./client";

export type Parameters = { readonly [name: string]: Value | undefined };

export interface Data<T> {
  /** The newest answer; of the parameters before, while the answer to new ones is on its way. */
  value: T | null;
  /** Why there is no newer one. */
  refused: Refused | null;
  /** Whether one is on its way. */
  busy: boolean;
  /** Whether the answer is that of other parameters, shown until the one to these is there. */
  old?: boolean;
  /** When the server was heard last; 0 for never. */
  at: number;
  again: () => void;
}

export interface Question extends Data<Answer> {
  kind: string;
  parameters: Parameters;
}

interface Wanted {
  part: string;
  rest: string;
  body?: unknown;
  /** Whether the answer changes as records come in. */
  current: boolean;
  text?: boolean;
}

const LEAST_PAUSE_MS = 5_000; // between two answers of the same question
const SHARE = 10; // a question that takes a second is asked every ten at most
const RETRY_MS = 3_000; // doubled each time
const LONGEST_RETRY_MS = 60_000;
const MOST_KEPT = 80;
const LASTING = new Set(["too_slow", "died", "missing_extra"]); // asking again would end the same way

interface Kept {
  value: unknown;
  etag: string;
  at: number;
}
const kept = new Map<string, Kept>();

function keep(key: string, value: Kept): void {
  kept.delete(key);
  kept.set(key, value);
  const [oldest] = kept.keys();
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
}

/** Forget every answer: somebody else is at the page now. */
export function forgetAnswers(): void {
  kept.clear();
}

/**
 * Ask a question: `useQuestion("trend", {series: […]}, range)`. Range, zone, grain (where `parameters`
 * have it as "auto") and comparison come from `range`; some questions have none, and take null. With
 * null as parameters nothing is asked.
 */
export function useQuestion(kind: string, parameters: Parameters | null, range: Range | null): Question {
  const body = parameters && asked(parameters, range);
  const compare = range?.compare && parameters ? `?compare=${range.compare}` : "";
  const wanted = body ? { part: "questions", rest: `/${kind}${compare}`, body, current: range?.current ?? true } : null;
  const data = useWanted<Answer>(wanted);
  return { ...data, kind, parameters: body ?? {} };
}

/** What a part of the server answers to GET; null asks nothing. */
export function useData<T>(part: string, rest: string | null, current = true): Data<T> {
  return useWanted<T>(rest === null ? null : { part, rest, current });
}

/** The same as text, once: for what is shown as it is stored. */
export function useText(part: string, rest: string): Data<string> {
  return useWanted<string>({ part, rest, current: false, text: true });
}

function asked(parameters: Parameters, range: Range | null): Parameters {
  const all: Record<string, Value> = range ? { since: range.since, until: range.until, zone: range.zone } : {};
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) all[name] = value;
  if (range && all["grain"] === "auto") all["grain"] = range.grain;
  return all;
}

function useWanted<T>(wanted: Wanted | null): Data<T> {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const key = wanted ? JSON.stringify([wanted.part, wanted.rest, wanted.body ?? null, wanted.text ?? false]) : "";
  const asker = useRef<Asker<T> | null>(null);
  const data = (asker.current ??= new Asker<T>(() => redraw(0)));
  useMemo(() => data.want(key, wanted), [key]); // while drawing, so that nothing of before flashes up
  useEffect(() => {
    data.start();
    return () => data.stop();
  }, [key]);
  return data.state;
}

/** Asks for one hook. */
class Asker<T> {
  state: Data<T>;
  #key = "";
  #wanted: Wanted | null = null;
  #abort: AbortController | null = null;
  #timer = 0;
  #tookMs = 0;
  #askedAt = 0;
  #changed = false;
  #failed = 0;
  #leave: (() => void) | null = null;

  constructor(private readonly redraw: () => void) {
    this.state = { value: null, refused: null, busy: false, at: 0, again: () => void this.#ask() };
  }

  want(key: string, wanted: Wanted | null): void {
    const before = this.#wanted;
    this.#key = key;
    this.#wanted = wanted;
    const found = kept.get(key) as { value: T; etag: string; at: number } | undefined;
    // An answer of another kind has other columns: it does not stay.
    const value = wanted ? found?.value ?? (kindOf(before) === kindOf(wanted) ? this.state.value : null) : null;
    this.state = { ...this.state, value, old: value !== null && !found, refused: null, busy: wanted !== null, at: found?.at ?? this.state.at };
  }

  start(): void {
    if (!this.#wanted) return;
    document.addEventListener("visibilitychange", this.#shown);
    if (this.#wanted.current) this.#leave = onChange(() => this.#hear());
    void this.#ask();
  }

  stop(): void {
    this.#abort?.abort();
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#leave?.();
    this.#leave = null;
    document.removeEventListener("visibilitychange", this.#shown);
  }

  #shown = (): void => {
    if (!document.hidden && this.#changed) this.#hear();
  };

  /** Something is new: ask, but not all the time, and never for a tab that nobody sees. */
  #hear(): void {
    this.#changed = true;
    if (document.hidden || this.state.busy) return;
    if (this.#failed) return void this.#ask(); // something is heard again: no need to wait for the next try
    if (this.#timer) return;
    const pause = Math.max(LEAST_PAUSE_MS, SHARE * this.#tookMs);
    const wait = Math.max(0, this.#askedAt + pause - performance.now());
    this.#timer = window.setTimeout(() => void this.#ask(), wait);
  }

  async #ask(): Promise<void> {
    const wanted = this.#wanted;
    if (!wanted) return;
    this.#abort?.abort();
    clearTimeout(this.#timer);
    this.#timer = 0;
    const abort = (this.#abort = new AbortController());
    const key = this.#key;
    const began = performance.now();
    this.#changed = false;
    this.#say({ busy: true });
    try {
      const etag = kept.get(key)?.etag;
      const told = await tell<T>(wanted.part, wanted.rest, { body: wanted.body, signal: abort.signal, ...(wanted.text ? { text: true } : {}), ...(etag ? { etag } : {}) });
      const value = told.value ?? (kept.get(key)?.value as T | undefined) ?? null;
      if (value === null) kept.delete(key);
      else keep(key, { value, etag: told.etag, at: Date.now() });
      this.#failed = 0;
      this.#tookMs = performance.now() - began;
      this.#askedAt = performance.now();
      this.#say({ value, old: false, refused: null, busy: false, at: Date.now() });
      if (value === null) return void this.#ask(); // forgotten in between: ask for the whole of it
      if (this.#changed) this.#hear();
    } catch (error) {
      if (abort.signal.aborted) return;
      const refused = error instanceof Refused ? error : new Refused(0, "broken", "The answer could not be read.");
      this.#askedAt = performance.now();
      const passing = refused.status === 0 || refused.status === 429 || (refused.status > 500 && !LASTING.has(refused.code));
      // What the server refuses was not asked so before: an answer to something else must not stay.
      this.#say({ refused, busy: false, ...(passing ? {} : { value: null }) });
      if (passing) this.#retry(refused.after * 1000);
    }
  }

  /** Ask again later, and later each time; a tab that nobody sees waits until it is seen. */
  #retry(leastMs: number): void {
    const wait = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** this.#failed) * (0.75 + Math.random() / 2);
    this.#failed += 1;
    this.#changed = true;
    if (!document.hidden) this.#timer = window.setTimeout(() => void this.#ask(), Math.max(wait, leastMs));
  }

  #say(part: Partial<Data<T>>): void {
    this.state = { ...this.state, ...part };
    this.redraw();
  }
}

function kindOf(wanted: Wanted | null): string {
  return wanted ? `${wanted.part} ${wanted.rest.split("?")[0]}` : "";
}
