// Message consistency: how far employees, customers and demos agree with what the CEO says, who
// contradicts what, and what follows from it.

import type { Column } from "../ask/answer";
import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { count, percent, visible } from "../text";
import type { Alignment, Consistency, Report, Votes } from "./confidence";
import { Interval } from "./interval";
import { points, shortId, when, witnesses } from "./words";

const SIDES: readonly [keyof Report & ("overall" | `ceo_${string}` | "employee_customer"), string][] = [
  ["overall", "Overall"], ["ceo_employee", "CEO and employees"], ["ceo_customer", "CEO and customers"], ["ceo_demo", "CEO and demos"], ["employee_customer", "Employees and customers"],
];
const SAYING: Readonly<Record<string, string>> = { employee: "An employee", customer: "A customer", demo: "A demo" };
const COLUMNS: Column[] = [
  { name: "sides", kind: "text", unit: "", doc: "Who is compared." },
  { name: "score", kind: "number", unit: "", doc: "How far they agree, 0 to 100." },
  { name: "low", kind: "number", unit: "", doc: "Lower end of the 90 % interval." },
  { name: "high", kind: "number", unit: "", doc: "Upper end of the 90 % interval." },
  { name: "coverage", kind: "number", unit: "0 to 1", doc: "Claims that are spoken of at all." },
  { name: "witnesses", kind: "integer", unit: "", doc: "How many were compared." },
];

export function AgreementCards({ consistency, zone }: { consistency: Data<Consistency>; zone: string }) {
  const told = consistency.value;
  const report = told?.report ?? null;
  return (
    <>
      <Card id="agreement" tall={300} title="Message consistency" note={told?.model && <bdi>{visible(told.model)}</bdi>} data={consistency} zone={zone} empty={told !== null && report === null} hint={told && visible(told.why ?? "")}
        table={report && { columns: COLUMNS, rows: SIDES.map(([name, label]) => [label, report[name].score, report[name].low, report[name].high, report[name].coverage, report[name].witnesses]) }}
        definition="Each claim of the CEO's value proposition beside each sentence of employees, customers and demos: it is supported, contradicted, or not spoken of. Alignment is the share of support among what is said, from 0 to 100, with a 90 % interval. Covered: the claims that anybody speaks of. The model that compares is named beside the title.">
        {() => report && (
          <>
            <ul class="rates">{SIDES.map(([name, label]) => <Side key={name} name={name} label={label} of={report[name]} />)}</ul>
            {told?.at && <p class="muted small">Compared {when(told.at, zone)}.</p>}
          </>
        )}
      </Card>
      {report && <Claims {...{ consistency, report, zone }} />}
      {report && <Discrepancies {...{ consistency, report, zone }} />}
      {report && <Recommendations {...{ consistency, report, zone }} />}
    </>
  );
}

function Side({ name, label, of }: { name: string; label: string; of: Alignment }) {
  const { score, low, high } = of;
  return (
    <li data-side={name} data-value={score ?? ""} data-low={low ?? ""} data-high={high ?? ""}>
      <p>
        <span>{label}</span><span class="space" />
        {score === null ? <span class="muted">nothing can be said yet</span> : <><b>{points(score)}</b> {low !== null && high !== null && <span class="muted small">{points(low)} to {points(high)}</span>}</>}
      </p>
      {score !== null && low !== null && high !== null && <Interval value={score} low={low} high={high} />}
      {score !== null && <p class="muted small">{witnesses("", of.witnesses)}; {percent(of.coverage)} of the claims are spoken of</p>}
    </li>
  );
}

interface Props {
  consistency: Data<Consistency>;
  report: Report;
  zone: string;
}

const VOTES = ["employee", "customer", "demo"].flatMap((who) => ["supports", "contradicts", "silent"].map((how) => ({ name: `${who}_${how}`, who, how: how as keyof Votes })));
const CLAIMS: Column[] = [
  { name: "claim", kind: "text", unit: "", doc: "What the CEO says." },
  { name: "kind", kind: "text", unit: "", doc: "An offer, a number, a promise, a superlative." },
  ...VOTES.map(({ name }): Column => ({ name, kind: "integer", unit: "", doc: "How many of them; each has one vote." })),
];

function Claims({ consistency, report, zone }: Props) {
  const rows = report.claims.map((one) => [one.claim, one.kind, ...VOTES.map(({ who, how }) => one.votes[who]?.[how] ?? null)]);
  return (
    <Card id="claims" title="Claims" data={consistency} zone={zone} table={{ columns: CLAIMS, rows }} hint="The value proposition claims nothing that can be compared."
      definition="Each claim of the CEO, and how many of each kind support it, contradict it, or do not speak of it. Each witness has one vote.">
      {() => (
        <ul class="claims">
          {report.claims.map((one, n) => (
            <li key={n} data-claim={one.kind}>
              <p><q><bdi>{visible(one.claim)}</bdi></q> <span class="tag">{visible(one.kind)}</span></p>
              <p class="small muted">{Object.entries(one.votes).filter(([, votes]) => votes.supports + votes.contradicts + votes.silent > 0).map(([who, votes]) => <Voted key={who} who={who} votes={votes} />)}</p>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Voted({ who, votes }: { who: string; votes: Votes }) {
  const name = witnesses(who, 2).replace(/^\S+ /, "");
  return (
    <span class="voted" data-votes={`${who} ${votes.supports} ${votes.contradicts} ${votes.silent}`}>
      {name.charAt(0).toUpperCase() + name.slice(1)}: <span class={votes.supports ? "good" : ""}>{count(votes.supports)} support</span>, <span class={votes.contradicts ? "bad" : ""}>{count(votes.contradicts)} contradict</span>, {count(votes.silent)} silent
    </span>
  );
}

const DISCREPANCY: Column[] = ["claim", "quote", "source", "reason"].map((name) => ({ name, kind: "text", unit: "", doc: "" }));

function Discrepancies({ consistency, report, zone }: Props) {
  return (
    <Card id="discrepancies" class="wide" title="Contradictions" note={report.discrepancies.length > 0 && count(report.discrepancies.length)} data={consistency} zone={zone}
      table={{ columns: DISCREPANCY, rows: report.discrepancies.map((one) => [one.claim, one.quote, one.source, one.reason]) }} hint="Nobody contradicts what the CEO says."
      definition="Claims beside the words that contradict them, the surest first, and why they were taken to.">
      {() => (
        <ul class="claims">
          {report.discrepancies.map((one, n) => (
            <li key={n} data-discrepancy={one.source}>
              <p><span class="muted small">The CEO</span> <q><bdi>{visible(one.claim)}</bdi></q></p>
              <p><span class="muted small">{SAYING[one.source] ?? visible(one.source)}</span> <q><bdi>{visible(one.quote)}</bdi></q></p>
              <p class="small muted"><bdi>{visible(one.reason)}</bdi>{one.witness_id && <> <code class="unprinted" title={visible(one.witness_id)}>{shortId(one.witness_id)}</code></>}</p>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Recommendations({ consistency, report, zone }: Props) {
  const columns: Column[] = [{ name: "recommendation", kind: "text", unit: "", doc: "What follows from the findings." }];
  return (
    <Card id="advice" class="wide" title="Recommendations" data={consistency} zone={zone} table={{ columns, rows: report.recommendations.map((one) => [one]) }} hint="Nothing follows from what was found."
      definition="What to say or to change, the most urgent first; each names the claim or the words it rests on.">
      {() => <ol class="advice">{report.recommendations.map((one, n) => <li key={n}><bdi>{visible(one)}</bdi></li>)}</ol>}
    </Card>
  );
}
