/**
 * Who is here: the anonymous id, the session, and the user that the app named.
 *
 * With full consent they are kept on the device, and all tabs share them. Else they are in memory
 * and end with the page; only the session leaves it then.
 */

import { idOf } from "./ids.ts";
import { read, write } from "./shelf.ts";

const IDLE_MS = 18e5;
const NAME = "person";

interface Kept {
  /** anonymous id */ a?: string;
  /** session */ s?: string;
  /** last seen, ms */ t?: number;
  /** user id */ u?: string | undefined;
  /** user type */ y?: string | undefined;
}

export interface Person {
  /** The fields of an event at `now`. */
  at(now: number): Record<string, string | undefined>;
  /** From now on it is this user. */
  is(user: string, type?: string): void;
  /** From now on it is somebody else. */
  forget(): void;
}

/** The person of this page; `keeps` says whether it may be kept on the device. */
export function person(keeps: () => boolean): Person {
  let kept: Kept = {};

  const recall = (now: number): void => {
    if (keeps()) {
      try {
        kept = JSON.parse(read(NAME)!) || kept;
      } catch {
        // Something else wrote there: what is in memory is as good.
      }
      kept.a ||= idOf(now);
    }
    if (!kept.s || Math.abs(now - kept.t!) > IDLE_MS) kept.s = idOf(now);
    kept.t = now;
  };
  const keep = (): void => {
    if (keeps()) write(NAME, JSON.stringify(kept));
  };

  return {
    at(now) {
      recall(now);
      keep();
      return keeps()
        ? { anonymous_id: kept.a, session_id: kept.s, user_id: kept.u, user_type: kept.y }
        : { session_id: kept.s };
    },
    is(user, type) {
      recall(Date.now());
      kept.u = user;
      kept.y = type;
      keep();
    },
    forget() {
      kept = {};
      if (keeps()) write(NAME, null);
    },
  };
}
