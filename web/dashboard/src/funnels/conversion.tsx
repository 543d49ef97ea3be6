// How far they came: bars for each step, segments side by side, and the same as a table.

import { type Answer, type Cells, number, place, text } from "../ask/answer";
import { type Bar, Columns } from "../chart/columns";
import { Table } from "../chart/table";
import { colour } from "../chart/lines";
import { count, percent, visible } from "../text";
import { seconds } from "../unit";

const MOST_SEGMENTS = 5;
const NONE = "(none)";
const TITLES = {
  conversion_from_previous: "from the one before", conversion: "from the first", median_seconds: "median time", p90_seconds: "90% within",
};
const SHOWN = ["step", "name", "users", "conversion", "conversion_from_previous", "dropped", "median_seconds", "p90_seconds"];

interface Props {
  answer: Answer;
  by: string;
  people: string;
  chosen: number;
  onChoose: (step: number) => void;
}

export function Conversion({ answer, by, people, chosen, onChoose }: Props) {
  const segments = by ? segmentsOf(answer, by) : [];
  const places = by ? compared(answer, by, segments, people) : alone(answer, people);
  return (
    <>
      <Columns places={places} label={`Conversion by step${by ? ` and ${by}` : ""}`} height={250} chosen={chosen - 1} onChoose={(at) => onChoose(at + 1)} />
      {by && (
        <ul class="legend" aria-label="Segments">
          {segments.map((name, n) => (
            <li key={name}><span class="swatch" style={{ background: `var(${colour(n)})` }} aria-hidden="true" /><bdi>{visible(name)}</bdi></li>
          ))}
          {segmentsOf(answer, by, Infinity).length > MOST_SEGMENTS && <li class="muted">the largest {MOST_SEGMENTS}; the table has all</li>}
        </ul>
      )}
      {!by && answer.compared && <ul class="legend"><li><span class="swatch" style={{ background: "var(--c6)" }} aria-hidden="true" />before, beside each</li></ul>}
      <Table columns={answer.columns} rows={answer.rows} label="Steps" titles={TITLES} only={by ? [by, ...SHOWN] : SHOWN} cells={{
        step: (value) => (
          <button type="button" class="link" aria-pressed={chosen === value} title="Who dropped after it" onClick={() => onChoose(Number(value))}>{String(value)}</button>
        ),
      }} />
    </>
  );
}

/** Values of the field, those with most at the first step first. */
function segmentsOf(answer: Answer, by: string, most = MOST_SEGMENTS): string[] {
  const first = answer.rows.filter((row) => number(row, place(answer, "step")) === 1);
  const users = place(answer, "users");
  return [...first].sort((a, b) => (number(b, users) ?? 0) - (number(a, users) ?? 0)).slice(0, most).map((row) => text(row, place(answer, by)) ?? NONE);
}

function alone(answer: Answer, people: string): { label: string; bars: Bar[] }[] {
  const [users, step] = [place(answer, "users"), place(answer, "step")];
  return answer.rows.map((row, n) => {
    const before = answer.compared?.rows.find((each) => number(each, step) === number(row, step));
    const now: Bar = {
      label: "now", value: number(row, users) ?? 0, text: percent(number(row, place(answer, "conversion")) ?? 0), said: words(answer, row, people),
      ...(n > 0 ? { behind: number(answer.rows[n - 1], users) ?? 0 } : {}),
    };
    const then: Bar[] = before ? [{
      label: "before", value: number(before, users) ?? 0, text: percent(number(before, place(answer, "conversion")) ?? 0), said: `Before: ${words(answer, before, people)}`, colour: "--c6",
    }] : [];
    return { label: text(row, place(answer, "name")) ?? "", bars: [now, ...then] };
  });
}

function compared(answer: Answer, by: string, segments: string[], people: string): { label: string; bars: Bar[] }[] {
  const [step, field] = [place(answer, "step"), place(answer, by)];
  const steps = [...new Set(answer.rows.map((row) => number(row, step) ?? 0))].sort((a, b) => a - b);
  return steps.map((at) => {
    const rows = answer.rows.filter((row) => number(row, step) === at);
    return {
      label: text(rows[0], place(answer, "name")) ?? "",
      bars: segments.map((name, n): Bar => {
        const row = rows.find((each) => (text(each, field) ?? NONE) === name);
        const share = number(row, place(answer, "conversion")) ?? 0;
        return { label: name, value: share, text: percent(share), said: `${name}: ${row ? words(answer, row, people) : "nobody"}`, colour: colour(n) };
      }),
    };
  });
}

function words(answer: Answer, row: Cells, people: string): string {
  const of = (name: string) => number(row, place(answer, name));
  const name = `Step ${of("step")}, ${text(row, place(answer, "name"))}`;
  const told = `${count(of("users") ?? 0)} ${people}, ${percent(of("conversion") ?? 0)} of the first step`;
  if (of("step") === 1) return `${name}: ${told}`;
  const time = of("median_seconds");
  return `${name}: ${told}, ${percent(of("conversion_from_previous") ?? 0)} of the one before, ${count(of("dropped") ?? 0)} dropped${time === null ? "" : `, half took ${seconds(time)} or less`}`;
}
