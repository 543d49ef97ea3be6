/** The SDK as an app sees it: calls wait for the beginning, and nothing throws into the page. */

import { attempt } from "./attempt.ts";
import type { Fields, Lakeward } from "./options.ts";
import { run, type Page, type Running, type Watchers } from "./run.ts";
import { arrival } from "./views.ts";
import { typeOf } from "./words.ts";

/** An SDK, not begun; `emit` waits for the beginning, too. */
export function create(
  watchers: Watchers,
): Lakeward & Pick<Page, "emit"> {
  let running: Running | undefined;
  let begun = false;
  const held: (() => void)[] = [];

  /** `call`, once it has begun; never does anything throw into the page. */
  const safe =
    <A extends unknown[]>(call: (at: Running, ...args: A) => void) =>
    (...args: A): void =>
      attempt(() => {
        if (running) call(running, ...args);
        else held.push(() => call(running!, ...args));
      });

  const choose = safe((at, mode: unknown) => at.choose(mode));
  return {
    init(options = {}) {
      const start = (prerendered: boolean): void =>
        attempt(() => {
          running = run(options, watchers, arrival(prerendered));
          held.splice(0).forEach(attempt);
        });
      if (begun) return;
      begun = true;
      const { prerendering } = document as { prerendering?: boolean };
      if (!prerendering) start(false);
      else document.addEventListener( "prerenderingchange", () => start(true), { once: true });
    },
    track: safe((at, name: string, properties?: Fields) =>
      at.emit(typeOf(name), { properties }),
    ),
    page: safe((at, properties?: Fields) => at.turn(undefined, properties)),
    identify: safe((at, user: string, traits?: Fields, type?: string) =>
      at.identify(user, traits, type),
    ),
    reset: safe((at) => at.reset()),
    consent(mode) {
      if (mode) choose(mode);
      return running?.mode();
    },
    emit: safe((at, type: string, fields?: Fields) => at.emit(type, fields)),
  };
}
