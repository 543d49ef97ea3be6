// Who dropped after a step, or reached it: a list of units, each with the way to what they did.

import { number, place } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { href, useQuery } from "../shell/place";
import type { Range } from "../shell/range";
import { visible } from "../text";
import { type Funnel, parametersOf, unitName } from "./funnel";

const MOST = 200;

interface Props {
  funnel: Funnel;
  range: Range;
  step: number;
  onStep: (step: number) => void;
}

export function Dropped({ funnel, range, step, onStep }: Props) {
  const [whom, setWhom] = useQuery("whom", "dropped");
  const parameters = parametersOf(funnel);
  const steps = funnel.steps.length;
  const at = Math.min(Math.max(1, step), steps);
  const dropped = whom === "dropped";
  const units = useQuestion("funnel_units", parameters && { ...parameters, step: at, dropped, limit: MOST }, { ...range, compare: "" });
  const tools = (
    <span class="tools builder">
      <select aria-label="Which of them" value={whom} onChange={(event) => setWhom(event.currentTarget.value)}>
        <option value="dropped">dropped after</option>
        <option value="reached">reached</option>
      </select>
      <select aria-label="Which step" value={String(at)} onChange={(event) => onStep(Number(event.currentTarget.value))}>
        {funnel.steps.map((each, n) => <option key={n} value={String(n + 1)}>{n + 1}. {visible(each.label || each.event)}</option>)}
      </select>
    </span>
  );
  return (
    <Card id="who" tall={498} title={dropped ? "Who dropped" : "Who came so far"} note={units.value ? `${units.value.rows.length} listed` : ""} tools={tools} data={units} zone={range.zone} class="wide" hint={<p>Nobody.</p>}
      definition={dropped ? `${unitName(funnel.unit)} that reached the step and none after it, those that started last first.` : `${unitName(funnel.unit)} that reached the step, those that started last first.`}>
      {(answer) => (
        <>
          <Table columns={answer.columns} rows={answer.rows} label="Units" zone={range.zone} cells={{
            unit: (value) => <a href={href("explore", { sql: everythingOf(funnel.unit, String(value)) })}><bdi>{visible(String(value))}</bdi></a>,
            reached: (_, row) => String(number(row, place(answer, "reached")) ?? ""),
          }} />
          {answer.rows.length >= MOST && <p class="muted small">The newest {MOST}; <code>lakeward ask funnel_units</code> lists more.</p>}
        </>
      )}
    </Card>
  );
}

/** The statement that shows what somebody did, for Explore. */
function everythingOf(unit: string, value: string): string {
  const column = unit === "visitor" ? "coalesce(nullif(user_id, 'anonymous'), anonymous_id)" : /^[a-z_]+$/.test(unit) ? unit : "person";
  const view = unit === "person" ? "stitched" : "interactions";
  return `SELECT timestamp, interaction_type, path, route, interaction_id\nFROM ${view}\nWHERE ${column} = '${value.replaceAll("'", "''")}'\nORDER BY timestamp`;
}
