// What every part of the settings has: acting and what the server says to it, questions before what
// cannot be undone, secrets that are shown once, and a row of a list.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, tell } from "../ask/client";
import { Copy } from "../card/copy";
import { Dialog } from "../card/dialog";
import { useHold } from "../login/entrance";
import { visible } from "../text";

export interface Acting {
  /** The sentence of the last refusal; empty when it went well. */
  said: string;
  busy: boolean;
  /** Send it; what the server answered, or null when it said no. */
  act: <T>(rest: string, body: unknown, kind?: string) => Promise<T | null>;
  hush: () => void;
}

/** Acts on a part of the server, one at a time. */
export function useActing(part: string): Acting {
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const act = async <T,>(rest: string, body: unknown, kind?: string): Promise<T | null> => {
    if (running.current) return null;
    running.current = true;
    setBusy(true);
    try {
      const { value } = await tell<T>(part, rest, { body, ...(kind ? { kind } : {}) });
      setSaid("");
      return value;
    } catch (error) {
      setSaid(error instanceof Refused ? error.message : "It went wrong: try again.");
      return null;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { said, busy, act, hush: () => setSaid("") };
}

export function Said({ acting }: { acting: Acting }) {
  return acting.said ? <p class="note bad" role="alert">{visible(acting.said)}</p> : null;
}

interface ConfirmProps {
  title: string;
  verb: string;
  acting: Acting;
  onYes: () => void;
  onClose: () => void;
  children: ComponentChildren;
}

/** A question before what cannot be undone. */
export function Confirm({ title, verb, acting, onYes, onClose, children }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="asked">
        {children}
        <Said acting={acting} />
        <button type="button" class="button strong" disabled={acting.busy} onClick={onYes}>{verb}</button>
      </div>
    </Dialog>
  );
}

/** A form in a dialog. */
export function Form(props: { title: string; verb: string; acting: Acting; onSend: () => void; onClose: () => void; children: ComponentChildren }) {
  const submit = (event: Event) => {
    event.preventDefault();
    props.onSend();
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form class="asked" onSubmit={submit}>
        {props.children}
        <Said acting={props.acting} />
        <button type="submit" class="button strong" disabled={props.acting.busy}>{props.verb}</button>
      </form>
    </Dialog>
  );
}

/** What is shown once and never again: it stays until the reader says that it is kept. */
export function Once(props: { title: string; secret: string; hint: string; onKept: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useHold();
  useEffect(() => {
    box.current?.focus();
    const again = requestAnimationFrame(() => box.current?.focus()); // what lies under a dialog takes it once that is gone
    return () => cancelAnimationFrame(again);
  }, [props.secret]);
  return (
    <div class="once" role="group" aria-label={props.title} tabindex={-1} ref={box}>
      <h3>{props.title}</h3>
      <div class="snippet"><code class="secret">{props.secret}</code><Copy text={props.secret} /></div>
      <p class="muted">{props.hint}</p>
      <button type="button" class="button" onClick={props.onKept}>I have kept it</button>
    </div>
  );
}

/** What cannot be changed here: why, and what to type instead. */
export function Elsewhere(props: { why: ComponentChildren; command: string }) {
  return (
    <div class="elsewhere">
      <p class="muted">{props.why}</p>
      <div class="snippet"><pre tabindex={0} aria-label="Command"><code>{visible(props.command)}</code></pre><Copy text={props.command} /></div>
    </div>
  );
}

export interface RowProps {
  name: ComponentChildren;
  tags?: ComponentChildren;
  meta?: ComponentChildren;
  actions?: ComponentChildren;
  children?: ComponentChildren;
  faded?: boolean;
}

export function Row({ name, tags, meta, actions, children, faded = false }: RowProps) {
  return (
    <li class={faded ? "row faded" : "row"}>
      <div class="what">
        <p class="title"><span class="name">{name}</span>{tags}</p>
        {meta && <p class="muted small">{meta}</p>}
        {children}
      </div>
      {actions && <div class="acts">{actions}</div>}
    </li>
  );
}

/** Words of a list as text: the first few, and how many more. */
export function some(words: readonly string[], most = 4): string {
  const few = words.slice(0, most).map(visible).join(", ");
  return words.length > most ? `${few} and ${words.length - most} more` : few;
}

/** Words that somebody typed, apart by commas or blanks. */
export function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}
