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
import { FULL, level } from "./permission.ts";
import { names, OURS, read, write } from "./shelf.ts";
import { beacon, DONE, HALVE, packed, post } from "./wire.ts";

const PAUSE_MS = 1e3; // so that what belongs together goes together
const LONGEST_MS = 6e4;
const LEASE_MS = 3e4;
const BATCH = 2e4; // characters, at most 60 KB: the browser lets 64 KiB outlive the page
const EVENTS = 1e3; // in memory
const BUNDLES = 40; // on the device
const LEASE = OURS + "lease";
export const BUNDLE = OURS + "unsent.";

let queue: string[] = [];
let underway: string[] = []; // taken out of the queue, and not yet with the browser
let busy = false;
let stuck = false; // the last attempt failed
let failures = 0;
let until = 0; // when the server wants to hear of us again
let timer: ReturnType<typeof setTimeout> | undefined;

const arm = (ms: number): void => {
  timer ||= setTimeout(flush, ms);
};

const take = (): string[] => {
  let n = 0;
  let left = BATCH;
  while (n < queue.length && (left -= queue[n]!.length) > 0) n++;
  return queue.splice(0, n || 1);
};

/** Send a batch; what is left of it, to be sent later. */
const deliver = async (batch: string[]): Promise<string[]> => {
  underway = batch;
  const content = await packed(batch);
  if (underway != batch) return []; // the page was hidden meanwhile, and it went another way
  underway = [];
  const next = await post(content);
  const half = batch.length >> 1;
  if (next == HALVE && half) {
    return [...(await deliver(batch.slice(0, half))), ...(await deliver(batch.slice(half)))];
  }
  stuck = next > DONE;
  failures = stuck ? failures + 1 : 0;
  until = Date.now() + next;
  return stuck && level ? batch : [];
};

/** Give batches away until one is not taken. */
const give = (takes: (batch: string[]) => unknown): void => {
  while (queue[0]) {
    const batch = take();
    if (!takes(batch)) {
      queue.unshift(...batch);
      return;
    }
  }
};

const sendBundles = async (): Promise<void> => {
  for (const name of names(BUNDLE)) {
    const text = read(name);
    if (text) write(name, (await deliver(text.split("\n"))).join("\n"));
    if (stuck) return;
  }
};

/** Where there are no locks, one tab promises to be done within a time; two that promise in the
 * same instant send twice what the server keeps once. */
const sendLeased = async (): Promise<void> => {
  const now = Date.now();
  if (+read(LEASE)! > now) return;
  write(LEASE, now + LEASE_MS + "");
  await sendBundles();
  write(LEASE);
};

const waiting = (): boolean => level == FULL && !!names(BUNDLE)[0];

const flush = async (): Promise<unknown> => {
  timer = undefined;
  const early = until - Date.now();
  if (busy) return;
  if (early > 0) return arm(early);
  busy = true;
  stuck = false;
  try {
    if (waiting()) {
      const { locks } = navigator;
      await (locks
        ? locks.request(LEASE, { ifAvailable: true }, (lock) => lock && sendBundles())
        : sendLeased());
    }
    while (queue[0] && !stuck) queue.unshift(...(await deliver(take())));
  } catch {
    stuck = true; // a lock that was refused, say: what is unsent is still here
  }
  busy = false;
  if (stuck) stash();
  if (queue[0] || waiting()) {
    arm(Math.min(LONGEST_MS, PAUSE_MS * 2 ** failures) * (1 + Math.random()));
  }
};

/** Keep what is in memory on the device, where that is permitted and possible. */
const stash = (): void =>
  give((batch) => {
    if (level < FULL) return;
    const kept = names(BUNDLE);
    if (kept.length >= BUNDLES) write(kept[0]!);
    return write(BUNDLE + idOf(Date.now()), batch.join("\n"));
  });

export const put = (event: string): void => {
  queue.push(event);
  if (queue.length > EVENTS) queue.shift();
  arm(PAUSE_MS);
};

/** The page is hidden, and may never come back. */
export const hide = (): void => {
  queue.unshift(...underway);
  underway = [];
  if (!stuck && navigator.onLine) give(beacon);
  stash();
};

/** Look again for what is unsent. */
export const wake = (): void => {
  clearTimeout(timer);
  timer = setTimeout(flush, PAUSE_MS * Math.random());
};

/** Forget what is unsent. */
export const empty = (): void => {
  queue = underway = [];
};
