// A sankey: what flows from where to where. Nodes have an id each, as the same name may stand in several places.

import { visible } from "../text";
import { figure } from "../unit";
import { Canvas, type Colour } from "./canvas";
import type { Option } from "./echarts";

export interface Node {
  id: string;
  label: string;
  /** Which column it stands in, from 0. */
  depth: number;
}

export interface Flow {
  from: string;
  to: string;
  value: number;
}

interface Props {
  nodes: Node[];
  flows: Flow[];
  unit: string;
  label: string;
  height?: number;
  onChoose?: (id: string) => void;
}

export function Sankey({ nodes, flows, unit, label, height = 460, onChoose }: Props) {
  const labels = new Map(nodes.map((node) => [node.id, node.label]));
  const say = (flow: Flow) => `${labels.get(flow.from) ?? flow.from} → ${labels.get(flow.to) ?? flow.to}: ${figure(unit, flow.value, false)}`;
  const columns = Math.max(1, ...nodes.map((node) => node.depth));
  const option = (colour: Colour, width: number): Option => ({
    animation: false,
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: colour("--surface"), borderColor: colour("--line"),
      textStyle: { color: colour("--text"), fontSize: 12 },
      formatter: (event: unknown) => {
        const { dataType, data, name, value } = event as { dataType: string; data: { source?: string; target?: string; value?: number }; name: string; value: number };
        return visible(dataType === "edge" ? say({ from: data.source ?? "", to: data.target ?? "", value: data.value ?? 0 })
          : `${labels.get(name) ?? name}: ${figure(unit, value, false)}`);
      },
    },
    series: [{
      type: "sankey", left: 4, right: 120, top: 8, bottom: 8, nodeGap: 14, nodeWidth: 12, draggable: false, emphasis: { focus: "adjacency" },
      label: { color: colour("--text"), fontSize: 11.5, width: Math.max(40, Math.min(116, (width - 124) / columns - 20)), overflow: "truncate", formatter: (event: { name: string }) => visible(labels.get(event.name) ?? event.name) },
      lineStyle: { color: colour("--c1"), opacity: 0.24, curveness: 0.5 },
      data: nodes.map((node) => ({ name: node.id, depth: node.depth, itemStyle: { color: colour(`--c${(node.depth % 5) + 1}`), borderWidth: 0 } })),
      links: flows.map((flow) => ({ source: flow.from, target: flow.to, value: flow.value })),
    }],
  });
  return (
    <Canvas option={option} shape={[nodes, flows, unit]} label={label} height={height} parts={flows.length}
      said={(part) => { const flow = flows[part]; return flow ? say(flow) : ""; }} {...(onChoose ? { onChoose } : {})} />
  );
}
