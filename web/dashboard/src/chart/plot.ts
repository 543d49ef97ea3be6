// What uPlot is told: columns of numbers, axes in a zone and in the unit of the lines, colours of the style.

import uPlot from "uplot";
import { ticksOf } from "../unit";
import type { Line, Lines } from "./lines";
import type { Band, Limit, Marks } from "./series";

interface Drawn {
  data: Lines;
  shown: Line[];
  band?: Band;
  marks?: Marks;
  limits?: Limit[];
}

interface Told extends Drawn {
  zone: string;
  kind: "lines" | "bars" | "stack";
  height: number;
  colours: string[];
  root: HTMLElement;
  onOver: (at: number | null) => void;
}

/**
 * Columns in the order of `options`: moments in seconds, the band's ends, what was before, the lines,
 * limits, the marks. A stack is drawn from the top down, so that the lower ones cover.
 */
export function table({ data, shown, band, marks, limits = [] }: Drawn, kind: Told["kind"]): uPlot.AlignedData {
  const x = data.x.map((ms) => ms / 1000);
  const columns: (number | null)[][] = [];
  if (band) columns.push(band.high, band.low);
  for (const line of shown) if (line.before) columns.push(fitted(line.before, x.length));
  if (kind === "stack") columns.push(...stacked(shown).reverse());
  else columns.push(...shown.map((line) => line.values));
  columns.push(...limits.map((limit) => limit.values));
  if (marks) columns.push(marks.values);
  return [x, ...columns];
}

function fitted(values: (number | null)[], length: number): (number | null)[] {
  return Array.from({ length }, (_, n) => values[n] ?? null);
}

function stacked(shown: Line[]): (number | null)[][] {
  let below: (number | null)[] = [];
  return shown.map((line) => {
    below = line.values.map((value, n) => (value === null && (below[n] ?? null) === null ? null : (value ?? 0) + (below[n] ?? 0)));
    return below;
  });
}

/** Of a single moment uPlot makes a thousand days; a bar has half of its width on either side. */
function spread([low, high]: [number, number], bars: boolean, step: number): [number, number] {
  return bars || low === high ? [low - step / 2, high + step / 2] : [low, high];
}

export function options(told: Told): uPlot.Options {
  const { data, shown, band, marks, limits = [], kind, zone, root, colours, height, onOver } = told;
  const style = getComputedStyle(root);
  const colourOf = (name: string) => style.getPropertyValue(name).trim();
  const unit = shown[0]?.unit ?? "";
  const zoneOfAxis = data.dates ? "UTC" : zone;
  const step = Math.min(...data.x.slice(1).map((ms, n) => ms - (data.x[n] ?? 0)), data.x.length > 1 ? Infinity : data.dates ? 86_400_000 : 3_600_000) / 1000;
  const bars = uPlot.paths.bars?.({ size: [0.72, 40], radius: 0.12 });
  const axis = { stroke: colourOf("--muted"), font: `11px ${style.fontFamily}`, grid: { stroke: colourOf("--line"), width: 1 }, ticks: { show: false } };
  const drawnAsBars = kind !== "lines";

  const series: uPlot.Series[] = [];
  const bandAt = 1; // behind everything else
  if (band) {
    const edge: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
    series.push(edge, { ...edge });
  }
  shown.forEach((line, n) => {
    if (line.before) series.push({ stroke: colourOf(colours[n] ?? "--c1"), width: 1.5, dash: [4, 4], alpha: 0.65, points: { show: false } });
  });
  const lines = colours.map((name): uPlot.Series => (drawnAsBars
    ? { fill: colourOf(name), width: 0, points: { show: false }, ...(bars && { paths: bars }) }
    : { stroke: colourOf(name), width: 2, points: { show: true, size: 5, fill: colourOf(name), filter: alone } }));
  series.push(...(kind === "stack" ? lines.reverse() : lines));
  for (const _ of limits) series.push({ stroke: colourOf("--bad"), width: 1.5, dash: [6, 4], points: { show: false } });
  if (marks) series.push({ stroke: colourOf("--bad"), width: 0, paths: () => null, points: { show: true, size: 9, width: 2, fill: colourOf("--surface") } });

  return {
    width: root.clientWidth || 300, height,
    padding: [10, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: !drawnAsBars } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zoneOfAxis),
    scales: {
      x: { time: true, range: (plot, low, high) => spread(plot.data[0].length === 1 ? [low, low] : [low, high], drawnAsBars, step) },
      y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? (high ?? 0) * 1.08 : (low ?? 0) < 0 ? 0 : 1] },
    },
    axes: [
      { ...axis, ...(step >= 82_800 && { incrs: DAYS }), space: 64, grid: { show: false }, size: 26, values: (_plot, ticks, _axis, _space, increment) => ticks.map((tick) => tickOf(tick, increment, zoneOfAxis)) },
      { ...axis, space: 34, size: 56, values: (_plot, ticks) => ticksOf(unit, ticks).map((text, n) => (wholes(unit) && !Number.isInteger(ticks[n]) ? "" : text)) },
    ],
    series: [{}, ...series],
    ...(band ? { bands: [{ series: [bandAt, bandAt + 1] as [number, number], fill: colourOf("--accent-soft") }] } : {}),
    hooks: { setCursor: [(plot) => onOver(plot.cursor.idx ?? null)] },
  };
}

/** How far ticks may be apart where points are days or longer: nothing stands between two days. */
const DAYS = [1, 2, 3, 5, 7, 10, 15, 30, 60, 90, 180, 365, 730, 1825].map((days) => days * 86_400);

/** Whether a unit counts things, of which there are no halves. */
function wholes(unit: string): boolean {
  return /^(interactions|units|sessions|calls|events|visitors|users|turns|rows|records)$/.test(unit);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatted(ms: number, zone: string, parts: Intl.DateTimeFormatOptions): string {
  const key = zone + JSON.stringify(parts);
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(undefined, { ...parts, timeZone: zone, hourCycle: "h23" });
    formats.set(key, format);
  }
  return format.format(ms);
}

function tickOf(seconds: number, increment: number, zone: string): string {
  const ms = seconds * 1000;
  if (increment >= 86_400 * 28) return formatted(ms, zone, { month: "short", year: "2-digit" });
  if (increment >= 86_400) return formatted(ms, zone, { month: "short", day: "numeric" });
  const time = formatted(ms, zone, { hour: "2-digit", minute: "2-digit", ...(increment < 60 && { second: "2-digit" }) });
  return time === "00:00" ? formatted(ms, zone, { month: "short", day: "numeric" }) : time;
}

/** The moment of a point in words: a day, or a day and an hour. */
export function momentOf(data: Lines, at: number, zone: string): string {
  const ms = data.x[at];
  if (ms === undefined || Number.isNaN(ms)) return "";
  const day: Intl.DateTimeFormatOptions = { weekday: "short", month: "short", day: "numeric" };
  const gap = data.x.length > 1 ? Math.abs((data.x[1] ?? 0) - (data.x[0] ?? 0)) : 86_400_000;
  if (data.dates || gap >= 82_800_000) return formatted(ms, data.dates ? "UTC" : zone, day);
  return formatted(ms, zone, { ...day, hour: "2-digit", minute: "2-digit" });
}

/** A point between two empty ones has no line: it is drawn as one. */
function alone(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const empty = (n: number) => values[n] === null || values[n] === undefined;
  return [...values.keys()].filter((n) => !empty(n) && empty(n - 1) && empty(n + 1));
}
