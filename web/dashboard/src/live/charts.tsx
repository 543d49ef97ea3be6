// The last hour, by minute: how many of each type, and how long they took.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { brief, count, duration, minute, percent, visible } from "../text";
import { useRange } from "../shell/range";
import { useScheme } from "../shell/theme";
import { ticksOf } from "../unit";
import type { Filter } from "./filter";
import { spread } from "./model";
import { type Hour, MINUTE, MINUTES } from "./protocol";

const HEIGHT = 132;

interface Props {
  hour: Hour | null;
  frozen: boolean;
  filter: Filter;
}

export function Charts({ hour, frozen, filter }: Props) {
  const [over, setOver] = useState<number | null>(null);
  const scheme = useScheme();
  const { zone } = useRange();
  const minutes = hour ? spread(hour) : [];
  const at = over === null ? undefined : minutes[over];
  const when = hour && over !== null ? minute(hour.first + over * MINUTE, zone) : "last hour";
  const totals = hour?.totals;
  const colours = (hour?.stack ?? []).map((name, n) => (name === "(other)" ? "--c6" : `--c${n + 1}`));
  const partly = filter.status || filter.id || filter.q;

  const n = over === null ? totals?.count : at?.[1] ?? 0;
  const failed = over === null ? totals?.error_share : at?.[1] ? at[2] / at[1] : 0;
  return (
    <div class="charts">
      <figure class="card chart">
        <figcaption class="cardhead">
          <h2 title="All that came in in each minute, by time of receipt, of everybody: programs and the team's own, too.">Received</h2>
          <span class="muted small when">{when}{partly ? " · by type and route only" : ""}</span>
          <strong class="figure" data-figure="count">{n === undefined ? "–" : brief(n)}</strong>
          <span class={failed ? "small failed" : "small muted"}>{failed === undefined ? "" : `${percent(failed)} failed`}</span>
        </figcaption>
        <Plot kind="bars" hour={hour} minutes={minutes} colours={colours} scheme={scheme} frozen={frozen} zone={zone} onOver={setOver}
          label={hour ? `${count(totals?.count ?? 0)} interactions in the last hour` : "The last hour"} />
        <ul class="legend">
          {(hour?.stack ?? []).map((name, n) => (
            <li key={name}>
              <span class="swatch" style={{ background: `var(${colours[n]})` }} aria-hidden="true" />
              <bdi>{visible(name)}</bdi>
              {over !== null && <b>{count(at?.[5][n] ?? 0)}</b>}
            </li>
          ))}
        </ul>
      </figure>
      <figure class="card chart">
        <figcaption class="cardhead">
          <h2 title="Of the calls that came in in each minute, everybody's.">Response time</h2>
          <span class="muted small when">{over === null ? "" : when}</span>
          <strong class="figure">{duration(over === null ? totals?.p50 : at?.[3])}</strong>
          <span class="small muted">p95 {duration(over === null ? totals?.p95 : at?.[4])}</span>
        </figcaption>
        <Plot kind="lines" hour={hour} minutes={minutes} colours={["--c1", "--c3"]} scheme={scheme} frozen={frozen} zone={zone} onOver={setOver}
          label={`Half within ${duration(totals?.p50)}, 95 of 100 within ${duration(totals?.p95)}`} />
        <ul class="legend">
          <li><span class="swatch" style={{ background: "var(--c1)" }} aria-hidden="true" />p50</li>
          <li><span class="swatch" style={{ background: "var(--c3)" }} aria-hidden="true" />p95</li>
        </ul>
      </figure>
    </div>
  );
}

interface PlotProps {
  kind: "bars" | "lines";
  hour: Hour | null;
  minutes: ReturnType<typeof spread>;
  colours: string[];
  scheme: string;
  frozen: boolean;
  zone: string;
  label: string;
  onOver: (index: number | null) => void;
}

function Plot({ kind, hour, minutes, colours, scheme, frozen, zone, label, onOver }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shape = `${scheme} ${zone} ${colours.join()}`;

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(kind, element, colours, zone, onOver), data(kind, hour, minutes, colours.length), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    if (!frozen) plot.current?.setData(data(kind, hour, minutes, colours.length));
  }, [hour, frozen]);
  return <div class="plot" ref={place} role="img" aria-label={label} />;
}

/** Columns as uPlot wants them; bars are stacked from the top down, so that the lower ones cover. */
function data(kind: "bars" | "lines", hour: Hour | null, minutes: ReturnType<typeof spread>, series: number): uPlot.AlignedData {
  const first = hour?.first ?? 0;
  const x = Array.from({ length: MINUTES }, (_, n) => (first + n * MINUTE) / 1000);
  if (kind === "lines") return [x, x.map((_, n) => minutes[n]?.[3] ?? null), x.map((_, n) => minutes[n]?.[4] ?? null)];
  const columns: number[][] = [];
  for (let s = series - 1; s >= 0; s--) {
    columns.push(x.map((_, n) => (minutes[n]?.[5] ?? []).slice(0, s + 1).reduce((sum, v) => sum + v, 0)));
  }
  return [x, ...columns];
}

function options(kind: "bars" | "lines", element: HTMLElement, colours: string[], zone: string, onOver: (n: number | null) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const bars = uPlot.paths.bars?.({ size: [0.72, 24], radius: 0.15, align: 1 });
  const series: uPlot.Series[] = kind === "bars"
    ? colours.map((name) => ({ fill: colour(name), width: 0, points: { show: false }, ...(bars && { paths: bars }) })).reverse()
    : colours.map((name) => ({ stroke: colour(name), width: 2, points: { show: true, size: 5, fill: colour(name), filter: alone } }));
  return {
    width: element.clientWidth || 300,
    height: HEIGHT,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: kind === "lines" } },
    scales: {
      x: { time: true, range: (_plot, low, high) => [low, high + (kind === "bars" ? 60 : 0)] },
      y: { range: (_plot, _low, high) => [0, high ? high * 1.08 : 1] },
    },
    axes: [
      { ...axis, space: 60, grid: { show: false }, size: 24, values: (_plot, ticks) => ticks.map((t) => minute(t * 1000, zone)) },
      { ...axis, space: 32, size: 52, values: (_plot, ticks) => ticksOf(kind === "bars" ? "" : "ms", ticks).map((text, n) => (kind === "bars" && !Number.isInteger(ticks[n]) ? "" : text)) },
    ],
    series: [{}, ...series],
    hooks: { setCursor: [(made) => onOver(made.cursor.idx ?? null)] },
  };
}

/** A minute between two empty ones has no line: it is drawn as a point. */
function alone(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const empty = (n: number) => values[n] === null || values[n] === undefined;
  return [...values.keys()].filter((n) => !empty(n) && empty(n - 1) && empty(n + 1));
}
