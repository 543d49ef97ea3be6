// The verdict first, in words; then who took part, and what each metric shows.

import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { at } from "../paths";
import { count, percent, visible } from "../text";
import { Forest } from "./forest";
import { type Metric, type Told, explained, restOf } from "./report";
import { STATUS, interval, probability, valueOf } from "./words";

interface Props {
  told: Data<Told>;
  zone: string;
}

export function Verdict({ told, name, query, zone }: Props & { name: string; query: URLSearchParams }) {
  return (
    <Card id="verdict" tall={[192, 360]} title="Verdict" class="wide" data={told} table={told.value?.figures ?? null} empty={false} questions={explained(told.value?.questions)} zone={zone}
      tools={<a class="button" data-load="file" download="experiment.csv" href={at("experiments", restOf(name, "/csv", query))}>CSV</a>}
      definition="What to do with the experiment. It stands on the difference of each metric that decides and its p, adjusted over all metrics and arms; guardrails are held against their own p; a split that is not as planned breaks all of it.">
      {({ report, sentences }) => {
        const { title, tone } = STATUS[report.verdict.status];
        const reasons = report.verdict.reasons.filter((reason) => !report.verdict.sentence.includes(reason.sentence));
        return (
          <div class="verdict" data-status={report.verdict.status}>
            <p><span class={`tag big ${tone}`}>{title}{report.verdict.arm && <> <bdi>{visible(report.verdict.arm)}</bdi></>}</span></p>
            <p class="lead"><bdi>{visible(report.verdict.sentence)}</bdi></p>
            {reasons.length > 0 && <ul class="plainlist">{reasons.map((reason, n) => <li key={n}><bdi>{visible(reason.sentence)}</bdi></li>)}</ul>}
            <p class="muted small">{visible(sentences.method)}</p>
            {sentences.notes.map((note, n) => <p key={n} class="muted small"><bdi>{visible(note)}</bdi></p>)}
          </div>
        );
      }}
    </Card>
  );
}

export function Arms({ told, zone }: Props) {
  const columns = [
    { name: "arm", kind: "text", unit: "", doc: "The arm." }, { name: "units", kind: "integer", unit: "units", doc: "Units that met it and no other." },
    { name: "planned", kind: "number", unit: "0 to 1", doc: "Its share by plan." },
  ];
  const rows = (told.value?.report.arms ?? []).map((arm) => [arm.arm, arm.units, arm.planned]);
  return (
    <Card id="arms" tall={[151, 191]} title="Who took part" note="sample ratio" data={told} table={{ columns, rows }} questions={explained(told.value?.questions, "experiment_units")} zone={zone}
      definition="Units that met one arm, from their first exposure on, against the shares that were planned. A sample ratio whose p is below 0.001 says that something assigns, exposes or loses units unevenly. Who met several arms, was put into one by hand or cannot be told is set aside.">
      {({ report, sentences }) => (
        <>
          <Table columns={columns} rows={rows} label="Arms" cells={{
            arm: (value) => <><bdi>{visible(String(value))}</bdi>{value === report.control && <span class="muted"> (control)</span>}</>,
          }} />
          <p class={`note ${report.split.broken ? "bad" : ""}`}>{visible(sentences.ratio)}</p>
          {sentences.aside.map((aside, n) => <p key={n} class="muted small"><bdi>{visible(aside)}</bdi></p>)}
        </>
      )}
    </Card>
  );
}

export function Metrics({ told, zone }: Props) {
  return (
    <Card id="metrics" tall={[171, 376]} title="Metrics" note="difference from control" data={told} table={told.value?.figures ?? null} empty={told.value?.report.metrics.length === 0} class="wide"
      questions={explained(told.value?.questions).slice(1)} zone={zone} hint={<p>No metric is planned in the flag: name one above.</p>}
      definition="Each metric in each arm, and what an arm differs by from control, with an interval. An interval that crosses zero says nothing yet.">
      {({ report }) => <div class="metrics">{report.metrics.map((metric) => <One key={metric.role + metric.metric} metric={metric} level={report.level} />)}</div>}
    </Card>
  );
}

function One({ metric, level }: { metric: Metric; level: number }) {
  return (
    <section class="metric" aria-label={metric.metric}>
      <h3><bdi>{visible(metric.metric)}</bdi> <span class="muted small">{metric.role === "guardrail" ? "guardrail, " : ""}{metric.kind}, {metric.better} is better</span></h3>
      <p class="chips small">
        {metric.arms.map((arm) => <span class="tag" key={arm.arm} title={`${count(arm.units)} units`}><bdi>{visible(arm.arm)}</bdi> <b>{valueOf(metric, arm.value)}</b></span>)}
      </p>
      <Forest metric={metric} level={level} />
      <ul class="plainlist small">
        {metric.effects.map((effect) => (
          <li key={effect.arm}>
            <span class={`tag ${effect.state === "better" ? "good" : effect.state === "worse" ? "bad" : ""}`}>{effect.state}</span>{" "}
            <bdi>{visible(effect.arm)}</bdi>: {interval(metric, effect, level)}; p {probability(effect.p_adjusted ?? effect.difference?.p ?? null)}
            {effect.belief && <span class="muted">; chance to win {percent(effect.belief.chance_to_win)}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
