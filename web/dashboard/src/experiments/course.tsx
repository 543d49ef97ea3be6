// How it came to be: units of each arm, and the interval of a metric, as of the end of each day.

import { number, place, text } from "../ask/answer";
import { type Data } from "../ask/question";
import { Card } from "../card/card";
import { type Lines, linesOf } from "../chart/lines";
import { type Band, Series } from "../chart/series";
import { useQuery } from "../shell/place";
import { visible } from "../text";
import { type Course, type Report, type Table, explained } from "./report";

interface Props {
  course: Data<Course>;
  zone: string;
}

function answerOf(table: Table) {
  return { kind: "", question: {}, columns: table.columns, rows: table.rows };
}

export function Exposure({ course, zone }: Props) {
  return (
    <Card id="exposure" tall={258} title="Exposure over time" note="units so far, by arm" data={course} table={course.value?.units ?? null} questions={explained(course.value?.questions, "experiment_units")} zone={zone}
      definition="How many units had met each arm and no other by the end of each day. Arms that drift apart are not assigned as planned.">
      {(told) => <Series data={linesOf(answerOf(told.units), { values: ["units"], split: "arm", most: 20 })} zone={zone} label="Units by arm" height={230} />}
    </Card>
  );
}

export function Intervals({ course, report, zone }: Props & { report: Report | null }) {
  const [wanted, setWanted] = useQuery("metric", "");
  const table = course.value?.intervals;
  const pairs = table ? pairsOf(table) : [];
  const chosen = pairs.find((pair) => pair.id === wanted) ?? pairs[0];
  const control = report?.control ?? "control";
  const tools = pairs.length > 1 && (
    <span class="builder">
      <select aria-label="Metric and arm" value={chosen?.id ?? ""} onChange={(event) => setWanted(event.currentTarget.value)}>
        {pairs.map((pair) => <option key={pair.id} value={pair.id}>{visible(`${pair.metric}: ${pair.arm} minus ${control}`)}</option>)}
      </select>
    </span>
  );
  return (
    <Card id="intervals" tall={258} title="Difference over time" note={chosen && <bdi>{visible(`${chosen.metric}: ${chosen.arm} minus ${control}`)}</bdi>} class="wide" tools={tools} data={course} table={table ?? null} questions={explained(course.value?.questions).slice(1)} zone={zone}
      hint={<p>There is nothing to compare yet: two arms and a metric are needed.</p>}
      definition={`The chosen metric of the chosen arm minus that of ${control}, as the report of each day's end had it: of all who had met an arm by then. Of shares it is in points of percent. The band is the interval of that day. ${MEANS[report?.method ?? "sequential"]}`}>
      {(told) => (
        <>
          {chosen && <Drawn table={told.intervals} {...chosen} {...{ report, control, zone }} />}
          {told.left_out.length > 0 && <p class="muted small">There was no time for {visible(told.left_out.join(", "))}: take a shorter range.</p>}
        </>
      )}
    </Card>
  );
}

interface Pair {
  id: string;
  metric: string;
  arm: string;
}

function pairsOf(table: Table): Pair[] {
  const [metric, arm] = [place(table, "metric"), place(table, "arm")];
  const found = new Map<string, Pair>();
  for (const row of table.rows) {
    const pair = { metric: text(row, metric) ?? "", arm: text(row, arm) ?? "" };
    const id = JSON.stringify([pair.metric, pair.arm]);
    if (!found.has(id)) found.set(id, { id, ...pair });
  }
  return [...found.values()];
}

const MEANS: Readonly<Record<Report["method"], string>> = {
  sequential: "It holds however often one looks: once it leaves zero out, that may be acted on.",
  fixed: "It holds for one look, at the end that was planned: before that it may leave zero out by chance.",
};

interface DrawnProps {
  table: Table;
  metric: string;
  arm: string;
  report: Report | null;
  control: string;
  zone: string;
}

function Drawn({ table, metric, arm, report, control, zone }: DrawnProps) {
  const own = table.rows.filter((row) => text(row, place(table, "metric")) === metric && text(row, place(table, "arm")) === arm);
  const data: Lines = linesOf(answerOf({ ...table, rows: own }), { values: ["difference"], labels: { difference: `${metric}: ${arm} minus ${control}` } });
  const share = report?.metrics.some((each) => each.metric === metric && each.kind === "share");
  if (share) data.lines = data.lines.map((line) => ({ ...line, unit: "0 to 1" }));
  const along = (name: string) => {
    const at = new Map(own.map((row) => [Date.parse(text(row, place(table, "moment")) ?? ""), number(row, place(table, name))]));
    return data.x.map((ms) => at.get(ms) ?? null);
  };
  const band: Band = { label: report ? `${Number((report.level * 100).toPrecision(4))} % interval, ${report.method === "fixed" ? "for one look at the end" : "valid whenever you look"}` : "interval", low: along("difference_low"), high: along("difference_high") };
  return <Series data={data} band={band} zone={zone} label={`${metric}: ${arm} minus ${control}`} height={230} />;
}
