// Sending a file by tus 1.0.0 (https://tus.io): in pieces, from the byte on that the server has. After an
// interruption the server is asked how much that is, as nobody else knows.
//
//     begin ─► piece ─► piece ─► … ─► done
//                │ ▲
//      interrupted └─ wait, ask for the offset
//
// In: a file, and a wire to send it by. Out: what is sent, and the server's sentence where it says no.

import { Refused } from "../ask/client";

export const PIECE = 4 << 20;
const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
const MOST_ENDS = 5;

/** How the protocol is spoken; each throws `Refused`, or whatever the signal's end throws. */
export interface Wire {
  /** Announce the file; the upload's id. Not to be stopped: nobody would know what became of it. */
  begin: () => Promise<string>;
  /** How many bytes are safe. */
  offset: (id: string, signal: AbortSignal) => Promise<number>;
  /** Send bytes from an offset on; the offset after them. `sent` hears of those that have left. */
  piece: (id: string, offset: number, content: Blob, sent: (bytes: number) => void, signal: AbortSignal) => Promise<number>;
  /** Take it back. */
  end: (id: string) => Promise<void>;
}

export type Phase = "sending" | "waiting" | "paused" | "refused" | "cancelling" | "cancelled" | "done";

export interface Sent {
  /** Empty until it has begun. */
  id: string;
  phase: Phase;
  bytes: number;
  /** Why it waits, or was refused. */
  said: string;
}

export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

/** Whether it is worth trying again: nobody answered, or not now, or another offset is wanted. */
export function isPassing({ status, code }: Refused): boolean {
  if (status === 409) return code === "wrong_offset";
  return status === 0 || [408, 423, 429, 460, 500, 502, 503, 504].includes(status);
}

/** How long to wait before trying again. */
export function pauseMs(failed: number, leastSeconds = 0): number {
  return Math.max(Math.min(LONGEST_MS, FIRST_MS * 2 ** failed), leastSeconds * 1000);
}

/** Sends one file. */
export class Sender {
  state: Sent;
  #abort: AbortController | null = null;
  #begun: Promise<string> | null = null;

  constructor(private readonly file: Blob, private readonly wire: Wire, private readonly told: (state: Sent) => void, id = "", private readonly wait: Wait = sleep) {
    this.state = { id, phase: "paused", bytes: 0, said: "" };
  }

  /** Begin, or go on; returns when it has ended, whichever way. */
  async go(): Promise<void> {
    if (this.#abort || this.state.phase === "done" || this.state.phase === "cancelled") return;
    const abort = (this.#abort = new AbortController());
    this.#say({ phase: "sending", said: "" });
    try {
      await this.#send(abort.signal);
      this.#say({ phase: "done", bytes: this.file.size });
    } catch (error) {
      if (!abort.signal.aborted) this.#say({ phase: "refused", said: sentenceOf(error) });
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
  }

  pause(): void {
    if (!this.#abort) return;
    this.#stop();
    this.#say({ phase: "paused", said: "" });
  }

  /** Take it back. What never began is simply forgotten. */
  async cancel(): Promise<void> {
    this.#stop();
    this.#say({ phase: "cancelling", said: "" });
    try {
      const id = this.state.id || (await this.#begun?.catch(() => ""));
      if (id) await this.#end(id);
      this.#say({ phase: "cancelled" });
    } catch (error) {
      const isOver = error instanceof Refused && (error.status === 404 || error.status === 410);
      this.#say(isOver ? { phase: "cancelled" } : { phase: "refused", said: sentenceOf(error) });
    }
  }

  /** The server may hear only later that the piece before was broken off, and is at it until then. */
  async #end(id: string): Promise<void> {
    for (let failed = 0; ; failed += 1) {
      try {
        return await this.wire.end(id);
      } catch (error) {
        if (!(error instanceof Refused) || !isPassing(error) || failed + 1 >= MOST_ENDS) throw error;
        await this.wait(pauseMs(failed, error.after), new AbortController().signal);
      }
    }
  }

  async #send(signal: AbortSignal): Promise<void> {
    let at: number | null = null;
    if (!this.state.id) {
      const id = await this.#begin();
      this.state = { ...this.state, id };
      at = 0;
    }
    for (let failed = 0; ; ) {
      try {
        at ??= await this.wire.offset(this.state.id, signal);
        if (signal.aborted) throw new Refused(0, "stopped", "It was stopped.");
        const from: number = at;
        this.#say({ phase: "sending", bytes: from, said: "" });
        if (from >= this.file.size) return;
        const sent = (bytes: number) => !signal.aborted && this.#say({ bytes: from + bytes });
        at = await this.wire.piece(this.state.id, from, this.file.slice(from, from + PIECE), sent, signal);
        failed = 0;
      } catch (error) {
        if (signal.aborted || !(error instanceof Refused) || !isPassing(error)) throw error;
        await this.#refuseUnreadable(at ?? 0);
        if (signal.aborted) throw error;
        at = null;
        this.#say({ phase: "waiting", said: error.message });
        await this.wait(pauseMs(failed++, error.after), signal);
      }
    }
  }

  /** Once, also when it was stopped and went on meanwhile. */
  async #begin(): Promise<string> {
    this.#begun ??= this.wire.begin();
    try {
      return await this.#begun;
    } catch (error) {
      this.#begun = null;
      throw error;
    }
  }

  /** A file that was changed or moved fails like a lost connection, and would do so for ever. */
  async #refuseUnreadable(at: number): Promise<void> {
    try {
      await this.file.slice(at, at + 1).arrayBuffer();
    } catch {
      throw new Refused(0, "unreadable", "The file can no longer be read: it was changed or moved.");
    }
  }

  #stop(): void {
    this.#abort?.abort();
    this.#abort = null;
  }

  #say(part: Partial<Sent>): void {
    this.state = { ...this.state, ...part };
    this.told(this.state);
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Refused ? error.message : "It went wrong: try again.";
}

/** Until then, until the signal ends, or until the browser has a network again. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
