// What the nodes are, where paths begin or end, and how far they are followed.

import type { Range } from "../shell/range";
import { setQuery } from "../shell/place";
import { FieldPick } from "../steps/fields";
import { Pick } from "../steps/pick";
import type { Kinds } from "../steps/step";

export interface Walk {
  /** The field whose values are the nodes. */
  node: string;
  /** Of which interactions; `*` for all. */
  of: string;
  start: string;
  end: string;
  depth: number;
  top: number;
  unit: string;
}

const UNITS: Readonly<Record<string, string>> = { person: "people", visitor: "visitors by recorded id", user_id: "users", session_id: "the app's sessions" };
const TOPS = [5, 10, 20, 50];

export function Pickers({ walk, range, kinds }: { walk: Walk; range: Range; kinds: Kinds }) {
  return (
    <section class="card builder" aria-label="Which paths">
      <div class="options-row first">
        <label class="inlinefield"><span>Nodes are values of</span>
          <FieldPick value={walk.node} label="Field whose values are the nodes" kinds={kinds} onPick={(node) => setQuery({ node: node === "path" ? null : node || null, of: null, start: null, end: null })} />
        </label>
        <label class="inlinefield"><span>of</span>
          <Pick field="interaction_type" value={walk.of === "*" ? "" : walk.of} label="Type of interaction that is a node" range={range} placeholder="all interactions"
            onPick={(of) => setQuery({ of: of || "*" })} />
        </label>
        <label class="inlinefield grow"><span>from</span>
          <Pick field={walk.node} value={walk.start} label="Node that paths start at" range={range} placeholder="where sessions begin" onPick={(start) => setQuery({ start: start || null })} />
        </label>
        <label class="inlinefield grow"><span>to</span>
          <Pick field={walk.node} value={walk.end} label="Node that paths end at" range={range} placeholder="anywhere" onPick={(end) => setQuery({ end: end || null })} />
        </label>
        {(walk.start || walk.end) && <button type="button" class="button" onClick={() => setQuery({ start: null, end: null })}>Clear</button>}
      </div>
      <div class="options-row">
        <label class="inlinefield"><span>Steps</span>
          <select value={String(walk.depth)} onChange={(event) => setQuery({ depth: event.currentTarget.value === "4" ? null : event.currentTarget.value })}>
            {Array.from({ length: 10 }, (_, n) => <option key={n} value={String(n + 1)}>{n + 1}</option>)}
          </select>
        </label>
        <label class="inlinefield"><span>Ways of each</span>
          <select value={String(walk.top)} onChange={(event) => setQuery({ top: event.currentTarget.value === "10" ? null : event.currentTarget.value })}>
            {[...new Set([...TOPS, walk.top])].sort((a, b) => a - b).map((top) => <option key={top} value={String(top)}>{top}</option>)}
          </select>
        </label>
        <label class="inlinefield"><span>Sessions of</span>
          <select value={walk.unit} onChange={(event) => setQuery({ unit: event.currentTarget.value === "person" ? null : event.currentTarget.value })}>
            {Object.entries(walk.unit in UNITS ? UNITS : { ...UNITS, [walk.unit]: walk.unit }).map(([unit, words]) => <option key={unit} value={unit}>{words}</option>)}
          </select>
        </label>
      </div>
    </section>
  );
}
