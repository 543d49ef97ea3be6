// Who is at the page: found out at the start, after every way in or out (in whichever window of the
// browser), and when the server says no.

import { useEffect, useRef, useState } from "preact/hooks";
import { forgetAnswers } from "../ask/question";
import { at } from "../paths";
import { type Me, whoami } from "./account";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

export interface Entrance {
  /** Null until the server has said it once. */
  me: Me | null;
  /** How often somebody came in, left, or was another than before. */
  entries: number;
  /** Whether the server did not answer when it was asked last. */
  away: boolean;
  /** Somebody came in or left. */
  again: () => void;
}

let holds = 0;
let missed = false;

/** While this is drawn nobody is shown out: it is a secret that is shown once, such as the link of the first person, who closes the server. */
export function useHold(): void {
  useEffect(() => {
    holds += 1;
    return () => {
      holds -= 1;
      if (holds === 0 && missed) dispatchEvent(new Event("lakeward-shut"));
    };
  }, []);
}

/**
 * One request at a time. Refusals that come while it runs are looked into afterwards: each of them
 * beginning anew would leave none to end, as a page that is drawn anew is refused anew.
 */
export function useEntrance(): Entrance {
  const [{ me, entries }, setFound] = useState<{ me: Me | null; entries: number }>({ me: null, entries: 0 });
  const [away, setAway] = useState(false);
  const look = useRef<(anew: boolean) => void>(() => undefined);
  useEffect(() => {
    let left = false;
    let timer = 0;
    let runs = false;
    let more = false;
    let moved = true;
    let wait = FIRST_WAIT_MS;
    const ask = async () => {
      runs = true;
      more = false;
      const found = await whoami();
      runs = false;
      if (left) return;
      setAway(found === null);
      if (found === null) {
        timer = window.setTimeout(() => void ask(), wait);
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
        return;
      }
      wait = FIRST_WAIT_MS;
      const anew = moved;
      moved = false;
      setFound((before) => {
        if (!anew && JSON.stringify(before.me) === JSON.stringify(found)) return before;
        forgetAnswers();
        return { me: found, entries: before.entries + 1 };
      });
      if (more) void ask();
    };
    look.current = (anew) => {
      moved ||= anew;
      more = true;
      if (runs) return;
      clearTimeout(timer);
      void ask();
    };
    void ask();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, []);
  useEffect(() => {
    const shut = () => {
      missed = holds > 0;
      if (!missed) look.current(false);
    };
    addEventListener("lakeward-shut", shut);
    return () => removeEventListener("lakeward-shut", shut);
  }, []);
  const others = useRef<BroadcastChannel | null>(null);
  useEffect(() => {
    const channel = (others.current = new BroadcastChannel(`lakeward ${at("me")}`));
    channel.onmessage = () => dispatchEvent(new Event("lakeward-shut")); // another window found out
    return () => channel.close();
  }, []);
  const again = () => {
    look.current(true);
    others.current?.postMessage(null);
  };
  return { me, entries, away, again };
}
