/** Errors that nobody caught: the first of its kind at once, its repetitions counted. */

import { emit, on } from "./events.ts";
import type { Fields } from "./options.ts";
import { ends } from "./pages.ts";
import { clean, cut } from "./words.ts";

const KINDS = 50; // on one page view

/** A stack without what addresses in it may hold. */
const stackOf = (error?: Error): string | undefined =>
  cut(error?.stack && String(error.stack).replace(/[?#][^\s:)]*/g, ""), 4e3);

export function errors(): void {
  let seen = new Map<string, { fields: Fields; count: number }>();

  const tell = (kind: string, message: unknown, fields: Fields): void => {
    fields = { kind, message: cut(message, 1e3) || kind, ...fields };
    const { source, line } = fields;
    const name = [kind, message, source, line].join();
    const again = seen.get(name);
    if (again) again.count++;
    else if (seen.size < KINDS) {
      seen.set(name, { fields, count: 0 });
      emit("client_error", fields);
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
    seen.forEach((entry) => {
      if (entry.count) emit("client_error", { ...entry.fields, count: entry.count });
      entry.count = 0;
    });
    if (over) seen = new Map();
  });
}
