/**
 * What the visitor permits: the least of what the app said, what was chosen here before, and what
 * the browser signals. A choice for less than everything is kept, for it has to be remembered.
 */

import type { Consent } from "./options.ts";
import { names, OURS, read, write } from "./shelf.ts";
import { options } from "./settings.ts";

export const NONE = 0;
export const ANONYMOUS = 1;
export const FULL = 2;
export const MODES: readonly Consent[] = ["none", "anonymous", "full"];
export const CHOICE = OURS + "choice";

/** What holds now. */
export let level = NONE;
let most = FULL;

/** A word that is no mode permits nothing: a misspelt `none` must not collect. */
const levelOf = (mode: string | undefined, unsaid: number): number =>
  mode ? Math.max(MODES.indexOf(mode as Consent), NONE) : unsaid;

export const permit = (): void => {
  const browser = navigator as { globalPrivacyControl?: boolean } & Navigator;
  if (browser.globalPrivacyControl || browser.doNotTrack == "1")
    most = levelOf(options.signal, ANONYMOUS);
  level = Math.min(most, levelOf(options.consent, FULL), levelOf(read(CHOICE), FULL));
};

/** The visitor chose. Less than everything leaves nothing on the device but the choice. */
export const choose = (mode: Consent): void => {
  const chosen = levelOf(mode, NONE);
  level = Math.min(most, chosen);
  if (level < FULL) names(OURS).forEach((name) => write(name));
  write(CHOICE, chosen < FULL ? mode : "");
};
