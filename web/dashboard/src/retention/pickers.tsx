// What counts as a start and as coming back, and how periods are cut.

import type { Range } from "../shell/range";
import { setQuery } from "../shell/place";
import { visible } from "../text";
import { FieldPick } from "../steps/fields";
import { StepLine } from "../steps/stepline";
import type { Kinds } from "../steps/step";
import { type Back, COHORTS, GRAINS, KINDS, UNITS, setStep } from "./back";

interface Props {
  of: Back;
  range: Range;
  kinds: Kinds;
  /** Whether there is a start and a return, or only being active. */
  cohorts: boolean;
}

export function Pickers({ of, range, kinds, cohorts }: Props) {
  const put = (name: string, usual: string) => (value: string) => setQuery({ [name]: value === usual ? null : value });
  return (
    <section class="card builder" aria-label="Who and when">
      <div class="two">
        {cohorts && (
          <div><h2 class="small">Who starts with</h2>
            <StepLine step={of.start} name="Start" named={false} range={range} kinds={kinds} onChange={(step) => setStep("start", step)} /></div>
        )}
        <div><h2 class="small">{cohorts ? "and comes back with" : "Being active is"}</h2>
          <StepLine step={of.back} name={cohorts ? "Coming back" : "Being active"} named={false} range={range} kinds={kinds} onChange={(step) => setStep("back", step)} /></div>
      </div>
      <div class="options-row">
        <Choice name="Periods" value={of.grain} options={GRAINS} onPick={put("grain", "")} />
        {cohorts && <Choice name="Back in" value={of.kind} options={KINDS} onPick={put("kind", "on")} />}
        {cohorts && <Choice name="Start is" value={of.cohort} options={COHORTS} onPick={put("cohort", "first")} />}
        <Choice name="Count" value={of.unit} options={of.unit in UNITS ? UNITS : { ...UNITS, [of.unit]: visible(of.unit) }} onPick={put("unit", "person")} />
        {cohorts && (
          <label class="inlinefield"><span>Compare by</span>
            <FieldPick value={of.by} label="Field that segments are compared by" kinds={kinds} placeholder="device, country …" onPick={(by) => setQuery({ by: by || null })} />
          </label>
        )}
      </div>
    </section>
  );
}

function Choice({ name, value, options, onPick }: { name: string; value: string; options: Readonly<Record<string, string>>; onPick: (value: string) => void }) {
  return (
    <label class="inlinefield"><span>{name}</span>
      <select value={value} onChange={(event) => onPick(event.currentTarget.value)}>
        {Object.entries(options).map(([option, words]) => <option key={option} value={option}>{words}</option>)}
      </select>
    </label>
  );
}
