/**
 * Who is here: the anonymous id, the session, and the user that the app named.
 *
 * With full consent they are kept on the device, and all tabs share them. Else they are in memory
 * and end with the page; only the session leaves it then.
 */

import { attempt } from "./attempt.ts";
import { idOf } from "./ids.ts";
import { FULL, level } from "./permission.ts";
import { OURS, read, write } from "./shelf.ts";

const IDLE_MS = 18e5;
const PERSON = OURS + "person";

/** As an event says it. */
export interface Person {
  session_id?: string;
  anonymous_id?: string;
  user_id?: string | undefined;
  user_type?: string | undefined;
  /** ms; not for events */
  seen?: number | undefined;
}

let kept: Person = {};

/** The person at `now`, who is `user` from now on. */
export const person = (now: number, user?: Person): Person => {
  if (level == FULL) {
    kept = attempt(() => JSON.parse(read(PERSON) || "0")) || kept;
    kept.anonymous_id ||= idOf(now);
  }
  const idle = Math.abs(now - kept.seen!);
  if (!(idle < IDLE_MS)) kept.session_id = idOf(now);
  kept.seen = now;
  Object.assign(kept, user);
  if (level == FULL) write(PERSON, JSON.stringify(kept));
  return level == FULL ? { ...kept, seen: undefined } : { session_id: kept.session_id };
};

/** From now on it is somebody else. */
export const forget = (): void => {
  kept = {};
  write(PERSON);
};
