// From the rows of the question to nodes and flows. A node is a name at a place: the same page may stand
// in several places.

import { type Answer, number, place, text } from "../ask/answer";
import type { Flow, Node } from "../chart/sankey";

export const LEFT = "(session ends)";
export const BEGAN = "(session begins)";
const GAP = "\u0000";

export interface Edge {
  position: number;
  from: string | null;
  to: string | null;
  sessions: number;
  units: number;
  seconds: number | null;
  /** All edges of the position that are not rows of their own. */
  others: boolean;
}

export function edgesOf(answer: Answer): Edge[] {
  const at = Object.fromEntries(answer.columns.map((column) => [column.name, place(answer, column.name)]));
  return answer.rows.map((row) => {
    const [from, to] = [text(row, at["from"] ?? -1), text(row, at["to"] ?? -1)];
    return {
      position: number(row, at["position"] ?? -1) ?? 0, from, to, sessions: number(row, at["sessions"] ?? -1) ?? 0,
      units: number(row, at["units"] ?? -1) ?? 0, seconds: number(row, at["median_seconds"] ?? -1), others: from === null && to === null,
    };
  });
}

/** Positions in their order, with their edges, those with most first. */
export function byPosition(edges: readonly Edge[]): [number, Edge[]][] {
  const found = new Map<number, Edge[]>();
  for (const edge of edges) found.set(edge.position, [...(found.get(edge.position) ?? []), edge]);
  const most = (a: Edge, b: Edge) => Number(a.others) - Number(b.others) || b.sessions - a.sessions;
  return [...found].sort(([a], [b]) => a - b).map(([position, each]) => [position, each.sort(most)]);
}

/** What a sankey draws; edges that are many in one have no ends, and stand in the list alone. */
export function drawing(edges: readonly Edge[]): { nodes: Node[]; flows: Flow[] } {
  const told = edges.filter((edge) => !edge.others);
  const least = Math.min(...told.map((edge) => edge.position), 1);
  const nodes = new Map<string, Node>();
  const node = (depth: number, name: string): string => {
    const id = `${depth}${GAP}${name}`;
    if (!nodes.has(id)) nodes.set(id, { id, label: name, depth });
    return id;
  };
  const flows = told.map((edge) => {
    const depth = edge.position - least;
    return { from: node(depth, edge.from ?? BEGAN), to: node(depth + 1, edge.to ?? LEFT), value: edge.sessions };
  });
  return { nodes: [...nodes.values()], flows };
}

/** The name of a node; empty for one that is no page. */
export function nameOf(id: string): string {
  const name = id.slice(id.indexOf(GAP) + 1);
  return name === LEFT || name === BEGAN ? "" : name;
}
