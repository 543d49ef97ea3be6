// All partners, the most deals first: matches, demos, deals, what people say, how far they are in.

import { type Answer, type Cells, type Value, number, place, single } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card, Nothing } from "../card/card";
import { type Figure, Figures } from "../chart/figures";
import { Table } from "../chart/table";
import { href } from "../shell/place";
import { COMPARES, type Range } from "../shell/range";
import { count, percent, visible } from "../text";
import { figure } from "../unit";
import { worth } from "./money";
import { SCORE_DOC, Unscored } from "./score";

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
  return (
    <>
      <Card id="totals" tall={[45, 143]} title="All partners" data={totals} zone={range.zone} empty={!single(totals.value, "matches") && !single(totals.value, "bookings") && !single(totals.value, "deals")}
        hint={<Nothing snippet={EXAMPLE} words="No match, demo or deal in this range. Tell of the first:" />}
        definition="Matches, demos and deals of everybody in the range. A match counts when it was made, a booking when it was first told (held: what became of it, whenever; one partner's page counts a demo on the day on which it was held), a deal when it was closed; so deals of the range may come from earlier matches. Shares of matches are of what became of them, whenever that was.">
        {(answer) => <Figures figures={totalsOf(answer)} than={range.compare ? COMPARES[range.compare].toLowerCase() : "before"} />}
      </Card>
      <Card id="partners" tall={498} title="Partners" data={partners} zone={range.zone}
        table={partners.value} note={partners.value ? count(partners.value.rows.length) : ""}
        hint="No partner in this range."
        definition={`How each partner does in the range. Booked: matches after which a demo was booked. No-show: of the demos that were held or to which somebody did not come. Both with Wilson's 95 % interval. Revenue is shown where all deals are in one currency. Feedback is the mean of ratings of the partner as a whole. ${SCORE_DOC}`}>
        {(answer) => <Listed answer={answer} />}
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

function Listed({ answer }: { answer: Answer }) {
  // The score has its place in every row; its values come with the question that will tell them.
  const columns = answer.columns.some((column) => column.name === "score") ? answer.columns
    : [...answer.columns, { name: "score", kind: "number", unit: "points of 100", doc: SCORE_DOC }];
  const share = (name: string, of: string) => (value: Value, row: Cells) => typeof value === "number"
    ? <span title={`${percent(number(row, place(answer, `${name}_low`)) ?? 0)} to ${percent(number(row, place(answer, `${name}_high`)) ?? 0)}`}>{percent(value)} <span class="muted small">of {count(number(row, place(answer, of)) ?? 0)}</span></span> : "–";
  return (
    <Table columns={columns} rows={answer.rows} label="Partners" only={SHOWN} titles={TITLES} cells={{
      partner: (value) => <a href={href("partners", { partner: String(value) })}><bdi>{visible(String(value))}</bdi></a>,
      score: (value) => (typeof value === "number" ? figure("", value) : <Unscored />),
      booked_rate: share("booked", "matches"),
      no_show_rate: (value) => (typeof value === "number" ? percent(value) : "–"),
      revenue: (_value, row) => <bdi>{visible(worth(answer, row))}</bdi>,
      mean_feedback: (value, row) => typeof value === "number"
        ? <>{figure("", value)} <span class="muted small">of {count(number(row, place(answer, "feedbacks")) ?? 0)}</span></> : "–",
      onboarding: (value) => <Joined status={typeof value === "string" ? value : null} />,
    }} />
  );
}

const JOINING: Readonly<Record<string, string>> = { started: "Started", step_completed: "On the way", completed: "Joined", abandoned: "Gave up" };

/** How far a partner has come in joining. */
export function Joined({ status }: { status: string | null }) {
  if (!status) return <>–</>;
  return <span class={`tag ${status === "completed" ? "good" : status === "abandoned" ? "bad" : ""}`}><bdi>{JOINING[status] ?? visible(status)}</bdi></span>;
}

