/**
 * The outbox: events on their way, first in memory, on the device when they cannot be sent.
 *
 *     put → memory → batch → done
 *                      └─ no network, page gone → a bundle on the device → batch → done
 *
 * A bundle is written once under a name of its own, and deleted when the server has it. Whichever
 * tab is there sends it, one at a time: under a Web Lock, or a lease where there are no locks.
 */

import { idOf } from "./ids.ts";
import { names, read, write } from "./shelf.ts";
import { AGAIN, HALVE, type Wire } from "./wire.ts";

const PAUSE_MS = 1e3; // so that what belongs together goes together
const LONGEST_MS = 6e4;
const LEASE_MS = 3e4;
const BATCH = 4e4; // characters; small enough that the browser lets it outlive the page
const FAREWELL = 2e4;
const EVENTS = 1e3; // in memory
const BUNDLES = 40; // on the device
export const BUNDLE = "unsent.";
const LEASE = "lease";

export interface Outbox {
  put(event: string): void;
  /** The page is hidden, and may never come back. */
  hide(): void;
  /** Look again for what is unsent. */
  wake(): void;
  /** Forget what is in memory. */
  empty(): void;
}

/** The outbox of this page; `keeps` says whether events may be kept on the device. */
export function outbox(line: Wire, keeps: () => boolean): Outbox {
  const me = idOf(Date.now());
  let queue: string[] = [];
  let bundles = true; // there may be some
  let busy = false;
  let stuck = false; // the last attempt failed
  let failures = 0;
  let until = 0; // when the server wants to hear of us again
  let timer: ReturnType<typeof setTimeout> | undefined;
  let era = 0; // what was on its way when the outbox was emptied does not come back

  const arm = (ms: number): void => {
    timer ||= setTimeout(flush, ms);
  };

  const take = (most: number): string[] => {
    let n = 0;
    for (let size = 0; n < queue.length && n < 500; n++) {
      size += queue[n]!.length;
      if (n && size > most) break;
    }
    return queue.splice(0, n);
  };

  /** Send a batch; what is left of it, to be sent later. */
  const deliver = async (batch: string[]): Promise<string[]> => {
    const now = era;
    const next = await line.post(batch);
    if (now != era) return [];
    if (next == HALVE) {
      const half = batch.length >> 1;
      return half
        ? [...(await deliver(batch.slice(0, half))), ...(await deliver(batch.slice(half)))]
        : [];
    }
    if (!next) {
      failures = 0;
      return [];
    }
    stuck = true;
    failures++;
    if (next > AGAIN) until = Date.now() + next;
    return batch;
  };

  const sendBundles = async (): Promise<void> => {
    for (const name of names(BUNDLE)) {
      const text = read(name);
      const rest = text ? await deliver(text.split("\n")) : [];
      write(name, rest.join("\n") || null);
      if (stuck) return;
    }
    bundles = false;
  };

  const sendLeased = async (): Promise<void> => {
    const [owner, end] = (read(LEASE) || "").split(" ");
    if (owner != me && +end! > Date.now()) return;
    write(LEASE, me + " " + (Date.now() + LEASE_MS));
    await new Promise((done) => setTimeout(done, 99));
    if (!read(LEASE)?.startsWith(me)) return; // another tab was as quick
    await sendBundles();
    write(LEASE, null);
  };

  const flush = async (): Promise<void> => {
    timer = undefined;
    if (busy) return;
    if (Date.now() < until) return arm(until - Date.now());
    busy = true;
    stuck = false;
    try {
      if (bundles && keeps()) {
        const { locks } = navigator;
        if (!names(BUNDLE)[0]) bundles = false;
        else if (!locks) await sendLeased();
        else {
          await locks.request(LEASE, { ifAvailable: true }, (lock) => lock && sendBundles());
        }
      }
      while (queue[0] && !stuck) queue.unshift(...(await deliver(take(BATCH))));
    } catch {
      stuck = true; // a lock that was refused, say: what is unsent is still here
    }
    busy = false;
    if (stuck) {
      stash();
      arm(Math.min(LONGEST_MS, PAUSE_MS << Math.min(failures, 6)) * (1 - Math.random() / 2));
    } else if (queue[0] || (bundles && keeps())) arm(PAUSE_MS * 5);
  };

  /** Keep what is in memory on the device, where that is permitted and possible. */
  const stash = (): void => {
    while (queue[0] && keeps()) {
      const batch = take(BATCH);
      const kept = names(BUNDLE);
      if (kept.length >= BUNDLES) write(kept[0]!, null);
      if (!write(BUNDLE + idOf(Date.now()), batch.join("\n"))) {
        queue.unshift(...batch);
        return;
      }
      bundles = true;
    }
  };

  return {
    put(event) {
      queue.push(event);
      if (queue.length > EVENTS) queue.shift();
      arm(PAUSE_MS);
    },
    hide() {
      queue.unshift(...line.back());
      while (queue[0] && !stuck && navigator.onLine) {
        const batch = take(FAREWELL);
        if (!line.beacon(batch)) {
          queue.unshift(...batch);
          break;
        }
      }
      stash();
    },
    wake() {
      bundles = true;
      clearTimeout(timer);
      timer = undefined;
      arm(PAUSE_MS * Math.random());
    },
    empty() {
      era++;
      queue = [];
      line.back();
    },
  };
}
