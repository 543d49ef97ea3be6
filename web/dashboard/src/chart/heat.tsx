// A heat map: how much of something there is at each crossing of two scales.

import { visible } from "../text";
import { figure } from "../unit";
import { Canvas, type Colour } from "./canvas";
import type { Option } from "./echarts";

interface Props {
  across: string[];
  /** From the bottom up. */
  up: string[];
  /** Place across, place up, value. */
  cells: [number, number, number][];
  unit: string;
  label: string;
  /** What a cell is, in words; by default its names and its value. */
  said?: (across: number, up: number, value: number) => string;
  height?: number;
}

export function Heat({ across, up, cells, unit, label, said, height = 280 }: Props) {
  const say = said ?? ((x: number, y: number, value: number) => `${across[x] ?? ""}, ${up[y] ?? ""}: ${figure(unit, value, false)}`);
  const most = Math.max(...cells.map(([, , value]) => value), 0) || 1;
  const option = (colour: Colour): Option => {
    const text = { color: colour("--muted"), fontSize: 11 };
    return {
      animation: false,
      grid: { left: 64, right: 8, top: 8, bottom: 26 },
      tooltip: {
        renderMode: "richText", confine: true, backgroundColor: colour("--surface"), borderColor: colour("--line"),
        textStyle: { color: colour("--text"), fontSize: 12 },
        formatter: (event: unknown) => {
          const [x = 0, y = 0, value = 0] = (event as { value: [number, number, number] }).value;
          return visible(say(x, y, value));
        },
      },
      xAxis: { type: "category", data: across.map(visible), axisLabel: { ...text, hideOverlap: true, alignMaxLabel: "right" }, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("--line") } } },
      yAxis: { type: "category", data: up.map(visible), axisLabel: text, axisTick: { show: false }, axisLine: { show: false } },
      visualMap: { show: false, min: 0, max: most, inRange: { color: [colour("--accent-soft"), colour("--c1"), colour("--heat-most")] } },
      series: [{ type: "heatmap", data: cells, progressive: 0, itemStyle: { borderColor: colour("--surface"), borderWidth: 1 }, emphasis: { itemStyle: { borderColor: colour("--text") } } }],
    };
  };
  return (
    <Canvas option={option} shape={[across, up, cells, unit]} label={label} height={height} parts={cells.length}
      said={(part) => { const [x, y, value] = cells[part] ?? [0, 0, 0]; return say(x, y, value); }} />
  );
}
