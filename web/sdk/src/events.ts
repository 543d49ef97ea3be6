/**
 * Events: a type and its own fields get id, time, person, place and cause, and go into the outbox.
 *
 * A page view or a click begins a trace: its id is the `trace_id` of all that follows until the
 * next one, here and in what the page asks of its own server.
 */

import { attempt } from "./attempt.ts";
import { idOf, traceOf } from "./ids.ts";
import type { Fields } from "./options.ts";
import { put } from "./outbox.ts";
import { level, NONE } from "./permission.ts";
import { person } from "./person.ts";

const LARGEST = 28e3; // bytes; the server takes 32 KiB with what it adds

/** A view of a page; `id` is that of its first record. */
export interface View {
  id: string;
  /** It was said that it began. */
  shown?: boolean;
  place: { url: string | undefined; path: string; referrer: string | undefined };
}

/** What is in view. */
export let view: View | undefined;
/** The record that began the trace. */
export let cause: string;
export let session: string | undefined;


/** Another view begins. */
export function enter(next: View): void {
  view = next;
  cause = next.id;
}

/** What an event says that belongs to a view as a whole, whatever was clicked since. */
export const during = ({ id, place }: View): Fields => ({
  ...place,
  trace_id: traceOf(id),
  parent_interaction_id: id,
});

/** What happened at `now`; with `own`, it begins a trace and is no effect of what went before. */
export function emit(
  type: string,
  fields?: Fields,
  own?: boolean,
  now = Date.now(),
  id = idOf(now),
  { place } = view!,
): void {
  if (level == NONE) return;
  const who = person(now);
  session = who.session_id;
  put(
    fitting({
      interaction_type: type,
      interaction_id: id,
      timestamp: new Date(now).toISOString(),
      ...who,
      ...place,
      trace_id: traceOf(own ? id : cause),
      parent_interaction_id: own ? undefined : cause,
      ...fields,
    }),
  );
}

/** The same, and it is the cause of what follows on the page. */
export function begin(type: string, fields: Fields): void {
  const now = Date.now();
  emit(type, fields, true, now, (cause = idOf(now)));
}

/** An event as JSON that the server takes: long texts are cut when it is too large as a whole. */
function fitting(event: Fields): string {
  let text = JSON.stringify(event);
  for (let most = 4096; new Blob([text]).size > LARGEST && most > 9; most /= 4) {
    text = JSON.stringify(event, (_, value) =>
      typeof value == "string" ? value.slice(0, most) : value,
    );
  }
  return text;
}

/** Listen where nothing can be broken, and no scrolling has to wait. */
export function on<E extends Event>(types: string, heard: (event: E) => unknown): void {
  for (const type of types.split(" ")) {
    addEventListener(type, (event) => attempt(() => heard(event as E)), {
      capture: true,
      passive: true,
    });
  }
}
