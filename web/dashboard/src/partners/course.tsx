// Every score there was, with its interval, over time.

import type { Cells, Column } from "../ask/answer";
import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { Series } from "../chart/series";
import { count } from "../text";
import type { Course } from "./confidence";
import { isDay } from "./words";

const COLUMNS: Column[] = [
  { name: "at", kind: "time", unit: "", doc: "When it was computed." },
  { name: "value", kind: "number", unit: "", doc: "Points of 100." },
  { name: "low", kind: "number", unit: "", doc: "Lower end of the interval." },
  { name: "high", kind: "number", unit: "", doc: "Upper end of the interval." },
  { name: "provisional", kind: "boolean", unit: "", doc: "Whether too little was said for a score that is ranked." },
  { name: "formula_version", kind: "text", unit: "", doc: "The formula it was computed by." },
];

export function CourseCard({ course, zone }: { course: Data<Course>; zone: string }) {
  const told = course.value?.history;
  const rows: Cells[] = (told ?? []).map((one) => [one.at, one.value, one.low, one.high, one.provisional, one.formula_version ?? null]);
  return (
    <Card id="course" tall={254} title="Score over time" data={course} zone={zone} table={told ? { columns: COLUMNS, rows } : null} hint="No score yet."
      note={told && told.length > 0 && `${count(told.length)} ${told.length === 1 ? "score" : "scores"}`}
      definition="Each score that was computed, with its interval: one when something was said or taken back, and one a week, as evidence ages. What was once computed is never changed.">
      {({ history }) => <Drawn history={history} zone={zone} />}
    </Card>
  );
}

function Drawn({ history, zone }: { history: Course["history"]; zone: string }) {
  const first = [...history].reverse();
  const line = { label: "PowerConfidence", unit: "", values: first.map((one) => one.value) };
  const band = { label: "Interval", low: first.map((one) => one.low), high: first.map((one) => one.high) };
  return <Series data={{ x: first.map((one) => Date.parse(one.at)), dates: first.every((one) => isDay(one.at)), lines: [line] }} band={band} zone={zone} label="PowerConfidence over time" height={226} />;
}
