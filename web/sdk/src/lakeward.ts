/** The whole SDK: `init`, and the page is watched. */

import { attention } from "./attention.ts";
import { attempt } from "./attempt.ts";
import { clicks } from "./clicks.ts";
import { device } from "./device.ts";
import { errors } from "./errors.ts";
import { emit } from "./events.ts";
import { forms } from "./forms.ts";
import type { Automatic, CtaDetails, Options, Rating } from "./options.ts";
import { safe, start } from "./sdk.ts";
import { off } from "./settings.ts";
import { trace } from "./trace.ts";
import { vitals } from "./vitals.ts";

export type { Automatic, Consent, CtaDetails, Fields, Options, Rating } from "./options.ts";
export { consent, identify, page, reset, track } from "./sdk.ts";

const WATCHERS = { trace, errors, clicks, forms, attention, vitals };

/** Begin; the first call counts. What can wait begins in a task of its own: each one is short. */
export const init = (options: Options = {}): void =>
  start(options, () => {
    for (const name in WATCHERS) {
      const watch = (): unknown => attempt(WATCHERS[name as keyof typeof WATCHERS]);
      if (off(name as Automatic)) continue;
      if (/^[te]/.test(name))
        watch(); // trace, errors: before anything else of the page runs
      else setTimeout(watch);
    }
  });
device();

/** The visitor followed a call to action. */
export const cta = safe((name: string, details?: CtaDetails) =>
  emit("cta_click", { ...details, cta: name }),
);

export const ai = {
  /** The visitor rated an AI answer. */
  rate: safe((rating: Rating) => emit("ai_rating", rating)),
};
