/**
 * What the visitor permits: the least of what the app said, what was chosen here before, and what
 * the browser signals. A choice for less than everything is kept, for it has to be remembered.
 */

import type { Consent } from "./options.ts";
import { names, read, write } from "./shelf.ts";

export const NONE = 0;
export const ANONYMOUS = 1;
export const FULL = 2;

const MODES: readonly Consent[] = ["none", "anonymous", "full"];
export const CHOICE = "choice";

/** The number of a mode; `fallback` for anything else. */
const levelOf = (mode: unknown, fallback: number): number => {
  const level = MODES.indexOf(mode as Consent);
  return level < 0 ? fallback : level;
};

export interface Permission {
  level(): number;
  mode(): Consent;
  /** The visitor chose; whether it is more (1), less (-1) or the same (0). */
  choose(mode: unknown): number;
}

export function permission(asked: unknown, signal: unknown): Permission {
  const { globalPrivacyControl, doNotTrack } = navigator as Navigator & {
    globalPrivacyControl?: boolean;
  };
  // A word that is no mode permits nothing: a misspelt "none" must not collect.
  const most = globalPrivacyControl || doNotTrack == "1" ? levelOf(signal, ANONYMOUS) : FULL;
  const stated = asked == null ? FULL : levelOf(asked, NONE);
  let level = Math.min(stated, most, levelOf(read(CHOICE), FULL));
  return {
    level: () => level,
    mode: () => MODES[level]!,
    choose(mode) {
      const before = level;
      const chosen = levelOf(mode, NONE);
      level = Math.min(chosen, most);
      if (level < FULL) names("").forEach((name) => write(name, null));
      write(CHOICE, chosen < FULL ? MODES[chosen]! : null);
      return Math.sign(level - before);
    },
  };
}
