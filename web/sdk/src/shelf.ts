/** What is kept on the visitor's device: texts in localStorage, nothing where that is refused. */

import { attempt } from "./attempt.ts";

/** Every name begins so. */
export const OURS = "lakeward.";

/** The text that was kept; asking throws in a sandboxed frame, or when it is switched off. */
export const read = (name: string): string | undefined => attempt(() => localStorage[name]);

/** Keep `text`, or forget what was kept; whether that was possible. */
export const write = (name: string, text?: string): true | undefined =>
  attempt(() => {
    if (text) localStorage[name] = text;
    else delete localStorage[name];
    return true;
  });

/** The names that begin with `start`, in order. */
export const names = (start: string): string[] =>
  attempt(() =>
    Object.keys(localStorage)
      .filter((name) => name.startsWith(start))
      .sort(),
  ) || [];
