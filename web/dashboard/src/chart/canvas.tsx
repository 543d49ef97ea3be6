// A chart of ECharts in the page: loaded when it is first needed, sized as its box, drawn anew when the
// theme changes. What it shows is text as well: see the card's table.

import { useEffect, useRef, useState } from "preact/hooks";
import { useScheme } from "../shell/theme";
import type { Chart, Option } from "./echarts";

export type Colour = (name: string) => string;

interface Props {
  /** What is drawn, with colours of the style. */
  option: (colour: Colour, width: number) => Option;
  /** Changes whenever `option` does. */
  shape: unknown;
  label: string;
  height: number;
  /** The name of what was clicked. */
  onChoose?: (name: string) => void;
  /** How many parts can be reached by the arrow keys, and what each is. */
  parts: number;
  said: (part: number) => string;
}

export function Canvas({ option, shape, label, height, onChoose, parts, said }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const [failed, setFailed] = useState(false);
  const [over, setOver] = useState(-1);
  const scheme = useScheme();
  const choose = useRef(onChoose);
  choose.current = onChoose;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let left = false;
    let watch: ResizeObserver | null = null;
    import("./echarts").then(
      ({ chartOn }) => {
        if (left) return;
        const canvas = document.createElement("canvas");
        element.replaceChildren(canvas);
        const made = chartOn(canvas, element.clientWidth, height);
        made.setOption(drawn(option, element));
        made.on("click", (event) => choose.current?.(String(event.name ?? "")));
        chart.current = made;
        watch = new ResizeObserver(() => element.clientWidth && made.resize({ width: element.clientWidth, height }));
        watch.observe(element);
      },
      () => setFailed(true),
    );
    return () => {
      left = true;
      watch?.disconnect();
      chart.current?.dispose();
      chart.current = null;
    };
  }, [scheme, height]);
  useEffect(() => {
    if (chart.current && box.current) chart.current.setOption(drawn(option, box.current), true);
  }, [JSON.stringify(shape)]);

  const show = (part: number) => {
    setOver(part);
    chart.current?.dispatchAction(part < 0 ? { type: "hideTip" } : { type: "showTip", seriesIndex: 0, dataIndex: part });
  };
  const pressed = (event: KeyboardEvent) => {
    const to = { ArrowLeft: over - 1, ArrowRight: over + 1, Home: 0, End: parts - 1 }[event.key];
    if (event.key === "Escape") return show(-1);
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(Math.max(0, Math.min(parts - 1, to)));
  };
  if (failed) return <p class="nothing bad" role="alert">The chart could not be loaded. The card's menu has the table.</p>;
  return (
    <div class="plotbox" role="application" aria-roledescription="chart" aria-label={`${label}. Arrow keys read it part by part.`}
      tabindex={0} onKeyDown={pressed} onBlur={() => show(-1)}>
      <div ref={box} class="canvas" style={{ height: `${height}px` }} />
      <span class="sr" role="status">{over >= 0 ? said(over) : ""}</span>
    </div>
  );
}

/** In the letters of the page. */
function drawn(option: Props["option"], element: HTMLElement): Option {
  const { fontFamily } = getComputedStyle(element);
  return { textStyle: { fontFamily }, ...option(colourOf(element), element.clientWidth) } as Option;
}

function colourOf(element: HTMLElement): Colour {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}
