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
  const script = document.currentScript as HTMLScriptElement | null;
  init({
    host: script?.src.replace(/[^/]*$/, ""), // beside the script
    ...script?.dataset,
    query: script?.dataset.query?.split(","),
  } as Options);
}
