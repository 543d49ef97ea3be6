// One step: its type, what must hold of it, and its name.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Range } from "../shell/range";
import { visible } from "../text";
import { FieldPick } from "./fields";
import { Pick } from "./pick";
import { type Condition, type Kinds, OPS, type Op, type Step, said, takesValues, term } from "./step";
import { Typed } from "./typed";

interface Props {
  step: Step;
  /** What it is, for those who do not see where it stands: "Step 2". */
  name: string;
  range: Range;
  kinds: Kinds;
  onChange: (step: Step) => void;
  /** Right of the type: moving, removing. */
  children?: ComponentChildren;
  /** Whether it may have a name of its own. */
  named?: boolean;
}

export function StepLine({ step, name, range, kinds, onChange, children, named = true }: Props) {
  const [open, setOpen] = useState(false);
  const change = (at: number, condition: Condition | null) => {
    const conditions = step.conditions.flatMap((each, n) => (n === at ? (condition ? [condition] : []) : [each]));
    onChange({ ...step, conditions: at < step.conditions.length ? conditions : [...conditions, ...(condition ? [condition] : [])] });
  };
  return (
    <div class="stepline">
      <div class="stephead">
        <Pick field="interaction_type" value={step.event === "*" ? "" : step.event} label={`${name}: type of interaction`} range={range}
          placeholder={step.event === "*" ? "any interaction" : "type, such as page_view"} onPick={(event) => onChange({ ...step, event: event.trim() || "*" })} />
        <button type="button" class="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {step.conditions.length || step.label ? "Details" : "Filter"}<span class="sr"> of {name}</span>
        </button>
        {children}
      </div>
      {!open && (step.label || step.conditions.length > 0) && (
        <p class="muted small chips">
          {step.label && <span class="tag"><bdi>{visible(step.label)}</bdi></span>}
          {step.conditions.map((each, n) => <span class="tag" key={n}><bdi>{visible(said(each))}</bdi></span>)}
        </p>
      )}
      {open && (
        <div class="details">
          {step.conditions.map((each, n) => (
            <Line key={n} condition={each} name={`${name}, condition ${n + 1}`} event={step.event} range={range} kinds={kinds} onChange={(next) => change(n, next)} />
          ))}
          <div class="tools">
            <button type="button" class="button" onClick={() => change(step.conditions.length, { field: "path", op: "is", values: [] })}>Add a condition</button>
            {named && (
              <label class="inlinefield"><span>Name</span>
                <Typed type="text" maxLength={200} label={`${name}: name`} value={step.label} onValue={(label) => onChange({ ...step, label })} />
              </label>
            )}
          </div>
        </div>
      )}
    </div>
  );
}

/** What is typed stays when the page is drawn anew meanwhile. */
interface LineProps {
  condition: Condition;
  name: string;
  event: string;
  range: Range;
  kinds: Kinds;
  onChange: (condition: Condition | null) => void;
}

function Line({ condition, name, event, range, kinds, onChange }: LineProps) {
  const kind = kinds.get(condition.field) ?? "text";
  return (
    <div class="condition" role="group" aria-label={name}>
      <FieldPick value={condition.field} label={`${name}: field`} kinds={kinds} onPick={(field) => onChange({ ...condition, field, values: [] })} />
      <select aria-label={`${name}: comparison`} value={condition.op} onChange={(changed) => onChange({ ...condition, op: changed.currentTarget.value as Op })}>
        {Object.entries(OPS).map(([op, words]) => <option key={op} value={op}>{words}</option>)}
      </select>
      {takesValues(condition.op) && (
        <Pick field={condition.field} event={event === "*" ? "" : event} value={String(condition.values[0] ?? "")} label={`${name}: value`} range={range} placeholder="value"
          onPick={(text) => onChange({ ...condition, values: [term(text, condition.op, kind)] })} />
      )}
      <button type="button" class="icon" aria-label={`Remove ${name}`} title="Remove" onClick={() => onChange(null)}>×</button>
    </div>
  );
}
