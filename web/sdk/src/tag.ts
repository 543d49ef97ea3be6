/**
 * The SDK as a script that begins by itself:
 *
 *     <script src="https://host/lakeward.js" data-key="lwk_…" defer></script>
 *
 * It puts `lakeward` on the window. Where the page has put a list there before, its entries are
 * calls that could not wait: `lakeward.push(["track", "signed_up", {plan: "pro"}])`.
 */

import { ai, consent, cta, identify, init, page, reset, track } from "./lakeward.ts";
import type { Options } from "./options.ts";

const sdk = { init, track, page, identify, reset, cta, ai, consent };
type Call = [keyof typeof sdk, ...unknown[]];

const global = window as { lakeward?: typeof sdk | Call[] };
const before = global.lakeward;
if (!before || Array.isArray(before)) {
  global.lakeward = sdk;
  const script = document.currentScript as HTMLScriptElement | null;
  const { key, host, query, off, ...rest } = (script?.dataset || {}) as Record<string, string>;
  const words = (text?: string): string[] | undefined => text?.split(/[\s,]+/);
  sdk.init({
    ...rest,
    key,
    host: host || script?.src.replace(/[^/]*$/, ""),
    query: words(query),
    off: words(off),
  } as Options);
  before?.forEach(([name, ...args]) => (sdk[name] as (...args: unknown[]) => void)(...args));
}
