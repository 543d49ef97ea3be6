// Differences with their intervals against a line at zero: what crosses it is not clear yet. Drawn as
// SVG; each row is said in words, too.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { visible } from "../text";
import type { Effect, Metric } from "./report";
import { interval, signed } from "./words";

const ROW = 34;
const FOOT = 24;
const NAME = 120;

export function Forest({ metric, level }: { metric: Metric; level: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    setWidth(element.clientWidth);
    return () => watch.disconnect();
  }, []);
  const height = metric.effects.length * ROW + FOOT;
  const ends = metric.effects.flatMap(({ difference: each }) => (each ? [each.value, each.low ?? each.value, each.high ?? each.value] : []));
  const reach = Math.max(...ends.map(Math.abs), 0) * 1.12 || 1;
  const left = Math.min(NAME, width * 0.3);
  const at = (value: number) => left + ((value + reach) / (2 * reach)) * (width - left - 8);
  return (
    <div class="forest" ref={box} style={{ height: `${height}px` }}>
      {width > 0 && (
        <svg class="drawing" width={width} height={height} role="group" aria-label={`${metric.metric}: difference from control`}>
          <line class="zero" x1={at(0)} x2={at(0)} y1={2} y2={height - FOOT + 4} />
          {metric.effects.map((effect, n) => <Row key={effect.arm} effect={effect} metric={metric} level={level} y={n * ROW + ROW / 2} at={at} left={left} />)}
          {[-reach / 1.12, 0, reach / 1.12].map((tick, n) => (
            <text key={tick} class="below" x={at(tick)} y={height - 6} text-anchor={n === 2 ? "end" : n ? "middle" : "start"}>{signed(metric, tick)}</text>
          ))}
        </svg>
      )}
    </div>
  );
}

interface RowProps {
  effect: Effect;
  metric: Metric;
  level: number;
  y: number;
  at: (value: number) => number;
  left: number;
}

function Row({ effect, metric, level, y, at, left }: RowProps) {
  const found = effect.difference;
  const name = visible(effect.arm);
  const most = Math.max(3, Math.floor(left / 7));
  return (
    <g class={`effect ${effect.state}`} role="img" tabindex={0} aria-label={`${effect.arm}: ${effect.state}; ${interval(metric, effect, level)}`}>
      <rect class="reach" x={0} y={y - ROW / 2} width={left} height={ROW} />
      <text x={0} y={y + 4}>{name.length > most ? `${name.slice(0, most - 1)}…` : name}</text>
      {found?.low !== null && found?.high !== null && found && (
        <>
          <line class="span" x1={at(found.low)} x2={at(found.high)} y1={y} y2={y} />
          <line class="end" x1={at(found.low)} x2={at(found.low)} y1={y - 6} y2={y + 6} />
          <line class="end" x1={at(found.high)} x2={at(found.high)} y1={y - 6} y2={y + 6} />
        </>
      )}
      {found && <circle class="point" cx={at(found.value)} cy={y} r={5} />}
    </g>
  );
}
