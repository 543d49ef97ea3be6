/** Errors that nobody caught: the first of its kind at once, its repetitions counted. */

import { emit, on } from "./events.ts";
import type { Fields } from "./options.ts";
import { ends } from "./pages.ts";
import { clean, cut } from "./words.ts";

const KINDS = 50; // on one page view

/** A stack without what addresses in it may hold. */
const stackOf = (error?: Error): string | undefined =>
  cut(error?.stack?.replace(/[?#][^\s:)]*/g, ""), 4e3);

export function errors(): void {
  const seen = new Map<string, Fields & { count?: number | undefined }>();

  const tell = (kind: string, message: unknown, fields: Fields): void => {
    const told = { kind, message: cut(message, 1e3) || kind, ...fields };
    const name = JSON.stringify(told);
    const again = seen.get(name);
    if (again) again.count = (again.count || 0) + 1;
    else if (seen.size < KINDS) {
      seen.set(name, told);
      emit("client_error", told);
    }
  };

  on("error", ({ target, message, filename, lineno, colno, error }: ErrorEvent) => {
    const { localName, src, href } = target as { localName?: string; src?: string; href?: string };
    if (localName) {
      tell("resource", localName + " failed to load", { source: clean(src || href || "") });
    } else {
      tell("error", message, {
        error_type: cut(error?.name),
        stack: stackOf(error),
        source: clean(filename),
        line: lineno,
        column: colno,
      });
    }
  });
  on("unhandledrejection", ({ reason }: PromiseRejectionEvent) => {
    const error = reason instanceof Error ? reason : undefined; // another object may hold anything
    tell("rejection", error ? error.message : typeof reason == "string" ? reason : typeof reason, {
      error_type: cut(error?.name),
      stack: stackOf(error),
    });
  });
  ends((over) => {
    seen.forEach((again) => {
      if (again.count) emit("client_error", again);
      again.count = undefined;
    });
    if (over) seen.clear();
  });
}
