// A field whose text stays while the page is drawn anew, and counts once it is left or Enter is pressed.

import { useEffect, useState } from "preact/hooks";

interface Props {
  type: "text" | "number";
  label: string;
  value: string;
  onValue: (text: string) => void;
  min?: number;
  max?: number;
  maxLength?: number;
}

export function Typed({ label, value, onValue, ...rest }: Props) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <input {...(rest as { type: "text" })} class="pick" aria-label={label} value={text} onInput={(event) => setText(event.currentTarget.value)}
      onChange={(event) => event.currentTarget.value !== value && onValue(event.currentTarget.value)} />
  );
}
