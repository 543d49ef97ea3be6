/** The SDK without what watches the page by itself, page views excepted: 3 KB. */

import type { Options } from "./options.ts";
import { start } from "./sdk.ts";

export type { Automatic, Consent, Fields, Options } from "./options.ts";
export { consent, identify, page, reset, track } from "./sdk.ts";

/** Begin; the first call counts. */
export const init = (options: Options = {}): void => start(options);
