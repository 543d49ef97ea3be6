// A simple chart of a result: its first time and first number, unless somebody chooses others.

import { useState } from "preact/hooks";
import type { Answer, Column } from "../ask/answer";
import { Bars } from "../chart/bars";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { visible } from "../text";
import { isNumeric } from "../unit";

const TIMES = new Set(["time", "local", "date"]);
const NONE = "";

interface Chosen {
  x: string;
  y: string;
  split: string;
}

/** What is drawn without a choice; null where nothing can be. */
export function first(columns: readonly Column[]): Chosen | null {
  const x = columns.find((column) => TIMES.has(column.kind)) ?? columns.find((column) => column.kind === "text");
  const y = columns.find((column) => isNumeric(column) && column !== x);
  if (!x || !y) return null;
  const split = TIMES.has(x.kind) ? columns.find((column) => column.kind === "text") : undefined;
  return { x: x.name, y: y.name, split: split?.name ?? NONE };
}

export function Drawing({ answer }: { answer: Answer }) {
  const usual = first(answer.columns);
  const [chosen, setChosen] = useState<Partial<Chosen>>({});
  if (!usual) return <p class="nothing muted">A chart needs a column of numbers, and one of times or names.</p>;
  const known = (name: string | undefined, otherwise: string) => (name !== undefined && (name === NONE || answer.columns.some((column) => column.name === name)) ? name : otherwise);
  const x = known(chosen.x, usual.x) || usual.x;
  const y = known(chosen.y, usual.y) || usual.y;
  const split = known(chosen.split, usual.split);
  const over = answer.columns.find((column) => column.name === x);
  const timed = over !== undefined && TIMES.has(over.kind);
  const names = answer.columns.filter((column) => !isNumeric(column) && column.kind !== "json").map((column) => column.name);
  const numbers = answer.columns.filter(isNumeric).map((column) => column.name);
  const texts = answer.columns.filter((column) => column.kind === "text" || column.kind === "boolean").map((column) => column.name);
  return (
    <>
      <div class="tools drawn">
        <Choice label="Along" value={x} of={names} onChoose={(name) => setChosen({ ...chosen, x: name })} />
        <Choice label="Value" value={y} of={numbers} onChoose={(name) => setChosen({ ...chosen, y: name })} />
        {timed && texts.length > 0 && <Choice label="Split by" value={split} of={[NONE, ...texts]} onChoose={(name) => setChosen({ ...chosen, split: name })} />}
      </div>
      {timed
        ? <Series data={linesOf(moments(answer, x), { x, values: [y], ...(split ? { split } : {}) })} zone="UTC" height={260} label={`${y} along ${x}`} />
        : <Bars answer={answer} name={x} value={y} most={20} label={`${y} by ${x}`} />}
    </>
  );
}

/** A time without a zone is drawn as if it were UTC, which is what it says on the axis. */
function moments(answer: Answer, x: string): Answer {
  const at = answer.columns.findIndex((column) => column.name === x);
  if (answer.columns[at]?.kind !== "local") return answer;
  return { ...answer, rows: answer.rows.map((row) => row.map((value, n) => (n === at && typeof value === "string" ? `${value}Z` : value))) };
}

function Choice(props: { label: string; value: string; of: string[]; onChoose: (name: string) => void }) {
  return (
    <label class="choice">
      {props.label}
      <select aria-label={props.label} value={props.value} onChange={(event) => props.onChoose((event.target as HTMLSelectElement).value)}>
        {props.of.map((name) => <option key={name} value={name}>{name === NONE ? "nothing" : visible(name)}</option>)}
      </select>
    </label>
  );
}
