// What AI costs: the sum, over time beside the budgets, and where its tokens went.

import { type Answer, number, place, single } from "../ask/answer";
import { type Data, type Question, useData } from "../ask/question";
import { Card, Nothing, Waiting } from "../card/card";
import { type Figure, Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { COMPARES } from "../shell/range";
import { count, percent, visible } from "../text";
import { figure, moment } from "../unit";
import type { Scope } from "./only";

interface Budget {
  name: string;
  amount: number;
  currency: string;
  per: string;
  warn_at: number;
  since: string;
  used: number;
  left: number;
  share: number;
  state: "within" | "warned" | "over";
}
interface Budgets {
  zone: string;
  budgets: Budget[];
}

const EXAMPLE = `from lakeward import Collector
from lakeward.ai import AI

ai = AI(Collector.from_env())
with ai.conversation("c5", feature="coach", model="gpt-4o") as turn:
    turn.ask(messages)
    answer = turn.answer(client.chat.completions.create(model="gpt-4o", messages=messages))`;

const BUCKETS: Readonly<Record<string, string>> = {
  input_tokens: "Input", cache_read_tokens: "Read from cache", cache_write_tokens: "Written to cache", output_tokens: "Output",
  reasoning_tokens: "Reasoning", audio_input_tokens: "Audio in", audio_output_tokens: "Audio out", image_tokens: "Images",
};

export function Spend({ range, only, grain, totals, overTime }: Scope & { totals: Question; overTime: Question }) {
  const budgets = useData<Budgets>("alerts", "/budgets");
  const none = single(totals.value, "turns") === null;
  return (
    <>
      <Card id="spend" tall={[245, 343]} title="Spend" data={totals} questions={[totals, overTime]} empty={none} zone={range.zone}
        hint={<Nothing snippet={EXAMPLE} words="No turn of an AI in this range. Tell of the first one:" />}
        definition="What turns of AI cost in USD, by the prices that were in force, each turn once. Turns that have tokens and no price are counted apart and cost nothing here. A conversation's cost is that of conversations of which a turn has a price.">
        {(answer) => (
          <>
            <Figures figures={figures(answer)} than={range.compare ? COMPARES[range.compare].toLowerCase() : "before"} />
            <Marked answer={answer} />
            {overTime.value ? <OverTime answer={overTime.value} budgets={budgets.value} {...{ range, only, grain }} /> : !overTime.refused && <Waiting tall={190} />}
          </>
        )}
      </Card>
      <BudgetCard budgets={budgets} zone={range.zone} />
    </>
  );
}

function figures(answer: Answer): Figure[] {
  const wanted: [string, string, Figure["better"]?][] = [
    ["cost_usd", "Spend", "down"], ["turns", "Turns"], ["conversations", "Conversations"],
    ["cost_per_conversation_usd", "Per conversation", "down"], ["total_tokens", "Tokens"],
  ];
  return wanted.map(([name, label, better]) => {
    const at = place(answer, name);
    const column = answer.columns[at];
    return {
      label, name, value: number(answer.rows[0], at), unit: column?.unit ?? "", doc: column?.doc ?? "",
      change: answer.compared?.changes?.[at], ...(better ? { better } : {}),
    };
  });
}

/** What makes the sum less than sure. */
function Marked({ answer }: { answer: Answer }) {
  const unpriced = single(answer, "unpriced_turns") ?? 0;
  const estimated = single(answer, "estimated_share") ?? 0;
  const unknown = single(answer, "unknown_turns") ?? 0;
  if (!unpriced && !estimated && !unknown) return null;
  return (
    <p class="tools marked small">
      {unpriced > 0 && <span class="tag bad" data-mark="unpriced">{count(unpriced)} without a price</span>}
      {estimated > 0 && <span class="tag" data-mark="estimated">{percent(estimated)} of tokens estimated</span>}
      {unknown > 0 && <span class="tag" data-mark="unknown">{count(unknown)} whose tokens nobody knows</span>}
    </p>
  );
}

function OverTime({ answer, budgets, range, grain }: Scope & { answer: Answer; budgets: Budgets | null }) {
  const lines = linesOf(answer, { x: grain, values: ["cost_usd"], over: range, none: 0, labels: { cost_usd: "Spend" } });
  // A day's budget is a line only where points are days of the same zone.
  const daily = grain === "day" && budgets?.zone === range.zone ? budgets.budgets.filter((budget) => budget.per === "day") : [];
  const limits = daily.map((budget) => ({ label: `Budget ${budget.name}`, values: lines.x.map(() => budget.amount) }));
  return <Series data={lines} zone={range.zone} kind="bars" label={`Spend by ${grain}`} limits={limits} before={range.compare ? COMPARES[range.compare] : ""} />;
}

export function Tokens({ answer, grain, range }: Scope & { answer: Question }) {
  const columns = answer.value?.columns ?? [];
  const used = Object.keys(BUCKETS).filter((name) => answer.value?.rows.some((row) => (number(row, columns.findIndex((c) => c.name === name)) ?? 0) > 0));
  return (
    <Card id="tokens" tall={213} title="Tokens" data={answer} zone={range.zone}
      definition="Tokens by what they were spent on; no token is in two of these. Of turns whose tokens were estimated, the estimate."
      hint="No turn of an AI in this range.">
      {(found) => used.length
        ? <Series data={linesOf(now(found), { x: grain, values: used, over: range, none: 0, labels: BUCKETS })} zone={range.zone} kind="stack" label={`Tokens by ${grain}`} />
        : <p class="nothing muted">Nobody told how many tokens there were.</p>}
    </Card>
  );
}

/** Without what it is compared with: a stack has no room for it. */
function now({ compared: _before, ...answer }: Answer): Answer {
  return answer;
}

function BudgetCard({ budgets, zone }: { budgets: Data<Budgets>; zone: string }) {
  return (
    <Card id="budgets" tall={172} title="Budgets" data={budgets} table={null} empty={budgets.value?.budgets.length === 0}
      definition="What was spent since the day or month began, in the zone of alerts.toml, against each [[budget]] there. It counts all of AI, whatever the page is narrowed to."
      hint={<Nothing snippet={'[[budget]]\nname = "AI"\namount = 50\nper = "day"'} words="No budget yet. It stands in alerts.toml:" />}>
      {(found) => (
        <ul class="budgets">
          {found.budgets.map((budget) => (
            <li key={budget.name} data-budget={budget.name} data-state={budget.state}>
              <p><b><bdi>{visible(budget.name)}</bdi></b> <span class="muted">this {budget.per}</span><span class="space" />
                <span>{figure(budget.currency, budget.used)} of {figure(budget.currency, budget.amount)}</span> <b class={budget.state === "over" ? "bad" : budget.state === "warned" ? "warn" : ""}>{percent(budget.share)}</b></p>
              <div class={`meter ${budget.state}`} role="meter" aria-label={`Budget ${visible(budget.name)}`} aria-valuemin={0} aria-valuemax={100}
                aria-valuenow={Math.min(100, Math.round(budget.share * 100))} aria-valuetext={`${percent(budget.share)} used`}>
                <span style={{ width: `${Math.min(100, budget.share * 100)}%` }} />
              </div>
              <p class="muted small">
                {budget.state === "over" ? `${figure(budget.currency, -budget.left)} over` : `${figure(budget.currency, budget.left)} left`}; since {moment(budget.since, zone)}, told at {percent(budget.warn_at)}
              </p>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
