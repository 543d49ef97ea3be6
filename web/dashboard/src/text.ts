// How values become text. Whatever a visitor sent is shown and never obeyed: control characters and
// those that turn the direction of writing are made visible.

import { wall } from "./shell/zone";

const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** `text` without anything that could steer the page. */
export function visible(text: string): string {
  return text.replace(STEERING, (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export function count(n: number): string {
  return whole.format(n);
}

export function brief(n: number): string {
  return n < 10_000 ? whole.format(n) : compact.format(n);
}

/** `5K` of 5000. */
export function thousands(n: number): string {
  return compact.format(n);
}

export function percent(share: number): string {
  if (share < 0) return `−${percent(-share)}`;
  const p = share * 100;
  if (p < 99.995 && p >= 99.5) return ">99%"; // all is what all is, but for rounding
  return `${p === 0 || p >= 10 ? p.toFixed(0) : p >= 0.1 ? p.toFixed(1) : "<0.1"}%`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 60_000) return `${(ms / 60_000).toFixed(1)} min`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms >= 10_000 ? 0 : 1)} s`;
  return `${ms === 0 || ms >= 9.95 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}

const two = (n: number) => String(n).padStart(2, "0");

/** `20:34:43.129` in a zone. */
export function clock(time: string | undefined, zone: string): string {
  if (!time) return "–";
  const at = Date.parse(time);
  if (Number.isNaN(at)) return visible(time);
  return `${minute(at, zone)}:${two(wall(at, zone).second)}.${String(new Date(at).getUTCMilliseconds()).padStart(3, "0")}`;
}

/** `20:34` in a zone, of a number of milliseconds. */
export function minute(ms: number, zone: string): string {
  const at = wall(ms, zone);
  return `${two(at.hour)}:${two(at.minute)}`;
}

/** `5xx` of 503, for colours. */
export function statusClass(status: number | undefined): string {
  return status === undefined ? "" : `s${Math.floor(status / 100)}`;
}
