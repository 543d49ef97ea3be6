// A simple chart of a result: its first time and first number, unless somebody chooses others.

import { useState } from "preact/hooks";
import type { Answer, Column } from "../ask/answer";
import { Bars } from "../chart/bars";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { visible } from "../text";
import { isNumeric } from "../unit";
import { drawable, leftOut, leftOutOfBars } from "./left";

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

const MOST_LINES = 6;

export function Drawing({ answer: told }: { answer: Answer }) {
  const answer = drawable(told);
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
  const missing = timed ? leftOut(answer, { x, y, split, most: MOST_LINES }) : leftOutOfBars(answer, y);
  const texts = answer.columns.filter((column) => column.kind === "text" || column.kind === "boolean").map((column) => column.name);
  return (
    <>
      <div class="tools drawn">
        <Choice label="Along" value={x} of={names} onChoose={(name) => setChosen({ ...chosen, x: name })} />
        <Choice label="Value" value={y} of={numbers} onChoose={(name) => setChosen({ ...chosen, y: name })} />
        {timed && texts.length > 0 && <Choice label="Split by" value={split} of={[NONE, ...texts]} onChoose={(name) => setChosen({ ...chosen, split: name })} />}
      </div>
      {timed
        ? <Series data={linesOf(answer, { x, values: [y], most: MOST_LINES, future: true, ...(split ? { split } : {}) })} zone="UTC" height={260} label={`${y} along ${x}`} />
        : <Bars answer={answer} name={x} value={y} most={20} label={`${y} by ${x}`} />}
      {missing.length > 0 && <p class="note small" role="status">Not drawn: <bdi>{visible(missing.join("; "))}</bdi>. The table has all rows.</p>}
    </>
  );
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
