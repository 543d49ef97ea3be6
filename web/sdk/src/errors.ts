/** Errors that nobody caught: the first of its kind at once, its repetitions counted. */

import { emit, on } from "./events.ts";
import type { Fields } from "./options.ts";
import { ends } from "./pages.ts";
import { clean, cut } from "./words.ts";

const KINDS = 50; // on one page view

/** A stack without what addresses in it may hold. */
const stackOf = (error?: Error): string | undefined =>
  cut(error?.stack?.replace(/[?#][^\s:)]*/g, ""), 4e3);

export const errors = (): void => {
  const seen = new Map<string, Fields & { count?: number | undefined }>();

  const tell = (
    kind: string,
    message: string,
    error?: Error,
    source?: string,
    line?: number,
    column?: number,
  ): void => {
    const told = {
      kind,
      message: cut(message, 1e3) || kind,
      error_type: cut(error?.name),
      stack: stackOf(error),
      source: clean(source),
      line,
      column,
    };
    const name = JSON.stringify(told);
    const again = seen.get(name);
    if (again) again.count = (again.count || 0) + 1;
    else if (seen.size < KINDS) {
      seen.set(name, told);
      emit("client_error", told);
    }
  };

  on("error", ({ target, message, error, filename, lineno, colno }: ErrorEvent) => {
    const { localName, src, href } = target as { localName?: string; src?: string; href?: string };
    if (localName) tell("resource", localName + " failed to load", error, src || href);
    else tell("error", message, error, filename, lineno, colno);
  });
  on("unhandledrejection", ({ reason }: PromiseRejectionEvent) => {
    const error = reason instanceof Error ? reason : undefined; // another object may hold anything
    tell(
      "rejection",
      error?.message || (typeof reason == "string" ? reason : typeof reason),
      error,
    );
  });
  ends((over) => {
    seen.forEach((again) => {
      if (again.count) emit("client_error", again);
      again.count = undefined;
    });
    if (over) seen.clear();
  });
};
