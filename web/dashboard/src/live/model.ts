// What the page knows. It is bounded: 500 rows shown, 500 waiting while paused, one hour. Views are told
// once a frame at most. A feed is a connection, of which a browser has six: two windows that are seen have
// one, others wait, and a window that is seen again goes on where it was.

import { at } from "../paths";
import { type Filter, query } from "./filter";
import { type Batch, type Hour, type HourEvent, type Lit, MINUTE, MINUTES, type Minute, type Online, type Row, type Skipped } from "./protocol";
import { sit } from "../ask/seat";
import { type Link, Stream } from "../ask/stream";

export const MOST = 500;
const SEATS = ["lakeward feed 1", "lakeward feed 2"];
const PATIENCE_MS = 1_500; // for a seat, which is there at once or not for long

/** A place in the list where records are counted and not shown. */
export interface Gap {
  at: string;
  gap: number;
  why: Skipped["why"];
}

export type Item = Row | Gap;

export function isGap(item: Item): item is Gap {
  return "gap" in item;
}

export class Model {
  link: Link = "connecting";
  message = "";
  everLive = false;
  answered = false;
  paused = false;
  items: Item[] = [];
  waiting = 0;
  hour: Hour | null = null;
  rate = 0;
  online: Online | null = null;
  lit: Lit[] = [];
  loading = true;
  cut = false;
  trouble = "";
  /** Since when the connection is lost, in ms since 1970; 0 while it is there. */
  lost = 0;
  #queue: Item[] = [];
  #heldHour: HourEvent | null = null;
  #stream: Stream | null = null;
  #url = "";
  #last = "";
  #leave: (() => void) | null = null;
  #seated = false;
  #timer = 0;
  #replace = false;
  #gap: Skipped | null = null;
  #gaps = 0;
  #frame = 0;

  constructor(private readonly redraw: () => void) {}

  /** Watch what passes `filter`; what is shown stays until its first answer is there. */
  open(filter: Filter): void {
    this.#url = at("live", query(filter));
    this.#quiet();
    this.#last = "";
    this.#replace = true;
    this.#gap = null;
    document.addEventListener("visibilitychange", this.#seen);
    if (this.#seated) this.#start();
    else this.#seen();
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.#seen);
    this.#stand();
    cancelAnimationFrame(this.#frame);
  }

  #seen = (): void => {
    if (document.hidden) this.#stand();
    else if (!this.#leave) this.#sit();
  };

  #sit(): void {
    this.#linked("connecting", "");
    this.#timer = window.setTimeout(() => this.#linked("queued", ""), PATIENCE_MS);
    const lost = () => {
      this.#stand();
      this.#seen();
    };
    this.#leave = sit(SEATS, () => {
      clearTimeout(this.#timer);
      this.#seated = true;
      this.#start();
    }, lost);
  }

  /** Give the seat to others. */
  #stand(): void {
    clearTimeout(this.#timer);
    this.#quiet();
    this.#leave?.();
    this.#leave = null;
    this.#seated = false;
  }

  #quiet(): void {
    this.#last = this.#stream?.last || this.#last;
    this.#stream?.stop();
    this.#stream = null;
  }

  #start(): void {
    this.#stream = new Stream(
      this.#url,
      {
        link: (link, message = "") => {
          if (link === "key" || link === "error") this.#stand();
          this.#linked(link, message);
        },
        event: (name, data) => this.#take(name, data),
      },
      this.#last,
    );
    this.#stream.start();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    if (!paused) {
      this.items = [...this.#queue, ...this.items].slice(0, MOST);
      this.#queue = [];
      this.waiting = 0;
      if (this.#heldHour) this.#takeHour(this.#heldHour);
      this.#heldHour = null;
    }
    this.#draw();
  }

  #linked(link: Link, message: string): void {
    // Between two tries the page says `reconnecting` only once it has been live.
    this.link = link === "reconnecting" && !this.everLive ? "connecting" : link;
    this.everLive ||= link === "live";
    if (this.link === "reconnecting") this.lost ||= Date.now();
    else if (link === "live") this.lost = 0;
    this.message = message;
    this.#draw();
  }

  #take(name: string, data: unknown): void {
    if (name === "batch") this.#takeBatch(data as Batch);
    else if (name === "skipped") this.#gap = data as Skipped;
    else if (name === "hour") this.#hold(data as HourEvent);
    else if (name === "reset") this.#replace = true;
    this.#draw();
  }

  #takeBatch(batch: Batch): void {
    if (this.#replace) {
      this.items = [];
      this.#queue = [];
      this.waiting = 0;
      this.#replace = false;
    }
    this.answered = true;
    const fresh: Item[] = batch.rows.slice().reverse();
    if (this.#gap) {
      this.#gaps += 1;
      fresh.push({ at: `gap ${this.#gaps}`, gap: this.#gap.n, why: this.#gap.why });
      this.#gap = null;
    }
    if (this.paused && !batch.backlog) {
      this.waiting += batch.matched;
      this.#queue = [...fresh, ...this.#queue].slice(0, MOST);
    } else {
      this.items = [...fresh, ...this.items].slice(0, MOST);
    }
  }

  #hold(event: HourEvent): void {
    if (!this.paused || this.loading || this.#replace) return this.#takeHour(event);
    if (this.#heldHour) event = { ...event, hour: merged(this.#heldHour.hour, event.hour) };
    this.#heldHour = event;
  }

  #takeHour(event: HourEvent): void {
    this.hour = merged(this.hour, event.hour);
    this.rate = event.rate;
    this.online = event.online;
    this.lit = event.lit;
    this.loading = event.loading;
    this.cut = event.cut;
    this.trouble = event.trouble;
  }

  #draw(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.redraw();
    });
  }
}

/** The hour with what changed of it. */
function merged(before: Hour | null, now: Hour): Hour {
  if (now.whole || !before) return now;
  const minutes = new Map(before.minutes.map((m) => [m[0], m]));
  for (const minute of now.minutes) minutes.set(minute[0], minute);
  const kept = [...minutes.values()].filter((m) => m[0] >= now.first).sort((a, b) => a[0] - b[0]);
  return { ...now, whole: before.whole, minutes: kept };
}

/** All sixty minutes in order, undefined where nothing came. */
export function spread(hour: Hour): (Minute | undefined)[] {
  const places: (Minute | undefined)[] = new Array(MINUTES).fill(undefined);
  for (const minute of hour.minutes) {
    const place = (minute[0] - hour.first) / MINUTE;
    if (place >= 0 && place < MINUTES) places[place] = minute;
  }
  return places;
}
