/** The vitals beside the web-vitals library: the same entries, the same figures. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { events, fire, hide, property, wait } from "./page.ts";

type Heard = (list: { getEntries: () => object[] }) => void;
let observers: { type: string; heard: Heard }[];
let navigation: Record<string, unknown>;
let counted: number;

class Observer {
  static supportedEntryTypes = [
    "event",
    "first-input",
    "layout-shift",
    "largest-contentful-paint",
    "paint",
  ];
  constructor(private heard: Heard) {}
  observe({ type }: { type: string }): void {
    observers.push({ type, heard: this.heard });
  }
  disconnect(): void {
    observers = observers.filter((one) => one.heard != this.heard);
  }
  takeRecords(): [] {
    return [];
  }
}
const happen = (entryType: string, ...entries: object[]): void =>
  [...observers]
    .filter((one) => one.type == entryType)
    .forEach((one) => one.heard({ getEntries: () => entries.map((e) => ({ entryType, ...e })) }));

beforeEach(() => {
  observers = [];
  counted = 0;
  navigation = { type: "navigate", responseStart: 321, activationStart: 0, startTime: 0 };
  vi.stubGlobal("PerformanceObserver", Observer);
  vi.stubGlobal("PerformanceEventTiming", { prototype: { interactionId: 0 } });
  vi.stubGlobal("requestIdleCallback", (call: () => void) => call());
  property(performance, "getEntriesByType", (type: string) =>
    type == "navigation" ? [navigation] : [],
  );
  Object.defineProperty(performance, "interactionCount", {
    get: () => counted,
    configurable: true,
  });
  property(document, "visibilityState", "visible");
  property(document, "readyState", "complete");
});
afterEach(() => property(document, "visibilityState", "visible"));

/** Both of them, from the beginning to the page's end. */
async function compared(
  run: () => unknown,
): Promise<[Record<string, number>, Record<string, number>]> {
  const theirs: Record<string, number> = {};
  const library = await import("web-vitals");
  const note = ({ name, value }: { name: string; value: number }): unknown =>
    (theirs[name] = value);
  await wait(1000);
  for (const on of [library.onCLS, library.onINP, library.onLCP, library.onTTFB, library.onFCP]) {
    on(note, { reportAllChanges: true }); // it finishes on trusted events only
  }
  const sdk = await import("../src/lakeward.ts");
  sdk.init({ host: "https://data.example.com", off: ["pages", "attention"] });
  await wait(1000);
  await run();
  await wait(1000);
  property(document, "visibilityState", "hidden");
  await hide();
  await wait(2000);
  const ours = Object.fromEntries(events("web_vital").map(({ name, value }) => [name, value]));
  return [ours, theirs];
}

test("TTFB, FCP and LCP are those of the library, from the moment a prepared page is seen", async () => {
  navigation.activationStart = 200;
  const [ours, theirs] = await compared(() => {
    happen(
      "paint",
      { name: "first-paint", startTime: 500 },
      { name: "first-contentful-paint", startTime: 612 },
    );
    happen("largest-contentful-paint", { startTime: 700, element: null });
    happen("largest-contentful-paint", { startTime: 950, element: null });
  });
  expect(ours).toEqual({ TTFB: 121, FCP: 412, LCP: 750, CLS: 0 });
  expect(ours).toEqual(theirs);
});

test("CLS is the worst window: less than a second between two shifts, five in all", async () => {
  const shift = (startTime: number, value: number, hadRecentInput = false): object => ({
    startTime, value, hadRecentInput, sources: [],
  }); // prettier-ignore
  const [ours, theirs] = await compared(async () => {
    happen("paint", { name: "first-contentful-paint", startTime: 100 });
    await wait(100);
    happen("layout-shift", shift(200, 0.04), shift(900, 0.03), shift(950, 9, true));
    happen("layout-shift", shift(3000, 0.05));
    for (let n = 0; n < 8; n++) happen("layout-shift", shift(5000 + n * 900, 0.02));
  });
  expect(ours.CLS).toBeCloseTo(0.12);
  expect(ours.CLS).toBeCloseTo(theirs.CLS!, 10);
});

test("INP is the interaction that one in fifty is slower than", async () => {
  const press = (interactionId: number, duration: number): object => ({
    interactionId, duration, startTime: interactionId, target: null,
  }); // prettier-ignore
  let seed = 7;
  const durations = Array.from(
    { length: 260 },
    () => 40 + ((seed = (seed * 48271) % 2147483647) % 60) * 8,
  );
  const [ours, theirs] = await compared(() => {
    durations.forEach((duration, n) => {
      counted++;
      happen(
        "event",
        press(7 * (n + 1), duration),
        press(7 * (n + 1), duration - 8),
        press(0, 900),
      );
    });
  });
  expect(ours.INP).toBe(theirs.INP);
  expect(ours.INP).toBe([...durations].sort((a, b) => b - a)[5]);
});

test("a page that was hidden before its paint has none, nor a layout that moved", async () => {
  property(document, "hidden", true);
  property(document, "visibilityState", "hidden");
  const [ours, theirs] = await compared(() => {
    happen("paint", { name: "first-contentful-paint", startTime: 100 });
    happen("largest-contentful-paint", { startTime: 150, element: null });
  });
  expect(ours).toEqual({ TTFB: 321 });
  expect(theirs).toEqual(ours);
});

test("a page from the browser's cache has vitals of its own", async () => {
  const frames: (() => void)[] = [];
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => frames.push(call));
  await compared(() => happen("paint", { name: "first-contentful-paint", startTime: 100 }));
  const before = events("web_vital").length;
  property(document, "hidden", false);
  fire("pageshow", { persisted: true, timeStamp: performance.now() });
  vi.advanceTimersByTime(48);
  while (frames.length) frames.shift()!();
  await wait(1000);
  await hide();
  const back = events("web_vital").slice(before);
  expect(Object.fromEntries(back.map(({ name, value }) => [name, value]))).toEqual({
    TTFB: 0, FCP: 48, LCP: 48, CLS: 0,
  }); // prettier-ignore
  expect(new Set(back.map((vital) => vital.navigation))).toEqual(new Set(["back-forward-cache"]));
  const first = events("web_vital")[0]!;
  expect(back[0]!.metric_id).not.toBe(first.metric_id);
});

test("a vital names its verdict, its element and the page that was loaded, whatever came after", async () => {
  document.body.innerHTML = "<main><img class=hero></main>";
  await compared(() => {
    const element = document.querySelector("img");
    happen("largest-contentful-paint", { startTime: 2600, element });
    happen("largest-contentful-paint", { startTime: 4100, element });
    history.pushState({}, "", "/elsewhere");
  });
  const lcp = events("web_vital").find((vital) => vital.name == "LCP");
  expect(lcp).toMatchObject({
    value: 4100,
    rating: "poor",
    path: "/partners",
    navigation: "navigate",
  });
  expect(lcp!.target).toMatch(/main>img\.hero$/);
});
