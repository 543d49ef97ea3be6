// Upright bars with a name each: steps of a funnel, bins of a histogram. Drawn as SVG, so that it is
// sharp at any size and its parts can be reached by keyboard.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { visible } from "../text";

export interface Bar {
  label: string;
  /** How high, in the same unit for all. */
  value: number;
  /** The value in words, above the bar. */
  text: string;
  /** All of it in words: the tooltip, and what is read out. */
  said: string;
  /** How high the pale part behind it is: those who were there before. */
  behind?: number;
  /** The second, third … of bars side by side in one place. */
  colour?: string;
}

interface Props {
  /** Bars of one place stand side by side. */
  places: { label: string; bars: Bar[] }[];
  label: string;
  height?: number;
  chosen?: number;
  onChoose?: (place: number) => void;
  children?: ComponentChildren;
}

const FOOT = 24;
const HEAD = 20;

export function Columns({ places, label, height = 220, chosen = -1, onChoose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [over, setOver] = useState<{ place: number; bar: number } | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    setWidth(element.clientWidth);
    return () => watch.disconnect();
  }, []);
  const most = Math.max(1e-9, ...places.flatMap((place) => place.bars.map((bar) => Math.max(bar.value, bar.behind ?? 0))));
  const step = places.length ? width / places.length : width;
  const room = height - FOOT - HEAD;
  const tall = (value: number) => Math.max(value > 0 ? 1.5 : 0, (value / most) * room);
  const shown = over && places[over.place]?.bars[over.bar];
  return (
    <div class="columnsbox" ref={box} style={{ height: `${height}px` }}>
      {width > 0 && (
        <svg class="drawing" width={width} height={height} role="group" aria-label={label}>
          {places.map((place, n) => {
            const wide = Math.min(72, (step * 0.72) / Math.max(1, place.bars.length));
            const left = n * step + (step - wide * place.bars.length) / 2;
            return (
              <g key={place.label + n}>
                {place.bars.map((bar, m) => {
                  const x = left + m * wide;
                  const act = onChoose ? { role: "button" as const, "aria-pressed": chosen === n, onClick: () => onChoose(n),
                    onKeyDown: (event: KeyboardEvent) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); onChoose(n); } } } : { role: "img" as const };
                  return (
                    <g key={bar.label} tabindex={0} aria-label={bar.said} class="bar" {...act}
                      onFocus={() => setOver({ place: n, bar: m })} onBlur={() => setOver(null)}
                      onMouseEnter={() => setOver({ place: n, bar: m })} onMouseLeave={() => setOver(null)}>
                      <rect class="reach" x={x} y={0} width={wide} height={height - FOOT} />
                      {bar.behind !== undefined && <rect class="behind" x={x + 1} width={Math.max(0, wide - 2)} y={HEAD + room - tall(bar.behind)} height={tall(bar.behind)} rx={2} />}
                      <rect class="front" x={x + 1} width={Math.max(0, wide - 2)} y={HEAD + room - tall(bar.value)} height={tall(bar.value)} rx={2}
                        style={{ fill: `var(${bar.colour ?? "--c1"})` }} />
                      {wide > 26 && <text class="amount" x={x + wide / 2} y={HEAD + room - tall(Math.max(bar.value, bar.behind ?? 0)) - 5} text-anchor="middle">{bar.text}</text>}
                    </g>
                  );
                })}
                {(step > 22 || n % Math.ceil(22 / step) === 0) && (
                  <text class="below" x={n * step + step / 2} y={height - 7} text-anchor="middle" aria-hidden="true">{fitting(visible(place.label), roomFor(places, n, step))}</text>
                )}
              </g>
            );
          })}
        </svg>
      )}
      {shown && over && (
        <div class={`tip ${(over.place + 0.5) * step > width / 2 ? "leftward" : ""}`} style={{ left: `${(over.place + 0.5) * step}px` }} aria-hidden="true">
          <bdi>{visible(shown.said)}</bdi>
        </div>
      )}
    </div>
  );
}

/** How wide a name may be: up to the next one, where those behind it have none. */
function roomFor(places: Props["places"], at: number, step: number): number {
  let next = at + 1;
  while (next < places.length && !places[next]?.label) next += 1;
  return step > 22 ? step * (next - at) : step * Math.max(next - at, Math.ceil(22 / step));
}

/** As much of a name as fits; its bars say all of it. */
function fitting(text: string, width: number): string {
  const most = Math.max(1, Math.floor(width / 6.6));
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
