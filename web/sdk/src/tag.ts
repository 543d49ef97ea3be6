/**
 * The SDK as a script that begins by itself, and is `lakeward` on the window:
 *
 *     <script src="https://host/lakeward.js" data-key="lwk_…" defer></script>
 */

import { ai, consent, cta, identify, init, page, reset, track } from "./lakeward.ts";
import type { Options } from "./options.ts";

const global = window as { lakeward?: unknown };
if (!global.lakeward) {
  global.lakeward = { init, track, page, identify, reset, cta, ai, consent };
  const { src = "", dataset = {} as DOMStringMap } = (document.currentScript || {}) as Partial<HTMLScriptElement>;
  init({
    host: src.replace(/[^/]*$/, ""), // beside the script
    ...dataset,
    query: dataset.query?.split(/[\s,]+/),
  } as Options);
}
