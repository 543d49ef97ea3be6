/** What the app said when it began. */

import type { Automatic, Options } from "./options.ts";

export let options: Options;

export const settle = (said: Options): unknown => (options = said);

/** Whether something automatic is not wanted. */
export const off = (name: Automatic): boolean | undefined => options.off?.includes(name);
