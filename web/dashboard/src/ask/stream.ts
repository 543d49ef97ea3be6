// The connection: server-sent events over fetch, because EventSource cannot send a key. It comes back
// by itself and goes on where it was, by the id of the last event.

import { headers } from "./key";

const SILENCE_MS = 25_000; // the server says something every ten seconds
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 5_000;
const LASTED_MS = 5_000; // a connection that ends sooner counts as another try that failed

/** How a connection is; `queued` until another window of the browser gives its own up. */
export type Link = "connecting" | "live" | "reconnecting" | "queued" | "key" | "error";

export interface Listener {
  link(link: Link, message?: string): void;
  event(name: string, data: unknown, id: string): void;
}

export class Stream {
  #abort: AbortController | null = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  #watchdog = 0;
  #stopped = false;

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
    /** The id of the last event that was heard. */
    public last = "",
  ) {}

  start(): void {
    window.addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.listener.link("connecting");
    void this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    window.removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#abort?.abort();
  }

  #hurry = (): void => {
    if (this.#timer && !document.hidden) {
      clearTimeout(this.#timer);
      void this.#connect();
    }
  };

  async #connect(): Promise<void> {
    this.#timer = 0;
    const abort = (this.#abort = new AbortController());
    let leastMs = 0;
    let why = "";
    let since = Infinity;
    try {
      const more = this.last ? { "Last-Event-ID": this.last } : {};
      const answer = await fetch(this.url, {
        headers: headers({ Accept: "text/event-stream", ...more }),
        cache: "no-store",
        signal: abort.signal,
      });
      if (answer.status === 401) dispatchEvent(new Event("lakeward-shut"));
      if (answer.status === 401 || answer.status === 403) return this.#end("key", await said(answer));
      if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
        return this.#end("error", await said(answer));
      }
      leastMs = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
      if (answer.status === 429) why = await said(answer);
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      since = performance.now();
      this.listener.link("live");
      await this.#read(answer.body);
    } catch {
      // Whatever ended it, the mend is the same: come again.
    }
    clearTimeout(this.#watchdog);
    if (this.#stopped) return;
    this.listener.link("reconnecting", why);
    if (performance.now() - since > LASTED_MS) this.#wait = FIRST_WAIT_MS;
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    this.#timer = window.setTimeout(() => void this.#connect(), Math.max(wait, leastMs));
  }

  #end(link: Link, message: string): void {
    if (!this.#stopped) this.listener.link(link, message);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      this.#expect();
      const { done, value } = await reader.read();
      if (done || this.#stopped) return;
      rest += decoder.decode(value, { stream: true });
      const events = rest.split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) this.#take(event);
    }
  }

  #expect(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = window.setTimeout(() => this.#abort?.abort(), SILENCE_MS);
  }

  #take(event: string): void {
    let name = "message";
    let id = "";
    let data = "";
    for (const line of event.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (data && !this.#stopped) this.listener.event(name, JSON.parse(data), id);
    if (id) this.last = id; // kept once the event is taken in, so that none is lost in between
  }
}

/** The sentence of a refusal. */
async function said(answer: Response): Promise<string> {
  try {
    const { message } = (await answer.json()) as { message?: string };
    return message ?? `the server answered ${answer.status}`;
  } catch {
    return `the server answered ${answer.status}`;
  }
}
