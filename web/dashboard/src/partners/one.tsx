// One partner: its figures over time, demos, deals by currency, feedback, how far it is in, all of it of
// records that name the partner, so that the partner itself may see the same; and its PowerConfidence.

import { type Answer, number, place, single, text } from "../ask/answer";
import type { Parameters } from "../ask/question";
import { type Question, useQuestion } from "../ask/question";
import { Card, Waiting } from "../card/card";
import { Columns } from "../chart/columns";
import { type Figure, Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { Table } from "../chart/table";
import { href } from "../shell/place";
import { COMPARES, type Range } from "../shell/range";
import { count, visible } from "../text";
import { figure } from "../unit";
import { Joined } from "./list";
import { worth } from "./money";
import { Rates } from "./rates";
import { useTold } from "./confidence";
import { ScoreCard } from "./score";
import { ReportHead, Section } from "./section";

const DEFINITION = "Of records that name the partner, each on its own day: a demo that was told as held counts when it was held. A booking counts once of each status, a deal once, by its newest word.";
const DEMOS: Readonly<Record<string, string>> = { booked: "Booked", held: "Held", no_show: "No-show", cancelled: "Cancelled" };
const LINES: Readonly<Record<string, string>> = { matches: "Matches", booked: "Demos booked", held: "Demos held", deals: "Deals" };

export function One({ partner, range, own }: { partner: string; range: Range; own: boolean }) {
  // The server narrows what a partner asks; everybody else names the one that is meant.
  const whose: Parameters = { bots: true, internal: true, ...(own ? {} : { where: { field: "partner_id", values: [partner] } }) };
  const now = { ...range, compare: "" as const };
  const totals = useQuestion("partner_figures", { ...whose, by: [] }, range);
  const overTime = useQuestion("partner_figures", { ...whose, by: [range.grain] }, now);
  const told = useTold(partner);
  const name = told.known.value?.partners.find((one) => one.partner_id === partner)?.name ?? "";
  const money = useQuestion("partner_figures", { ...whose, by: ["currency"] }, now);
  const nothing = ["matches", "booked", "held", "no_show", "cancelled", "deals", "feedbacks", "steps_total"].every((name) => !single(totals.value, name))
    && !text(totals.value?.rows[0], totals.value ? place(totals.value, "onboarding") : -1);
  return (
    <>
      <ReportHead {...{ told, partner, own }} zone={range.zone} />
      <div class="tools head">
        {!own && <a href={href("partners")}>← All partners</a>}
        <h2 class="name"><bdi>{visible(partner)}</bdi></h2>
        {name && name !== partner && <span class="muted called"><bdi>{visible(name)}</bdi></span>}
        {totals.value && <Joining answer={totals.value} />}
      </div>
      <div class="grid lead">
        <div class="grid left">
          <Card id="figures" tall={[45, 143]} title={own ? "Your figures" : "Figures"} data={totals} zone={range.zone} empty={nothing} definition={DEFINITION}
            hint="No match, demo, deal or feedback in this range.">
            {(answer) => <Figures figures={figures(answer)} than={range.compare ? COMPARES[range.compare].toLowerCase() : "before"} />}
          </Card>
          <Card id="overtime" tall={213} title="Over time" data={overTime} zone={range.zone} definition={DEFINITION} hint="Nothing happened in this range.">
            {(answer) => <Series data={linesOf(answer, { x: range.grain, values: Object.keys(LINES), over: range, none: 0, labels: LINES })} zone={range.zone} label={`Matches, demos and deals by ${range.grain}`} />}
          </Card>
        </div>
        <ScoreCard {...{ told, partner, own }} zone={range.zone} />
      </div>
      <div class="grid">
        <Demos data={totals} zone={range.zone} />
        <Money data={money} zone={range.zone} />
        <Feedback data={totals} overTime={overTime} range={range} />
        {!own && <Rates partner={partner} range={range} />}
      </div>
      <Section {...{ told, partner, own }} zone={range.zone} />
    </>
  );
}

function figures(answer: Answer): Figure[] {
  const wanted: [string, string, Figure["better"]?][] = [
    ["matches", "Matches", "up"], ["visitors", "People matched"], ["booked", "Demos booked", "up"], ["held", "Demos held", "up"], ["deals", "Deals", "up"],
  ];
  return wanted.map(([name, label, better]) => {
    const at = place(answer, name);
    return { label, name, value: number(answer.rows[0], at), unit: answer.columns[at]?.unit ?? "", doc: answer.columns[at]?.doc ?? "", change: answer.compared?.changes?.[at], ...(better ? { better } : {}) };
  });
}

function Joining({ answer }: { answer: Answer }) {
  const status = text(answer.rows[0], place(answer, "onboarding"));
  const [done, total] = [single(answer, "steps_done"), single(answer, "steps_total")];
  if (!status) return null;
  return <span class="joining"><Joined status={status} />{total !== null && <span class="muted small"> {count(done ?? 0)} of {count(total)} steps of joining</span>}</span>;
}

function Demos({ data, zone }: { data: Question; zone: string }) {
  const none = Object.keys(DEMOS).every((name) => !single(data.value, name));
  return (
    <Card id="demos" tall={180} title="Demos" data={data} zone={zone} empty={none} hint="No demo in this range."
      definition="Demos by what was told of them in the range. One that was booked and held counts in both.">
      {(answer) => <Columns label="Demos by status" height={180} places={Object.entries(DEMOS).map(([name, label]) => {
        const value = single(answer, name) ?? 0;
        return { label, bars: [{ label, value, text: count(value), said: `${label}: ${count(value)}`, ...(name === "no_show" || name === "cancelled" ? { colour: "--c6" } : {}) }] };
      })} />}
    </Card>
  );
}

function Money({ data, zone }: { data: Question; zone: string }) {
  const rows = data.value?.rows.filter((row) => (number(row, place(data.value as Answer, "deals")) ?? 0) > 0) ?? [];
  const answer = data.value;
  return (
    <Card id="deals" title="Deals" data={data} zone={zone} table={answer && { columns: answer.columns, rows }} hint="No deal in this range."
      definition="Deals that were closed in the range and their worth, each currency for itself: money of two currencies is never added.">
      {(found) => (
        <Table columns={found.columns} rows={rows} label="Deals by currency" zone={zone} only={["currency", "deals", "revenue"]} titles={{ revenue: "worth" }} sort="-deals"
          cells={{ currency: (value) => (value === null ? <span class="muted">not told</span> : <bdi>{visible(String(value))}</bdi>), revenue: (_value, row) => <bdi>{visible(worth(found, row))}</bdi> }} />
      )}
    </Card>
  );
}

function Feedback({ data, overTime, range }: { data: Question; overTime: Question; range: Range }) {
  const count_ = single(data.value, "feedbacks") ?? 0;
  return (
    <Card id="feedback" tall={186} title="Feedback" data={data} zone={range.zone} empty={!count_} hint="Nobody gave feedback in this range." questions={[data, overTime]}
      definition="Mean of the ratings of the partner as a whole, 1 to 10, that were given in the range, and how many there were. Of few ratings a mean says little.">
      {(answer) => (
        <>
          <dl class="figures"><div><dt>Mean rating</dt><dd data-figure="mean_feedback" data-value={single(answer, "mean_feedback") ?? ""}>{figure("", single(answer, "mean_feedback"))}<span class="change">of 10, {count(count_)} {count_ === 1 ? "rating" : "ratings"}</span></dd></div></dl>
          {!overTime.value && !overTime.refused && <Waiting tall={140} />}
          {overTime.value && <Series data={linesOf(overTime.value, { x: range.grain, values: ["mean_feedback"], over: range, labels: { mean_feedback: "Mean rating" } })} zone={range.zone} label={`Mean rating by ${range.grain}`} height={140} />}
        </>
      )}
    </Card>
  );
}
