import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Link, Stream } from "../src/ask/stream";

let asked: { at: number; last: string | null }[];
let links: Link[];
let answer: () => Response;
let stream: Stream | null;

beforeEach(() => {
  asked = [];
  links = [];
  stream = null;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    asked.push({ at: Math.round(performance.now()), last: new Headers(init.headers).get("Last-Event-ID") });
    return answer();
  });
});

afterEach(() => {
  stream?.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function begin(): void {
  stream = new Stream("/v1/live/changes", { link: (link) => links.push(link), event: () => undefined });
  stream.start();
}

const pauses = () => asked.slice(1).map(({ at }, n) => at - (asked[n]?.at ?? 0));
const ended = () => new Response(": still here\n\nid: 1-2-3\nevent: changed\ndata: {}\n\n", { status: 200 });
const refused = (status: number, more: Record<string, string> = {}) => () => new Response("{}", { status, headers: more });

describe("a stream that ends", () => {
  it("comes back later each time while the server refuses", async () => {
    answer = refused(503);
    begin();
    await vi.advanceTimersByTimeAsync(18_000);
    expect(pauses()).toEqual([400, 800, 1600, 3200, 5000, 5000]);
    expect(new Set(links)).toEqual(new Set(["connecting", "reconnecting"]));
  });

  it("comes back later each time while the server lets it in and ends it at once", async () => {
    answer = ended;
    begin();
    await vi.advanceTimersByTimeAsync(13_000);
    expect(pauses()).toEqual([400, 800, 1600, 3200, 5000]);
    expect(asked.map(({ last }) => last)).toEqual([null, "1-2-3", "1-2-3", "1-2-3", "1-2-3", "1-2-3"]);
  });

  it("comes back soon when it had lasted", async () => {
    const lasting = () => new Response(new ReadableStream({ start: (body) => void setTimeout(() => body.close(), 6_000) }));
    const answers = [refused(503), refused(503), lasting, refused(503)];
    answer = () => (answers.shift() ?? refused(503))();
    begin();
    await vi.advanceTimersByTimeAsync(8_000);
    expect(pauses()).toEqual([400, 800, 6_400]);
  });

  it("waits as long as the server says", async () => {
    answer = refused(429, { "Retry-After": "7" });
    begin();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(pauses()).toEqual([7000, 7000]);
  });

  it("does not come back where it may not be", async () => {
    answer = refused(401);
    begin();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(1);
    expect(links).toEqual(["connecting", "key"]);
  });
});
