// Retention: who comes back, cohort by cohort and all together; who is new, stays and falls away.

import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { href, usePlace, useQuery } from "../shell/place";
import { useRange } from "../shell/range";
import { useKinds } from "../steps/fields";
import "../steps/steps.css";
import { Active, Lifecycle, Stickiness } from "./activity";
import { type Back, UNITS, parametersOf, useBack } from "./back";
import { Cohorts } from "./cohorts";
import { Curve } from "./curve";
import { Pickers } from "./pickers";
import "./retention.css";

const TABS = { cohorts: "Cohorts", lifecycle: "Lifecycle", stickiness: "Stickiness", active: "Active" } as const;

export default function Page() {
  const range = { ...useRange(), compare: "" as const }; // cohorts of two ranges would overlap
  const kinds = useKinds();
  const [said] = useQuery("tab", "cohorts");
  const tab = said in TABS ? (said as keyof typeof TABS) : "cohorts";
  const of = useBack(tab === "stickiness" || range.grain === "hour" ? "day" : "week");
  const people = UNITS[of.unit] ?? of.unit;
  const { query } = usePlace();
  const kept = Object.fromEntries(["start", "back", "grain", "kind", "cohort", "unit", "by"].map((name) => [name, query.get(name)]));
  const shared = { of, range, people };
  return (
    <div class="retention">
      <nav class="tabs" aria-label="Views of retention">
        {Object.entries(TABS).map(([name, title]) => (
          <a key={name} href={href("retention", { ...kept, tab: name === "cohorts" ? null : name })} {...(name === tab ? { "aria-current": "page" as const } : {})}>{title}</a>
        ))}
      </nav>
      <Pickers of={of} range={range} kinds={kinds} cohorts={tab === "cohorts"} />
      <div class="grid">
        {tab === "cohorts" && <Both {...shared} />}
        {tab === "lifecycle" && <Lifecycle {...shared} />}
        {tab === "stickiness" && <Stickiness {...shared} />}
        {tab === "active" && <Active {...shared} />}
      </div>
    </div>
  );
}

function Both({ of, range, people }: { of: Back; range: ReturnType<typeof useRange>; people: string }) {
  const parameters = parametersOf(of);
  const table = useQuestion("retention", parameters, range);
  const curve = useQuestion("retention_curve", parameters, range);
  const when = { on: `in just that ${of.grain}`, on_or_after: `in that ${of.grain} or later` }[of.kind];
  return (
    <>
      <Card id="curve" tall={214} title="All cohorts together" note={`by ${of.grain} after the start`} class="wide" data={curve} zone={range.zone}
        definition={`Of all ${people} that started, those that came back ${when}. Only cohorts whose ${of.grain} was over count, so newer ones do not pull the curve down.`}>
        {(answer) => <Curve answer={answer} by={of.by} grain={of.grain} people={people} />}
      </Card>
      <Card id="cohorts" tall={200} title="Cohorts" note={`by ${of.grain} of the start`} class="wide" data={table} zone={range.zone}
        definition={`${people} by the ${of.grain} in which they started, and the share of them that came back ${when}.`}>
        {(answer) => <Cohorts answer={answer} by={of.by} grain={of.grain} people={people} />}
      </Card>
    </>
  );
}
