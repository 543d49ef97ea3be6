// One stream for all windows of a browser, which has six connections to a server and no more: one window
// holds it and tells the others what it hears. Whoever may read no more lets another window try, so that
// each finds out by itself what it may.

import { sit } from "./seat";
import { type Link, type Listener, Stream } from "./stream";

const BEAT_MS = 10_000;
const SILENCE_MS = 30_000;

/** What windows say to each other; all of it empty: the one that holds the stream is there. */
interface Said {
  /** Somebody new wants to know how the connection is. */
  ask?: boolean;
  link?: Link;
  event?: string;
  data?: unknown;
  /** The id of the event. */
  id?: string;
}

export class Shared {
  #channel: BroadcastChannel;
  #stream: Stream | null = null;
  #leave: () => void = () => undefined;
  #link: Link = "connecting";
  #last = "";
  #timer = 0;
  #ended = false;

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {
    this.#channel = new BroadcastChannel(`lakeward ${url}`);
  }

  start(): void {
    this.#channel.onmessage = (message: MessageEvent<Said>) => this.#hear(message.data);
    this.#take({ link: "connecting" });
    this.#follow();
    this.#say({ ask: true });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#channel.onmessage = null;
    this.#leave();
    this.#stream?.stop();
    this.#channel.close();
  }

  #follow(steal = false): void {
    this.#leave();
    this.#leave = sit([`lakeward ${this.url}`], () => this.#lead(), () => this.#yield(), steal);
    this.#expect();
  }

  #lead(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setInterval(() => this.#say({}), BEAT_MS);
    this.#stream = new Stream(
      this.url,
      {
        link: (link, message) => {
          if (link === "key" || link === "error") return this.#end(link, message);
          this.#take({ link });
          this.#say({ link });
        },
        event: (event, data, id) => {
          const said = { event, data, id };
          this.#take(said);
          this.#say(said);
        },
      },
      this.#last,
    );
    this.#stream.start();
  }

  /** Another window thought that this one was gone. */
  #yield(): void {
    this.#quiet();
    this.#follow();
  }

  /** Not for this window: the next one tries. What that hears, this one hears, too. */
  #end(link: Link, message?: string): void {
    this.#ended = true;
    this.#quiet();
    this.#leave();
    this.listener.link(link, message);
  }

  #quiet(): void {
    clearTimeout(this.#timer);
    this.#stream?.stop();
    this.#stream = null;
  }

  #hear(said: Said): void {
    if (this.#stream) {
      if (said.ask) this.#say({ link: this.#link });
      return;
    }
    if (said.ask) return;
    this.#expect();
    this.#take(said);
  }

  #take({ link, event, data, id }: Said): void {
    if (link) this.listener.link((this.#link = link));
    if (event) this.listener.event(event, data, id ?? "");
    if (id) this.#last = id;
  }

  /** A window that is stopped holds its seat still. Not all others take it away at once: each would open a stream. */
  #expect(): void {
    clearTimeout(this.#timer);
    const wait = SILENCE_MS * (1 + Math.random() / 2);
    if (!this.#ended) this.#timer = window.setTimeout(() => this.#follow(true), wait);
  }

  #say(said: Said): void {
    this.#channel.postMessage(said);
  }
}
