// All partners, the most deals first: matches, demos, deals, what people say, how far they are in.

import { type Answer, type Cells, type Column, type Value, number, place, single } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card, Nothing } from "../card/card";
import { type Figure, Figures } from "../chart/figures";
import { Table } from "../chart/table";
import { href } from "../shell/place";
import { COMPARES, type Range } from "../shell/range";
import { count, percent, visible } from "../text";
import { figure } from "../unit";
import { type Listed as Known, useKnown } from "./confidence";
import { worth } from "./money";
import { SCORE_DOC, Scored } from "./score";

const SHOWN = ["partner", "score", "matches", "booked_rate", "demos_held", "no_show_rate", "deals", "revenue", "mean_feedback", "onboarding"];
const TITLES = { booked_rate: "booked", demos_held: "held", no_show_rate: "no-show", mean_feedback: "feedback", score: "PowerConfidence" };
const EXAMPLE = `from lakeward import Collector
from lakeward.outcomes import Outcomes

outcomes = Outcomes(Collector.from_env())
outcomes.partner_match(partner_id="p9", user_id="u1", score=87, rank=1)
outcomes.demo_booked(partner_id="p9", user_id="u1", booking_id="b1")`;

export function List({ range }: { range: Range }) {
  const totals = useQuestion("outcomes", {}, range);
  const partners = useQuestion("partner_performance", {}, { ...range, compare: "" });
  const known = useKnown();
  const answer = partners.value && scored(partners.value, known.value?.partners ?? []);
  return (
    <>
      <Card id="totals" tall={[45, 143]} title="All partners" data={totals} zone={range.zone} empty={!single(totals.value, "matches") && !single(totals.value, "bookings") && !single(totals.value, "deals")}
        hint={<Nothing snippet={EXAMPLE} words="No match, demo or deal in this range. Tell of the first:" />}
        definition="Matches, demos and deals of everybody in the range. A match counts when it was made, a booking when it was first told (held: what became of it, whenever; one partner's page counts a demo on the day on which it was held), a deal when it was closed; so deals of the range may come from earlier matches. Shares of matches are of what became of them, whenever that was.">
        {(answer) => <Figures figures={totalsOf(answer)} than={range.compare ? COMPARES[range.compare].toLowerCase() : "before"} />}
      </Card>
      <Card id="partners" tall={498} title="Partners" data={partners} zone={range.zone}
        table={answer} note={answer ? count(answer.rows.length) : ""}
        hint="No partner in this range."
        definition={`How each partner does in the range. Booked: matches after which a demo was booked. No-show: of the demos that were held or to which somebody did not come. Both with Wilson's 95 % interval. Revenue is shown where all deals are in one currency. Feedback is the mean of ratings of the partner as a whole. ${SCORE_DOC} It is the newest one, with its 90 % interval; the place is by the lower end, among those that are not provisional. Partners that PowerConfidence knows are listed with or without a record in the range.`}>
        {() => answer && <Listed answer={answer} scores={known.value?.partners} refused={known.refused !== null} />}
      </Card>
    </>
  );
}

function totalsOf(answer: Answer): Figure[] {
  const wanted: [string, string, Figure["better"]?][] = [
    ["matches", "Matches"], ["booked_rate", "Booked a demo", "up"], ["demos_held", "Bookings held", "up"], ["no_show_rate", "No-show", "down"], ["deals", "Deals", "up"],
  ];
  return wanted.map(([name, label, better]) => {
    const at = place(answer, name);
    return { label, name, value: number(answer.rows[0], at), unit: answer.columns[at]?.unit ?? "", doc: answer.columns[at]?.doc ?? "", change: answer.compared?.changes?.[at], ...(better ? { better } : {}) };
  });
}

const STANDING: Column[] = [
  { name: "score", kind: "number", unit: "points of 100", doc: SCORE_DOC },
  { name: "score_low", kind: "number", unit: "points of 100", doc: "Lower end of its 90 % interval." },
  { name: "score_high", kind: "number", unit: "points of 100", doc: "Upper end of its 90 % interval." },
  { name: "score_provisional", kind: "boolean", unit: "", doc: "Whether too little was said for a score that is ranked." },
  { name: "score_place", kind: "integer", unit: "", doc: "Place by the lower end of the interval, among those that are not provisional." },
];

/** The answer with each partner's score, and a row for whom PowerConfidence knows and the range does not. */
function scored(answer: Answer, known: readonly Known[]): Answer {
  const at = place(answer, "partner");
  const scores = new Map(known.map((one) => [one.partner_id, one.score]));
  const rows = answer.rows.map((row) => [...row, ...standing(scores.get(String(row[at])))]);
  const listed = new Set(answer.rows.map((row) => row[at]));
  for (const one of known) {
    if (!listed.has(one.partner_id)) rows.push([...answer.columns.map((_, n) => (n === at ? one.partner_id : null)), ...standing(one.score)]);
  }
  return { ...answer, columns: [...answer.columns, ...STANDING], rows };
}

function standing(score: Known["score"] | undefined): Cells {
  return score ? [score.value, score.low, score.high, score.provisional, score.place] : STANDING.map(() => null);
}

function Listed({ answer, scores, refused }: { answer: Answer; scores: readonly Known[] | undefined; refused: boolean }) {
  const scoreOf = (partner: Value | undefined) => scores && (scores.find((one) => one.partner_id === partner)?.score ?? null);
  const nameOf = (partner: Value) => scores?.find((one) => one.partner_id === partner)?.name;
  const share = (name: string, of: string) => (value: Value, row: Cells) => typeof value === "number"
    ? <span title={`${percent(number(row, place(answer, `${name}_low`)) ?? 0)} to ${percent(number(row, place(answer, `${name}_high`)) ?? 0)}`}>{percent(value)} <span class="muted small">of {count(number(row, place(answer, of)) ?? 0)}</span></span> : "–";
  return (
    <Table columns={answer.columns} rows={answer.rows} label="Partners" only={SHOWN} titles={TITLES} cells={{
      partner: (value) => <><a href={href("partners", { partner: String(value) })}><bdi>{visible(String(value))}</bdi></a> <Named name={nameOf(value)} /></>,
      score: (_value, row) => <Scored score={scoreOf(row[place(answer, "partner")])} refused={refused} />,
      booked_rate: share("booked", "matches"),
      no_show_rate: (value) => (typeof value === "number" ? percent(value) : "–"),
      revenue: (_value, row) => <bdi>{visible(worth(answer, row))}</bdi>,
      mean_feedback: (value, row) => typeof value === "number"
        ? <>{figure("", value)} <span class="muted small">of {count(number(row, place(answer, "feedbacks")) ?? 0)}</span></> : "–",
      onboarding: (value) => <Joined status={typeof value === "string" ? value : null} />,
    }} />
  );
}

function Named({ name }: { name: string | undefined }) {
  return name ? <bdi class="muted small">{visible(name)}</bdi> : null;
}

const JOINING: Readonly<Record<string, string>> = { started: "Started", step_completed: "On the way", completed: "Joined", abandoned: "Gave up" };

/** How far a partner has come in joining. */
export function Joined({ status }: { status: string | null }) {
  if (!status) return <>–</>;
  return <span class={`tag ${status === "completed" ? "good" : status === "abandoned" ? "bad" : ""}`}><bdi>{JOINING[status] ?? visible(status)}</bdi></span>;
}

