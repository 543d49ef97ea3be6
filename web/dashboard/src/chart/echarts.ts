// The parts of ECharts that are used, in a chunk of their own. Its tooltips are drawn on the canvas:
// those made of HTML would be inserted as text that a browser obeys.

import { HeatmapChart, SankeyChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import * as core from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

core.use([HeatmapChart, SankeyChart, GridComponent, TooltipComponent, VisualMapComponent, AriaComponent, CanvasRenderer]);

export type Chart = ReturnType<typeof core.init>;
export type Option = Parameters<Chart["setOption"]>[0];

/**
 * A chart on a canvas. What holds it is emptied by `innerHTML`, which the page's policy forbids and a
 * canvas does not need: on this one, setting it does nothing.
 */
export function chartOn(canvas: HTMLCanvasElement, width: number, height: number): Chart {
  Object.defineProperty(canvas, "innerHTML", { get: () => "", set: () => undefined });
  return core.init(canvas as unknown as HTMLDivElement, null, { renderer: "canvas", width, height, devicePixelRatio: Math.max(1, devicePixelRatio) });
}
