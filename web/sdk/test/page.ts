/**
 * A page with the SDK in it, afresh for each test, and a server that notes what it is sent.
 *
 * The SDK is one page's and has no end: here its listeners are taken away, and its modules are
 * loaded again.
 */

import { gunzipSync } from "node:zlib";

import { afterEach, beforeEach, vi } from "vitest";

export interface Sent {
  url: string;
  headers: Record<string, string>;
  keepalive: boolean;
  beacon: boolean;
  compressed: boolean;
  sent_at: string;
  batch: Record<string, any>[];
}

export type Answer = { status: number; headers?: Record<string, string> } | "offline";

/** What the server was sent. */
export let sent: Sent[] = [];
/** What it answers, the last for ever; 200 when there is none. */
export let answers: Answer[] = [];
export const kept = (): Record<string, string> => ({ ...localStorage });
export const events = (type?: string): Record<string, any>[] =>
  sent.flatMap((one) => one.batch).filter((event) => !type || event.interaction_type == type);

const listening: [EventTarget, string, any, any][] = [];
const history_ = { pushState: history.pushState, replaceState: history.replaceState };
const fetch_ = globalThis.fetch;
const Compression = globalThis.CompressionStream;
let begun = 0;
let ended = 0;
const compressing = (): boolean => begun > ended;
const requests = { ...XMLHttpRequest.prototype };

const note = async (url: string, body: unknown, more: Partial<Sent>): Promise<void> => {
  const raw = typeof body == "string" ? body : Buffer.from(await (body as Blob).arrayBuffer());
  const text = typeof raw == "string" ? raw : gunzipSync(raw).toString();
  const one = {
    url,
    headers: {},
    keepalive: false,
    beacon: false,
    compressed: typeof raw != "string",
    ...more,
    ...JSON.parse(text),
  };
  sent.push(one);
};

const serve = async (url: string, init: RequestInit): Promise<Response> => {
  const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? { status: 200 };
  if (answer == "offline") throw new TypeError("Failed to fetch");
  await note(url, init.body, { headers: init.headers as any, keepalive: !!init.keepalive });
  const said = { accepted: sent[sent.length - 1]!.batch.length, rejected: [] };
  return new Response(JSON.stringify(said), answer);
};

beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers({ now: new Date("2025-08-14T16:11:28.677Z"), toFake: FAKED });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  sent = [];
  answers = [];
  localStorage.clear();
  document.body.innerHTML = "";
  document.title = "Partners";
  (window as any).happyDOM.setURL("https://example.com/partners?utm_source=podcast&token=s3cr3t#x");
  vi.stubGlobal("fetch", serve);
  vi.stubGlobal("CompressionStream", undefined);
  Object.assign(navigator, {
    sendBeacon: (url: string, body: unknown) => {
      void note(url, body, { beacon: true });
      return true;
    },
  });
  property(navigator, "onLine", true);
  property(navigator, "locks", undefined);
  property(navigator, "globalPrivacyControl", undefined);
  property(document, "hidden", false);
  property(document, "prerendering", false);
  for (const target of [window, document] as EventTarget[]) {
    const listen = target.addEventListener.bind(target);
    vi.spyOn(target, "addEventListener").mockImplementation((type, heard, options) => {
      listening.push([target, type, heard, options]);
      listen(type, heard, options);
    });
  }
});

afterEach(() => {
  for (const [target, type, heard, options] of listening.splice(0)) {
    target.removeEventListener(type, heard, options);
  }
  Object.assign(history, history_);
  Object.assign(XMLHttpRequest.prototype, requests);
  vi.unstubAllGlobals();
  globalThis.fetch = fetch_;
  vi.useRealTimers();
});

const FAKED: any = ["setTimeout", "clearTimeout", "Date", "performance"];

export const property = (of: object, name: string, value: unknown): void =>
  void Object.defineProperty(of, name, { value, configurable: true, writable: true });

/** Let so much time go by. */
export const wait = async (ms: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(ms);
  await settled();
};

/** A browser that can compress; how far it is, is known. */
export const compresses = (): void => {
  begun = ended = 0;
  const made = function (format: CompressionFormat): CompressionStream {
    const stream = new Compression(format);
    const watched = new TransformStream({ flush: () => void ended++ });
    begun++;
    return { writable: stream.writable, readable: stream.readable.pipeThrough(watched) } as never;
  };
  vi.stubGlobal("CompressionStream", made);
};

/** Let what is under way in the background, such as compressing, come to its end. */
export const settled = async (): Promise<void> => {
  for (let n = 0; n < 3 || compressing(); n++) await new Promise((done) => setImmediate(done));
};

/** The page is put away: another tab is in front. */
export const hide = async (): Promise<void> => {
  property(document, "hidden", true);
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  await settled();
};

export const fire = (type: string, fields: object = {}, target: EventTarget = window): Event => {
  const event = new Event(type, { bubbles: true, composed: true, cancelable: true });
  Object.entries(fields).forEach(([name, value]) => property(event, name, value));
  target.dispatchEvent(event);
  return event;
};
