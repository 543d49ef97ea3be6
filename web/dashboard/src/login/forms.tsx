// The ways in: e-mail address and password, a one-time link, a provider.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { at } from "../paths";
import { visible } from "../text";
import { post } from "./account";

const LEAST = 12;

export function LoginForm(props: { oidc: boolean; refused: string; onIn: () => void }) {
  return (
    <Way title="Log in" button="Log in" newPassword={false} refused={props.refused}
      send={(email, password) => post("login", { email, password })} onIn={props.onIn}>
      {props.oidc && <a class="button" href={at("login", "/oidc")}>Log in through your provider</a>}
    </Way>
  );
}

export function WelcomeForm(props: { token: string; onIn: () => void; onLeave: () => void }) {
  return (
    <Way title="Welcome to this lake" button="Go in" newPassword refused=""
      send={(email, password) => post("welcome", { token: props.token, email, password })} onIn={props.onIn}>
      <p class="muted" id="rule">Choose a password of at least {LEAST} characters; a few words make a good one. This link works once.</p>
      <button type="button" class="link" onClick={props.onLeave}>Go on without</button>
    </Way>
  );
}

interface WayProps {
  title: string;
  button: string;
  newPassword: boolean;
  refused: string;
  send: (email: string, password: string) => Promise<string>;
  onIn: () => void;
  children?: ComponentChildren;
}

function Way({ title, button, newPassword, refused, send, onIn, children }: WayProps) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [said, setSaid] = useState(refused);
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const refusal = await send(email.trim(), password);
    setBusy(false);
    setSaid(refusal);
    if (!refusal) onIn();
  };
  return (
    <form class="card centre" aria-labelledby="way" onSubmit={submit}>
      <h2 id="way">{title}</h2>
      {said && <p class="bad" role="alert">{visible(said)}</p>}
      <label class="field">
        <span>E-mail address</span>
        <input ref={first} type="email" required autocomplete="username" autocapitalize="none" spellcheck={false}
          value={email} onInput={(event) => setEmail(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{newPassword ? "New password" : "Password"}</span>
        <input type="password" required autocomplete={newPassword ? "new-password" : "current-password"}
          {...(newPassword ? { minLength: LEAST, "aria-describedby": "rule" } : {})}
          value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
      </label>
      <button type="submit" class="button strong" aria-disabled={busy}>{button}</button>
      {children}
    </form>
  );
}
