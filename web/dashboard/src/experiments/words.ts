// Figures of an experiment in words. Which way is good was decided by the server.

import { percent } from "../text";
import { figure } from "../unit";
import type { Effect, Measured, Metric, Status } from "./report";

export const STATUS: Readonly<Record<Status, { title: string; tone: "good" | "bad" | "" }>> = {
  ship: { title: "Ship", tone: "good" },
  do_not_ship: { title: "Do not ship", tone: "bad" },
  keep_running: { title: "Keep running", tone: "" },
  mixed: { title: "Weigh it", tone: "" },
  broken: { title: "Broken", tone: "bad" },
};

export const STATES: Readonly<Record<string, string>> = { running: "running", off: "switched off", no_flag: "no flag runs it" };

/** A value of a metric: a share in percent, anything else as a number. */
export function valueOf(metric: Metric, value: number | null): string {
  return figure(metric.kind === "share" ? "0 to 1" : "", value);
}

/** A difference; of shares in points of percent. */
export function signed(metric: Metric, value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = metric.kind === "share" ? `${Number((size * 100).toPrecision(2))} points` : figure("", size);
  return `${value > 0 ? "+" : "−"}${text}`;
}

function spread(of: Measured, told: (value: number) => string): string {
  return of.low === null || of.high === null ? "no interval yet" : `${told(of.low)} to ${told(of.high)}`;
}

/** A difference with its interval and its lift, in words. */
export function interval(metric: Metric, effect: Effect, level: number): string {
  const { difference, lift } = effect;
  if (!difference) return "there is no value to compare";
  const share = (value: number) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${percent(Math.abs(value))}`;
  const relative = lift ? `, a lift of ${share(lift.value)} (${spread(lift, share)})` : "";
  return `${signed(metric, difference.value)} (${Number((level * 100).toPrecision(4))} % interval ${spread(difference, (value) => signed(metric, value))})${relative}`;
}

/** A p as people write it. */
export function probability(p: number | null): string {
  if (p === null) return "–";
  return p >= 0.0001 ? String(Number(p.toPrecision(2))) : "<0.0001";
}
