// Where a funnel is put together: its steps in their order, and how they are counted.

import { useEffect, useRef, useState } from "preact/hooks";
import { Waiting } from "../card/card";
import { Menu } from "../card/menu";
import type { Range } from "../shell/range";
import { visible } from "../text";
import { FieldPick } from "../steps/fields";
import { StepLine } from "../steps/stepline";
import { type Kinds, type Step, blank, titleOf } from "../steps/step";
import { Typed } from "../steps/typed";
import { type Funnel, MOST_STEPS, ORDERS, type Order, type ReadyFunnels, SPANS, UNITS, readySteps, setFunnel } from "./funnel";

interface Props {
  funnel: Funnel;
  range: Range;
  kinds: Kinds;
  ready: ReadyFunnels | null;
  /** Whether a funnel to begin with is looked for. */
  looking?: boolean;
}

export function Builder({ funnel, range, kinds, ready, looking = false }: Props) {
  const { steps } = funnel;
  const [said, setSaid] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const goTo = useRef(-1);
  useEffect(() => {
    const item = goTo.current >= 0 ? list.current?.children[goTo.current] : null;
    goTo.current = -1;
    item?.querySelector("input")?.focus();
  });
  const put = (next: Step[], words: string) => {
    setFunnel({ steps: next });
    setSaid(words);
  };
  const move = (at: number, by: number) => {
    const to = at + by;
    const moved = steps[at];
    if (!moved || to < 0 || to >= steps.length) return;
    const next = steps.filter((_, n) => n !== at);
    next.splice(to, 0, moved);
    goTo.current = to;
    put(next, `${titleOf(moved)} is now step ${to + 1} of ${steps.length}.`);
  };
  const remove = (at: number) => {
    const gone = steps[at];
    goTo.current = Math.max(0, at - 1);
    put(steps.filter((_, n) => n !== at), gone ? `${titleOf(gone)} is no step any more.` : "");
  };
  const add = () => {
    goTo.current = steps.length;
    put([...steps, blank("*")], `Step ${steps.length + 1} added.`);
  };
  const pressed = (event: KeyboardEvent, at: number) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || by === undefined) return;
    event.preventDefault();
    move(at, by);
  };
  return (
    <section class="card builder" aria-label="Steps">
      <div class="cardhead">
        <h2>Steps</h2>
        <span class="muted small when">Alt ↑ ↓ moves a step</span>
        <span class="space" />
        {(ready?.funnels.length ?? 0) > 0 && (
          <Menu label="Ready funnels" items={(ready?.funnels ?? []).map((each) => ({
            label: `${visible(each.name)} (${each.steps.length} steps)`,
            act: () => {
              setFunnel({ steps: readySteps(each), within: each.within });
              setSaid(`${each.name} chosen.`);
            },
          }))}>Ready funnels</Menu>
        )}
      </div>
      <span class="sr" role="status">{said}</span>
      {ready?.note && <p class="note small">{visible(ready.note)}</p>}
      {looking && <Waiting tall={[232, 560]} />}
      <ol class="steplist" ref={list}>
        {steps.map((step, n) => (
          <li key={n} onKeyDown={(event) => pressed(event, n)}>
            <span class="place" aria-hidden="true">{n + 1}</span>
            <StepLine step={step} name={`Step ${n + 1}`} range={range} kinds={kinds} onChange={(next) => setFunnel({ steps: steps.map((each, m) => (m === n ? next : each)) })}>
              <span class="moves">
                <button type="button" class="icon" aria-label={`Move step ${n + 1} up`} title="Up" disabled={n === 0} onClick={() => move(n, -1)}>↑</button>
                <button type="button" class="icon" aria-label={`Move step ${n + 1} down`} title="Down" disabled={n === steps.length - 1} onClick={() => move(n, 1)}>↓</button>
                <button type="button" class="icon" aria-label={`Remove step ${n + 1}`} title="Remove" onClick={() => remove(n)}>×</button>
              </span>
            </StepLine>
          </li>
        ))}
      </ol>
      <div class="tools">
        <button type="button" class="button" disabled={steps.length >= MOST_STEPS} onClick={add}>Add a step</button>
        {funnel.order === "ordered" && (
          <button type="button" class="button" disabled={funnel.exclude.length >= 10} onClick={() => setFunnel({ exclude: [...funnel.exclude, blank("*")] })}>Add an exclusion</button>
        )}
      </div>
      {funnel.order === "ordered" && funnel.exclude.length > 0 && <Exclusions funnel={funnel} range={range} kinds={kinds} />}
      <Options funnel={funnel} kinds={kinds} />
    </section>
  );
}

function Exclusions({ funnel, range, kinds }: Omit<Props, "ready">) {
  const change = (at: number, step: Step | null) => setFunnel({ exclude: funnel.exclude.flatMap((each, n) => (n === at ? (step ? [step] : []) : [each])) });
  return (
    <ul class="steplist" aria-label="What must not happen between steps">
      {funnel.exclude.map((step, n) => (
        <li key={n}>
          <span class="place" aria-hidden="true">≠</span>
          <StepLine step={step} name={`Exclusion ${n + 1}`} named={false} range={range} kinds={kinds} onChange={(next) => change(n, next)}>
            <select aria-label={`Exclusion ${n + 1}: where it must not happen`} value={String(step.after ?? 0)}
              onChange={(event) => change(n, { ...step, after: Number(event.currentTarget.value) })}>
              <option value="0">between all steps</option>
              {funnel.steps.slice(0, -1).map((_, m) => <option key={m} value={String(m + 1)}>after step {m + 1}</option>)}
            </select>
            <button type="button" class="icon" aria-label={`Remove exclusion ${n + 1}`} title="Remove" onClick={() => change(n, null)}>×</button>
          </StepLine>
        </li>
      ))}
    </ul>
  );
}

function Options({ funnel, kinds }: { funnel: Funnel; kinds: Kinds }) {
  const [span, seconds] = Object.entries(SPANS).filter(([, each]) => funnel.within % each === 0).pop() ?? ["minutes", 60];
  return (
    <div class="options-row">
      <label class="inlinefield"><span>Steps come</span>
        <select value={funnel.order} onChange={(event) => setFunnel({ order: event.currentTarget.value as Order })}>
          {Object.entries(ORDERS).map(([order, words]) => <option key={order} value={order}>{words}</option>)}
        </select>
      </label>
      <span class="inlinefield"><span>within</span>
        <Typed type="number" min={1} max={366} label="How long from the first step to the last" value={`${funnel.within / seconds}`}
          onValue={(text) => Number(text) > 0 && setFunnel({ within: Math.round(Number(text)) * seconds })} />
        <select aria-label="Unit of that time" value={span} onChange={(event) => setFunnel({ within: (funnel.within / seconds) * (SPANS[event.currentTarget.value as keyof typeof SPANS] ?? 60) })}>
          {Object.keys(SPANS).map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
      </span>
      <label class="inlinefield"><span>Count</span>
        <select value={funnel.unit} onChange={(event) => setFunnel({ unit: event.currentTarget.value })}>
          {Object.entries(UNITS).map(([unit, words]) => <option key={unit} value={unit}>{words}</option>)}
          {!(funnel.unit in UNITS) && <option value={funnel.unit}>{visible(funnel.unit)}</option>}
        </select>
      </label>
      <label class="inlinefield"><span>Compare by</span>
        <FieldPick value={funnel.by} label="Field that segments are compared by" kinds={kinds} placeholder="device, country …" onPick={(by) => setFunnel({ by })} />
      </label>
    </div>
  );
}
