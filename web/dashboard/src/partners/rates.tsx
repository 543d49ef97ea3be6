// What became of a partner's matches, with intervals: worked out over everybody's records, so that
// it is not for the partner itself.

import { type Answer, number, place, single } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import type { Range } from "../shell/range";
import { percent } from "../text";
import { figure, seconds } from "../unit";

const RATES: Readonly<Record<string, string>> = { booked: "Booked a demo", held: "Had a demo", won: "Became a deal" };

function Wait({ days }: { days: number | null }) {
  return days === null ? null : <>Median {seconds(days * 86_400)} from match to deal. </>;
}

export function Rates({ partner, range }: { partner: string; range: Range }) {
  const found = useQuestion("partner_performance", { only: { partner: [partner] } }, { ...range, compare: "" });
  return (
    <Card id="matches" title="What became of matches" data={found} zone={range.zone} empty={!single(found.value, "matches")} hint="No match in this range."
      definition="Of the matches that were made in the range, those after which a demo was booked or held, or a deal was closed, whenever that was; with Wilson's 95 % interval. Days are from the match to the deal, where the match is known.">
      {(answer) => (
        <>
          <ul class="rates">
            {Object.entries(RATES).map(([name, label]) => <Rate key={name} answer={answer} name={name} label={label} />)}
          </ul>
          <p class="muted small">
            <Wait days={single(answer, "days_p50")} />
            {single(answer, "mean_score") !== null && <>Mean score of the matches {figure("", single(answer, "mean_score"))} of 100.</>}
          </p>
        </>
      )}
    </Card>
  );
}

function Rate({ answer, name, label }: { answer: Answer; name: string; label: string }) {
  const [rate, low, high] = ["rate", "low", "high"].map((end) => number(answer.rows[0], place(answer, `${name}_${end}`)) ?? 0) as [number, number, number];
  return (
    <li data-rate={name} data-value={rate}>
      <p><span>{label}</span><span class="space" /><b>{percent(rate)}</b> <span class="muted small">{percent(low)} to {percent(high)}</span></p>
      <div class="interval" aria-hidden="true">
        <span class="reach" style={{ left: `${low * 100}%`, width: `${(high - low) * 100}%` }} />
        <span class="point" style={{ left: `${rate * 100}%` }} />
      </div>
    </li>
  );
}
