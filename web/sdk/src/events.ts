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
export const enter = (next: View): void => {
  view = next;
  cause = next.id;
};

/** What happened at `now`, because of the last click or view, or of the view as a whole. */
export const emit = (
  type: string,
  fields?: Fields,
  { id: origin, place }: View = { id: cause, place: view!.place },
  now = Date.now(),
  id = idOf(now),
): void => {
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
      trace_id: traceOf(origin),
      parent_interaction_id: origin == id ? undefined : origin,
      ...fields,
    }),
  );
};

/** What happened, and is the cause of what follows on the page. */
export const begin = (type: string, fields: Fields): void => {
  const now = Date.now();
  const id = idOf(now);
  cause = id;
  emit(type, fields, undefined, now, id);
};

/** An event as JSON that the server takes: long texts are cut until it is. */
const fitting = (event: Fields): string => {
  let text;
  let most = 4e4;
  do {
    text = JSON.stringify(event, (_, value) =>
      typeof value == "string" ? value.slice(0, most) : value,
    );
    most /= 4;
  } while (new TextEncoder().encode(text).length > LARGEST && most > 9);
  return text;
};

/** Listen where nothing can be broken, and no scrolling has to wait. */
export const on = <E extends Event>(types: string, heard: (event: E) => unknown): void => {
  for (const type of types.split(" ")) {
    addEventListener(type, (event) => attempt(() => heard(event as E)), {
      capture: true,
      passive: true,
    });
  }
};
