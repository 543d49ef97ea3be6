// A field that offers what the lake has: types, routes, values, those that come most first. Anything
// else may be written, too.

import { useEffect, useId, useState } from "preact/hooks";
import { useData } from "../ask/question";
import type { Range } from "../shell/range";
import { count } from "../text";

interface Suggested {
  values: { value: string | number | boolean; events: number }[];
}

interface Props {
  /** Whose values are offered. */
  field: string;
  /** Of interactions of this type alone. */
  event?: string;
  value: string;
  label: string;
  range: Range;
  onPick: (value: string) => void;
  placeholder?: string;
  disabled?: boolean;
}

const PAUSE_MS = 250;

export function Pick({ field, event = "", value, label, range, onPick, placeholder, disabled = false }: Props) {
  const id = useId();
  const [text, setText] = useState(value);
  const [wanted, setWanted] = useState<string | null>(null);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (wanted === null || text === value) return;
    const timer = setTimeout(() => setWanted(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const asked = new URLSearchParams({ field, since: range.since, until: range.until });
  if (event) asked.set("event", event);
  if (wanted) asked.set("q", wanted);
  const found = useData<Suggested>("suggest", wanted === null || !field || disabled ? null : `?${asked}`, false);
  return (
    <>
      <input type="text" class="pick" list={id} value={text} aria-label={label} title={label} placeholder={placeholder ?? ""} autocomplete="off" spellcheck={false}
        disabled={disabled} maxlength={2000} onFocus={() => setWanted((before) => before ?? "")} onInput={(input) => setText(input.currentTarget.value)}
        onChange={(input) => input.currentTarget.value !== value && onPick(input.currentTarget.value)} />
      <datalist id={id}>
        {(found.value?.values ?? []).map((each) => (
          <option key={String(each.value)} value={String(each.value)} label={`${count(each.events)} interactions`} />
        ))}
      </datalist>
    </>
  );
}
