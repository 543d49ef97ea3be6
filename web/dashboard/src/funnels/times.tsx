// How long they took from the first step to the last, and conversion over time.

import { type Answer, number, place, single } from "../ask/answer";
import type { Question } from "../ask/question";
import { Card } from "../card/card";
import { Columns } from "../chart/columns";
import { Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import type { Range } from "../shell/range";
import { count } from "../text";
import { seconds } from "../unit";

const EACH = 4; // bins that have a label: all would not fit

export function Times({ times, funnel, people, zone }: { times: Question; funnel: Question; people: string; zone: string }) {
  return (
    <Card id="times" tall={222} title="Time to convert" note="first step to last" zone={zone} data={times} questions={[times, funnel]} hint={<p>Nobody went through all steps in this range.</p>}
      definition="How long those who went through all steps took from the first to the last, in bins of the same width; median and percentile 90 over all of them.">
      {(answer) => {
        const last = lastStep(funnel.value);
        return (
          <>
            <Figures figures={[
              { label: "Median", name: "median", value: single(last, "median_seconds_from_start"), unit: "s", doc: "Half took this long or less." },
              { label: "90% within", name: "p90", value: single(last, "p90_seconds_from_start"), unit: "s", doc: "Percentile 90." },
            ]} />
            <Columns label="Times to convert" height={170} places={answer.rows.map((row, n) => {
              const [from, to, users] = ["from_seconds", "to_seconds", "users"].map((name) => number(row, place(answer, name)) ?? 0);
              return { label: n % EACH ? "" : seconds(from ?? 0), bars: [{ label: "users", value: users ?? 0, text: count(users ?? 0), said: `${seconds(from ?? 0)} to ${seconds(to ?? 0)}: ${count(users ?? 0)} ${people}` }] };
            })} />
          </>
        );
      }}
    </Card>
  );
}

/** The row of the last step alone. */
function lastStep(answer: Answer | null): Answer | null {
  if (!answer || !answer.rows.length) return null;
  return { ...answer, rows: [answer.rows[answer.rows.length - 1] ?? []] };
}

interface OverProps {
  question: Question;
  steps: number;
  grain: string;
  range: Range;
}

export function Over({ question, steps, grain, range }: OverProps) {
  return (
    <Card id="over" tall={222} title="Conversion over time" note={`by ${grain} of the first step`} data={question} zone={range.zone}
      definition={`Of those who began in a ${grain}, how many reached the last step within the funnel's time. The newest ones may still be on their way.`}>
      {(answer) => {
        const step = place(answer, "step");
        const last = { ...answer, rows: answer.rows.filter((row) => number(row, step) === steps) };
        return <Series data={linesOf(last, { x: grain, values: ["conversion"], over: range, labels: { conversion: "reached the last step" } })} zone={range.zone} label="Conversion over time" height={190} />;
      }}
    </Card>
  );
}
