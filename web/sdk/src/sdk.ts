/** The SDK as an app calls it: calls wait for the beginning, and nothing throws into the page. */

import { attempt } from "./attempt.ts";
import { emit, on } from "./events.ts";
import type { Consent, Fields, Options } from "./options.ts";
import { BUNDLE, empty, hide, wake } from "./outbox.ts";
import { arrival, end, follow, open } from "./pages.ts";
import { CHOICE, choose, FULL, level, MODES, NONE, permit } from "./permission.ts";
import { forget, person } from "./person.ts";
import { off, options, settle } from "./settings.ts";
import { connect } from "./wire.ts";
import { typeOf } from "./words.ts";

let named: [string, Fields?, string?] | undefined;
let held: (() => unknown)[] | undefined = [];

/** `call`, once it has begun. */
export const safe =
  <A extends unknown[]>(call: (...args: A) => void) =>
  (...args: A): void => {
    const now = (): unknown => attempt(() => call(...args));
    if (held) held.push(now);
    else now();
  };

/** Begin, and let the page be watched. */
export const start = (said: Options, watch?: () => void): void => {
  if (options) return;
  settle(said);
  const go = (): unknown =>
    attempt(() => {
      permit();
      connect();
      open(arrival());
      if (!off("pages")) follow();
      watch?.();
      listen();
      wake();
      const calls = held!;
      held = undefined;
      calls.forEach((call) => call());
    });
  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", go);
  } else go();
};

const listen = (): void => {
  const leave = (over: boolean): void => {
    end(over);
    hide();
  };
  on("pagehide", () => leave(true));
  on("visibilitychange", () => document.hidden && leave(false));
  on("pageshow", ({ persisted }: PageTransitionEvent) => {
    if (!persisted) return;
    open("back_forward");
    wake();
  });
  on("online", wake);
  on("storage", ({ key, newValue }: StorageEvent) => {
    if (key == CHOICE && newValue) change(newValue as Consent);
    if (key!.startsWith(BUNDLE)) wake();
  });
};

const change = (mode: Consent): void => {
  const before = level;
  if (before == NONE) end(true); // what was noted until now is not told
  choose(mode);
  if (level < before) forget();
  if (level == NONE) empty();
  else if (before == NONE) open(arrival());
  if (before < level && named) name(...named);
};

const name = (...args: [string, Fields?, string?]): void => {
  named = args;
  const [user_id, traits, user_type] = args;
  if (level < FULL) return; // until it is permitted
  person(Date.now(), { user_id, user_type });
  emit("identify", { traits });
};

export const track = safe((name: string, properties?: Fields) =>
  emit(typeOf(name), { properties }),
);
export const page = safe((properties?: Fields) => open(undefined, properties));
export const identify = safe(name);
export const reset = safe(() => {
  named = undefined;
  forget();
  person(Date.now()); // kept at once, before another tab keeps the old one again
});
const agree = safe(change);
export const consent = (mode?: Consent): Consent => {
  if (mode) agree(mode);
  return MODES[level]!;
};
