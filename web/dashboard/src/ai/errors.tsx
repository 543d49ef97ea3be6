// How turns end: those that failed, were refused or given up, and what the failures were.

import { useQuestion } from "../ask/question";
import { type Answer, number, place } from "../ask/answer";
import { Card, Waiting } from "../card/card";
import { Bars } from "../chart/bars";
import { Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { percent } from "../text";
import type { Scope } from "./only";

const ENDS: Readonly<Record<string, string>> = { failed: "Failed", refused: "Refused", cancelled: "Cancelled", abandoned: "Abandoned" };

export function Errors({ range, only, grain }: Scope) {
  const now = { ...range, compare: "" as const };
  const whole = useQuestion("ai_errors", { only }, range);
  const overTime = useQuestion("ai_errors", { by: [grain], only }, now);
  const kinds = useQuestion("ai_errors", { by: ["error_type"], only: { ...only, status: ["failed"] } }, now);
  return (
    <Card id="errors" tall={[228, 246]} title="Errors" data={whole} questions={[whole, overTime, kinds]} zone={range.zone} hint="No turn of an AI in this range."
      definition="Turns that did not end as completed: failed (an error of the service or on the way to it), refused (the model would not), cancelled (the reader left), abandoned (the process died). Shares are of the turns that say how they ended, with Wilson's 95 % interval.">
      {(answer) => (
        <>
          <Figures figures={["failed", "refused"].map((name) => {
            const at = place(answer, `${name}_rate`);
            return { label: ENDS[name] ?? name, name: `${name}_rate`, value: number(answer.rows[0], at), unit: "0 to 1", better: "down" as const, doc: interval(answer, name), change: answer.compared?.changes?.[at] };
          })} />
          {!overTime.value && !overTime.refused && <Waiting tall={[173, 191]} />}
          {overTime.value && <Series data={linesOf(overTime.value, { x: grain, values: Object.keys(ENDS), over: range, none: 0, labels: ENDS })} zone={range.zone} kind="stack" label={`Turns that did not end well by ${grain}`} height={150} />}
          {kinds.value && kinds.value.rows.length > 0 && (
            <><h3>What failed</h3><Bars answer={kinds.value} name="error_type" value="turns" label="Errors by kind" none="no kind told" most={6} /></>
          )}
        </>
      )}
    </Card>
  );
}

/** `4.2% to 9.8%`, of a share of the first row. */
export function interval(answer: Answer, name: string, row = answer.rows[0]): string {
  const low = number(row, place(answer, `${name}_low`));
  const high = number(row, place(answer, `${name}_high`));
  return low === null || high === null ? "" : `${percent(low)} to ${percent(high)}`;
}
