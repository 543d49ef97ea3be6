/** The SDK without what watches the page by itself, page views excepted: 3 KB. */

import { create } from "./sdk.ts";

export type { Automatic, Consent, Fields, Lakeward, Options } from "./options.ts";

export const { init, track, page, identify, reset, consent } = create({});
