// Who is active: new, staying, coming back and falling away; on how many days; of a week and a month.

import { number, place, single } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Columns } from "../chart/columns";
import { Figures } from "../chart/figures";
import { linesOf, nowOf } from "../chart/lines";
import { Series } from "../chart/series";
import type { Range } from "../shell/range";
import { asked } from "../steps/step";
import { count, percent } from "../text";
import { type Back, GRAINS } from "./back";

interface Props {
  of: Back;
  range: Range;
  people: string;
}

export function Lifecycle({ of, range, people }: Props) {
  const found = useQuestion("lifecycle", { active: asked(of.back), unit: of.unit, grain: of.grain }, range);
  return (
    <Card id="lifecycle" tall={213} title="Lifecycle" note={`${people} by ${of.grain}`} class="wide" data={found} zone={range.zone}
      definition={`New: active for the first time. Returning: active in the ${of.grain} before, too. Resurrecting: active again after a pause. Dormant: active in the ${of.grain} before, not in this.`}>
      {(answer) => <Series data={linesOf(answer, { values: ["new", "returning", "resurrecting", "dormant"] })} zone={range.zone} label="Lifecycle" height={260} />}
    </Card>
  );
}

export function Stickiness({ of, range, people }: Props) {
  const found = useQuestion("stickiness", { active: asked(of.back), unit: of.unit, grain: of.grain }, range);
  return (
    <Card id="stickiness" tall={213} title="Stickiness" note={`in how many ${GRAINS[of.grain]}`} class="wide" data={found} zone={range.zone}
      definition={`In how many ${GRAINS[of.grain]} of the range each was active.`}>
      {(answer) => {
        const at = (name: string) => place(answer, name);
        return (
          <Columns label="Stickiness" height={240} places={answer.rows.map((row) => {
            const [periods, units, share, least] = ["periods", "units", "share", "share_at_least"].map((name) => number(row, at(name)) ?? 0);
            const words = `${count(units ?? 0)} ${people}, ${percent(share ?? 0)}, were active in ${periods} ${GRAINS[of.grain]}; ${percent(least ?? 0)} in so many or more`;
            return { label: String(periods), bars: [{ label: "units", value: units ?? 0, text: count(units ?? 0), said: words }] };
          })} />
        );
      }}
    </Card>
  );
}

export function Active({ of, range, people }: Props) {
  const found = useQuestion("active", { active: asked(of.back), unit: of.unit }, range);
  return (
    <Card id="active" tall={213} title="Active" note={`${people} of a day, of 7 and of 30 days`} class="wide" data={found} zone={range.zone}
      definition="Active on a day, in the 7 days and in the 30 days that end with it. The share says how much of a month's people a day has.">
      {(answer) => {
        const days = answer.rows.filter((row) => Date.parse(String(row[place(answer, "day")])) <= nowOf(answer, true));
        const last = { ...answer, rows: days.slice(-1) };
        return (
          <>
            <Figures figures={[
              { label: "Newest day", name: "daily", value: single(last, "daily"), unit: "units" },
              { label: "Its 7 days", name: "weekly", value: single(last, "weekly"), unit: "units" },
              { label: "Its 30 days", name: "monthly", value: single(last, "monthly"), unit: "units" },
              { label: "Day of month", name: "sticky", value: single(last, "daily_of_monthly"), unit: "0 to 1", doc: "Of those of 30 days, the day's." },
            ]} />
            <Series data={linesOf(answer, { x: "day", values: ["daily", "weekly", "monthly"], labels: { daily: "day", weekly: "7 days", monthly: "30 days" } })} zone={range.zone} label="Active" height={240} />
          </>
        );
      }}
    </Card>
  );
}
