// Funnels: how many go through steps, where they drop, how long it takes, and who they are.

import { useMe, partnerOf } from "../ask/person";
import { type Parameters, useData, useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { useQuery } from "../shell/place";
import { useRange } from "../shell/range";
import { useKinds } from "../steps/fields";
import "../steps/steps.css";
import { Builder } from "./builder";
import { Conversion } from "./conversion";
import { Dropped } from "./dropped";
import "./funnels.css";
import { type ReadyFunnels, parametersOf, unitName, useFunnel } from "./funnel";
import { Over, Times } from "./times";

export default function Page() {
  const range = useRange();
  const still = { ...range, compare: "" as const };
  const kinds = useKinds();
  const partner = partnerOf(useMe()) !== "";
  const span = new URLSearchParams({ since: range.since, until: range.until });
  const ready = useData<ReadyFunnels>("suggest", `/funnels?${span}`, false);
  const funnel = useFunnel(ready.value?.funnels[0]);
  const [chosen, setChosen] = useQuery("step", "1");
  const parameters = parametersOf(funnel);
  const grain = range.grain;
  const with_ = (more: Parameters): Parameters | null => parameters && { ...parameters, ...more };
  const whole = useQuestion("funnel", with_(funnel.by ? { by: [funnel.by] } : {}), funnel.by ? still : range);
  const all = useQuestion("funnel", with_({}), still);
  const times = useQuestion("funnel_times", with_({}), still);
  const over = useQuestion("funnel", with_({ by: [grain] }), still);
  const people = unitName(funnel.unit);
  const step = Number(chosen) || 1;
  const looking = !parameters && !funnel.steps.length && ready.busy && !ready.value;
  return (
    <div class="funnels">
      <Builder funnel={funnel} range={range} kinds={kinds} ready={ready.value} looking={looking} />
      {!parameters && (
        <section class="card nothing" aria-label="No funnel yet">
          {looking ? <div class="waiting" role="status"><span class="sr">Looking for flows of this lake…</span><span class="shimmer" aria-hidden="true" /></div> : <p>Choose two steps or more, or a ready funnel: what people do first, and what should follow.</p>}
        </section>
      )}
      {parameters && (
        <div class="grid">
          <Card id="conversion" tall={440} title="Conversion" class="wide" note={`${people} that reach each step`} data={whole} zone={range.zone}
            definition={`How many ${people} reach each step within the time, of those who reach the first. A later start that completes wins over an earlier one that does not. The pale part of a bar is those who dropped.`}>
            {(answer) => <Conversion answer={answer} by={funnel.by} people={people} chosen={step} onChoose={(at) => setChosen(String(at))} />}
          </Card>
          <Times times={times} funnel={all} people={people} zone={range.zone} />
          <Over question={over} steps={funnel.steps.length} grain={grain} range={range} />
          {!partner && <Dropped funnel={funnel} range={range} step={step} onStep={(at) => setChosen(String(at))} />}
        </div>
      )}
    </div>
  );
}
