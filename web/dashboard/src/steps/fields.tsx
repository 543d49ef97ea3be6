// Fields that filters and breakdowns take, as the server lists them; paths such as properties.plan may
// be written as well.

import { useEffect, useId, useMemo, useState } from "preact/hooks";
import { useData } from "../ask/question";
import type { Kinds } from "./step";

interface Listed {
  fields: { name: string; kind: string; doc: string }[];
  objects: string[];
}

/** Kinds by name of field; empty until they are there. */
export function useKinds(): Kinds {
  const listed = useData<Listed>("questions", "", false);
  return useMemo(() => new Map((listed.value?.fields ?? []).map((each) => [each.name, each.kind])), [listed.value]);
}

interface Props {
  value: string;
  label: string;
  kinds: Kinds;
  onPick: (name: string) => void;
  placeholder?: string;
}

export function FieldPick({ value, label, kinds, onPick, placeholder = "" }: Props) {
  const id = useId();
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <>
      <input type="text" class="pick" list={id} value={text} aria-label={label} title={label} placeholder={placeholder} autocomplete="off" spellcheck={false} maxlength={300}
        onInput={(input) => setText(input.currentTarget.value)} onChange={(input) => input.currentTarget.value !== value && onPick(input.currentTarget.value.trim())} />
      <datalist id={id}>{[...kinds.keys()].map((name) => <option key={name} value={name} />)}</datalist>
    </>
  );
}
