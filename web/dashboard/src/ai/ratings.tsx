// What people think of the answers: the share that found them helpful, with how sure that is.

import { useQuestion } from "../ask/question";
import { type Answer, number, place, single } from "../ask/answer";
import { Card, Nothing } from "../card/card";
import { Bars } from "../chart/bars";
import { Table } from "../chart/table";
import { count, percent, visible } from "../text";
import { figure } from "../unit";
import { interval } from "./errors";
import type { Scope } from "./only";

const EXAMPLE = "ai.rate(turn.interaction_id, helpful=True)";

export function Ratings({ range, only }: Scope) {
  const now = { ...range, compare: "" as const };
  const whole = useQuestion("ai_ratings", { only }, now);
  const models = useQuestion("ai_ratings", { by: ["model"], only }, now);
  const reasons = useQuestion("ai_ratings", { by: ["reason"], only }, now);
  const told = reasons.value?.rows.filter((row) => row[0] !== null) ?? [];
  return (
    <Card id="ratings" tall={92} title="Ratings" data={whole} questions={[whole, models, reasons]} empty={!single(whole.value, "ratings")} zone={range.zone}
      hint={<Nothing snippet={EXAMPLE} words="Nobody rated an answer in this range." />}
      definition="The last word of each rater on each turn, in the range in which it was given. The interval is Wilson's, at 95 %: of few ratings it is wide, and two shares whose intervals overlap need not differ.">
      {(answer) => (
        <>
          <Share answer={answer} />
          {models.value && models.value.rows.length > 1 && (
            <Table columns={models.value.columns} rows={models.value.rows} label="Ratings by model" zone={range.zone}
              only={["model", "helpful_rate", "ratings", "mean_rating"]} titles={{ helpful_rate: "helpful", mean_rating: "stars" }}
              cells={{ helpful_rate: (value, row) => typeof value === "number" ? <>{percent(value)} <span class="muted small">{interval(models.value as Answer, "helpful", row)}</span></> : "–" }} />
          )}
          {reasons.value && told.length > 0 && <><h3>Reasons</h3><Bars answer={{ ...reasons.value, rows: told }} name="reason" value="ratings" label="Reasons that were chosen" most={5} /></>}
        </>
      )}
    </Card>
  );
}

/** The share as a point on a line from nobody to everybody, with its interval. */
function Share({ answer }: { answer: Answer }) {
  const [rate, low, high] = ["helpful_rate", "helpful_low", "helpful_high"].map((name) => number(answer.rows[0], place(answer, name)));
  const stars = single(answer, "mean_rating");
  const said = `${count(single(answer, "helpful") ?? 0)} helpful, ${count(single(answer, "unhelpful") ?? 0)} not`;
  return (
    <div class="share">
      <dl class="figures">
        <div><dt>Helpful</dt><dd data-figure="helpful_rate" data-value={rate ?? ""}>{figure("0 to 1", rate ?? null)}<span class="change">{interval(answer, "helpful")}</span></dd></div>
        {stars !== null && <div><dt>Stars</dt><dd data-figure="mean_rating" data-value={stars}>{figure("", stars)}<span class="change">of 5</span></dd></div>}
        <div><dt>Ratings</dt><dd data-figure="ratings" data-value={single(answer, "ratings") ?? ""}>{count(single(answer, "ratings") ?? 0)}</dd></div>
      </dl>
      {typeof rate === "number" && typeof low === "number" && typeof high === "number" && (
        <div class="interval" role="img" aria-label={visible(`${percent(rate)} helpful, between ${interval(answer, "helpful")}; ${said}`)}>
          <span class="reach" style={{ left: `${low * 100}%`, width: `${(high - low) * 100}%` }} />
          <span class="point" style={{ left: `${rate * 100}%` }} />
        </div>
      )}
      <p class="muted small">{said}</p>
    </div>
  );
}
