// Lines or bars over time, with a tooltip, a legend that switches lines off, and the arrow keys.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useScheme } from "../shell/theme";
import { visible } from "../text";
import { figure } from "../unit";
import { type Line, type Lines, colour } from "./lines";
import { momentOf, options, table } from "./plot";

export interface Band {
  label: string;
  low: (number | null)[];
  high: (number | null)[];
}

/** Points that stand out, such as anomalies. */
export interface Marks {
  label: string;
  values: (number | null)[];
}

/** Lines that are not to be passed. */
export interface Limit {
  label: string;
  values: (number | null)[];
}

export interface SeriesProps {
  data: Lines;
  zone: string;
  /** What it shows, for those who do not see it. */
  label: string;
  kind?: "lines" | "bars" | "stack";
  height?: number;
  band?: Band;
  marks?: Marks;
  limits?: Limit[];
  /** What the dashed line is, where there is one: "Previous period". */
  before?: string;
}

export function Series(props: SeriesProps) {
  const { data, zone, label, height = 190 } = props;
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const [over, setOver] = useState<number | null>(null);
  const shown = useMemo(() => data.lines.filter((line) => !off.has(line.label)), [data, off]);
  const toggle = (name: string) => setOff((before) => {
    const next = new Set(before);
    if (!next.delete(name)) next.add(name);
    return next.size === data.lines.length ? before : next;
  });
  const colours = shown.map((line) => colour(data.lines.indexOf(line)));
  const said = over === null ? "" : sentence(data, shown, over, zone);
  return (
    <div class="series">
      <Plot {...props} height={height} shown={shown} colours={colours} over={over} onOver={setOver} />
      <span class="sr" role="status">{said}</span>
      {(data.lines.length > 1 || props.before || props.band || props.marks || Boolean(props.limits?.length)) && (
        <ul class="legend" aria-label={`Lines of ${label}`}>
          {data.lines.map((line, n) => (
            <li key={line.label}>
              <button type="button" class="key" aria-pressed={!off.has(line.label)} onClick={() => toggle(line.label)}>
                <span class="swatch" style={{ background: `var(${colour(n)})` }} aria-hidden="true" />
                <bdi>{visible(line.label)}</bdi>
              </button>
            </li>
          ))}
          {props.band && <li><span class="swatch soft" aria-hidden="true" />{props.band.label}</li>}
          {props.limits?.map((limit) => <li key={limit.label}><span class="swatch limit" aria-hidden="true" /><bdi>{visible(limit.label)}</bdi></li>)}
          {props.marks?.values.some((value) => value !== null) && <li><span class="swatch mark" aria-hidden="true" />{props.marks.label}</li>}
          {props.before && data.lines.some((line) => line.before) && <li><span class="swatch dashed" aria-hidden="true" />{props.before}</li>}
        </ul>
      )}
    </div>
  );
}

function sentence(data: Lines, shown: Line[], at: number, zone: string): string {
  const values = shown.map((line) => {
    const before = line.before ? `, before ${figure(line.unit, line.before[at] ?? null, false)}` : "";
    return `${visible(line.label)} ${figure(line.unit, line.values[at] ?? null, false)}${before}`;
  });
  return `${momentOf(data, at, zone)}${data.open && at === data.x.length - 1 ? ", so far" : ""}: ${values.join(", ")}`;
}

interface PlotProps extends SeriesProps {
  height: number;
  shown: Line[];
  colours: string[];
  over: number | null;
  onOver: (at: number | null) => void;
}

function Plot(props: PlotProps) {
  const { data, zone, label, kind = "lines", height, shown, colours, over, onOver, band, marks, limits } = props;
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useScheme();
  const shape = JSON.stringify([scheme, kind, zone, height, data.dates, shown.map((l) => [l.label, l.unit, Boolean(l.before)]), colours, Boolean(band), Boolean(marks), limits?.length ?? 0]);
  useEffect(() => {
    const root = element.current;
    if (!root) return;
    const made = new uPlot(options({ ...props, kind, root, onOver }), table(props, kind), root);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (root.clientWidth) made.setSize({ width: root.clientWidth, height });
    });
    watch.observe(root);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  const drawn = useRef("");
  useEffect(() => {
    if (drawn.current === shape) plot.current?.setData(table(props, kind));
    drawn.current = shape;
  }, [data, shown, band, marks, limits, shape]);

  const pressed = (event: KeyboardEvent) => {
    const last = data.x.length - 1;
    const here = over ?? last + 1;
    const to = { ArrowLeft: here - 1, ArrowRight: over === null ? 0 : here + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") return point(plot.current, null);
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    point(plot.current, Math.max(0, Math.min(last, to)));
  };
  return (
    <div class="plotbox" role="application" aria-roledescription="chart" aria-label={`${label}. Arrow keys read it point by point.`}
      tabindex={0} onKeyDown={pressed} onBlur={() => point(plot.current, null)}>
      <div class="plot" ref={element} style={{ height: `${height}px` }} />
      {over !== null && <Tip {...props} at={over} left={plot.current?.cursor.left ?? 0} />}
    </div>
  );
}

/** Put the cursor on a point, or take it away. */
function point(plot: uPlot | null, at: number | null): void {
  if (!plot) return;
  if (at === null) plot.setCursor({ left: -10, top: -10 });
  else plot.setCursor({ left: plot.valToPos(plot.data[0]?.[at] ?? 0, "x"), top: 10 });
}

function Tip({ data, shown, colours, zone, at, left, before, band, marks, limits }: PlotProps & { at: number; left: number }) {
  if (!data.x.length) return null;
  const marked = marks?.values[at];
  return (
    <div class={`tip ${left > 220 ? "leftward" : ""}`} style={{ left: `${left + 56}px` }} aria-hidden="true">
      <b>{momentOf(data, at, zone)}{data.open && at === data.x.length - 1 ? ", so far" : ""}</b>
      {shown.map((line, n) => (
        <div key={line.label} class="tiprow">
          <span class="swatch" style={{ background: `var(${colours[n]})` }} />
          <bdi>{visible(line.label)}</bdi>
          <span class="value">{figure(line.unit, line.values[at] ?? null, false)}</span>
          {line.before && before && (
            <span class="muted value">{figure(line.unit, line.before[at] ?? null, false)} <span class="small">{momentOf({ ...data, x: data.beforeX ?? [] }, at, zone)}</span></span>
          )}
        </div>
      ))}
      {band && <div class="tiprow muted">{band.label} {figure(shown[0]?.unit ?? "", band.low[at] ?? null)} – {figure(shown[0]?.unit ?? "", band.high[at] ?? null)}</div>}
      {limits?.map((limit) => <div key={limit.label} class="tiprow muted"><bdi>{visible(limit.label)}</bdi><span class="value">{figure(shown[0]?.unit ?? "", limit.values[at] ?? null)}</span></div>)}
      {marked !== null && marked !== undefined && <div class="tiprow bad">{marks?.label}</div>}
    </div>
  );
}
