// What to look for. Typing waits a moment before it asks the server.

import { useEffect, useRef, useState } from "preact/hooks";
import { visible } from "../text";
import { type Filter, isOpen } from "./filter";

const CLASSES = ["2xx", "3xx", "4xx", "5xx"];
const TYPING_MS = 250;

interface Props {
  filter: Filter;
  onChange: (part: Partial<Filter>) => void;
  onClear: () => void;
}

export function Filters({ filter, onChange, onClear }: Props) {
  const chosen = filter.status.split(",").filter(Boolean);
  const toggle = (name: string) => {
    const next = chosen.includes(name) ? chosen.filter((c) => c !== name) : [...chosen, name];
    onChange({ status: next.sort().join(",") });
  };
  return (
    <search class="filters">
      <Typed id="search" label="Search in records" hint="Search  /" value={filter.q} onValue={(q) => onChange({ q })} />
      <Typed id="who" label="User, session, trace or interaction id" hint="User, session or trace id" value={filter.id} onValue={(id) => onChange({ id })} />
      <div class="classes" role="group" aria-label="Status">
        {CLASSES.map((name) => (
          <button type="button" key={name} class={`chip s${name[0]}`} aria-pressed={chosen.includes(name)} onClick={() => toggle(name)}>
            {name}
          </button>
        ))}
      </div>
      {(["type", "route"] as const).map((name) => filter[name] && (
        <button type="button" key={name} class="chip chosen" onClick={() => onChange({ [name]: "" })} aria-label={`Remove the filter ${name} ${visible(filter[name])}`}>
          <bdi>{visible(filter[name])}</bdi> <span aria-hidden="true">×</span>
        </button>
      ))}
      {!isOpen(filter) && <button type="button" class="link" onClick={onClear}>Clear</button>}
    </search>
  );
}

interface TypedProps {
  id: string;
  label: string;
  hint: string;
  value: string;
  onValue: (value: string) => void;
}

function Typed({ id, label, hint, value, onValue }: TypedProps) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  const type = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => onValue(next.trim().slice(0, 300)), TYPING_MS);
  };
  const leave = (event: KeyboardEvent & { currentTarget: HTMLInputElement }) => {
    if (event.key === "Escape") {
      if (text) type("");
      else event.currentTarget.blur();
    }
  };
  return (
    <input id={id} type="search" aria-label={label} placeholder={hint} value={text} autocomplete="off"
      spellcheck={false} maxlength={300} onInput={(event) => type(event.currentTarget.value)} onKeyDown={leave} />
  );
}
