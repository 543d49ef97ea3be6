// Values of an answer as text, by kind and unit of their column.

import type { Column, Value } from "./ask/answer";
import { brief, duration, percent, thousands, visible } from "./text";

const NONE = "–";
const days = new Intl.DateTimeFormat(undefined, { timeZone: "UTC", year: "numeric", month: "short", day: "numeric" });
const money = new Map<string, Intl.NumberFormat>();

const whole = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 15 });

type Typed = Pick<Column, "kind" | "unit">;

/** Whether a column holds numbers: it stands right, and can be drawn. */
export function isNumeric(column: Pick<Column, "kind">): boolean {
  return column.kind === "integer" || column.kind === "number";
}

/** A value in full: for tables. */
export function written(column: Typed, value: Value | undefined, zone = "UTC"): string {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return figure(column.unit, value, false);
  if (typeof value === "object") return visible(JSON.stringify(value));
  return column.kind === "time" ? moment(value, zone) : column.kind === "date" ? day(value) : visible(value);
}

/** A number with its unit; `short` for axes and large figures. */
export function figure(unit: string, value: number | null, short = true): string {
  if (value === null || !Number.isFinite(value)) return NONE;
  if (unit === "0 to 1") return percent(value);
  if (unit === "ms") return duration(value);
  if (unit === "s") return seconds(value);
  if (unit === "bytes") return bytes(value);
  if (/^[A-Z]{3}$/.test(unit)) return amount(unit, value, short);
  if (!short) return whole.format(value);
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return brief(value);
  return String(Number(value.toPrecision(3)));
}

/** Ticks of an axis: all of them in the one unit that suits the largest. */
export function ticksOf(unit: string, ticks: readonly number[]): string[] {
  const most = Math.max(0, ...ticks.map(Math.abs));
  const scaled = (by: number, name: string) => ticks.map((tick) => (tick ? `${Number((tick / by).toPrecision(3))} ${name}` : "0"));
  if (unit === "0 to 1") return ticks.map((tick) => `${Number((tick * 100).toPrecision(3))}%`);
  if (unit === "ms") return most >= 60_000 ? scaled(60_000, "min") : most >= 1000 ? scaled(1000, "s") : scaled(1, "ms");
  if (unit === "s") {
    const [by, name] = most < 1 ? [0.001, "ms"] : most < 90 ? [1, "s"] : most < 5400 ? [60, "min"] : most < 172_800 ? [3600, "h"] : [86_400, "d"];
    return scaled(by as number, name as string);
  }
  if (unit === "bytes" || /^[A-Z]{3}$/.test(unit)) return ticks.map((tick) => figure(unit, tick));
  return ticks.map((tick) => (most >= 10_000 && tick >= 1000 ? thousands(tick) : figure(unit, tick)));
}

/** How something has changed, relative to before: `+12%`, or `15×` as much. */
export function change(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "";
  if (Math.abs(share) < 0.0005) return "±0%";
  if (share >= 10) return `${brief(share + 1)}×`;
  const text = percent(Math.abs(share));
  return `${share > 0 ? "+" : "−"}${text}`;
}

export function seconds(value: number): string {
  if (value < 1) return duration(value * 1000);
  if (value < 90) return `${value < 10 ? Number(value.toFixed(1)) : value.toFixed(0)} s`;
  if (value < 5400) return `${Number((value / 60).toFixed(value < 600 ? 1 : 0))} min`;
  if (value < 172_800) return `${Number((value / 3600).toFixed(value < 36_000 ? 1 : 0))} h`;
  return `${Number((value / 86_400).toFixed(value < 864_000 ? 1 : 0))} d`;
}

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let n = Math.abs(value);
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${value < 0 ? "−" : ""}${unit && n < 10 ? n.toFixed(1) : n.toFixed(0)} ${units[unit]}`;
}

function amount(currency: string, value: number, short: boolean): string {
  const digits = Math.abs(value) < 1 && value !== 0 ? 4 : short && Math.abs(value) >= 1000 ? 0 : 2;
  const key = `${currency} ${digits} ${short}`;
  let format = money.get(key);
  if (!format) {
    format = new Intl.NumberFormat(undefined, {
      style: "currency", currency, maximumFractionDigits: digits, minimumFractionDigits: Math.min(digits, 2),
      ...(short && digits === 0 ? { notation: "compact", maximumFractionDigits: 1, minimumFractionDigits: 0 } : {}),
    });
    money.set(key, format);
  }
  return format.format(value);
}

/** A calendar day, `2026-11-26` or the beginning of a time. */
export function day(text: string): string {
  const at = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return Number.isNaN(at.getTime()) ? visible(text) : days.format(at);
}

const moments = new Map<string, Intl.DateTimeFormat>();

/** A moment in a zone, to the second. */
export function moment(value: string | number, zone: string): string {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return visible(String(value));
  let format = moments.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat(undefined, { timeZone: zone, dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
    moments.set(zone, format);
  }
  return format.format(at);
}

/** How long ago something was: `3 min ago`. */
export function ago(ms: number, nowMs: number): string {
  const passed = Math.max(0, nowMs - ms) / 1000;
  return passed < 5 ? "just now" : `${seconds(passed)} ago`;
}
