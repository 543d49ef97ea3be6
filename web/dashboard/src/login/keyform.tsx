// The way in for those who have a read key.

import { useState } from "preact/hooks";
import { visible } from "../text";

export function KeyForm(props: { message: string; tried: boolean; onKey: (key: string) => void }) {
  const [key, setKey] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    if (key.trim()) props.onKey(key.trim());
  };
  return (
    <form class="card centre" onSubmit={submit}>
      <h2>This lake needs a key</h2>
      <p class="muted">A read key opens the page too. It stays in this tab and goes nowhere but to this server.</p>
      {props.tried && <p class="bad" role="alert">{visible(props.message || "That key was refused.")}</p>}
      <label for="key">Read key</label>
      <div class="inline">
        <input id="key" type="password" autocomplete="off" spellcheck={false} value={key}
          onInput={(event) => setKey(event.currentTarget.value)} />
        <button type="submit" class="button strong">Open</button>
      </div>
    </form>
  );
}
