/**
 * Web vitals, each of the document as it was loaded or came back from the browser's cache:
 *
 *     TTFB, FCP   once
 *     LCP         the largest until the first input; final then, or when the page is hidden
 *     CLS         the worst window of shifts: less than 1 s between two, at most 5 s in all
 *     INP         of n interactions the one that n / 50 are slower than
 */

import { attempt } from "./attempt.ts";
import { pathTo } from "./elements.ts";
import { emit, on, view } from "./events.ts";
import { ends } from "./pages.ts";
import { clock, round } from "./words.ts";

type Name = "LCP" | "INP" | "CLS" | "TTFB" | "FCP";

/** What the browsers' types do not know yet. */
interface Entry extends PerformanceEntry {
  activationStart: number;
  element: Element | null;
  hadRecentInput: boolean;
  interactionId: number;
  responseStart: number;
  sources: { node: Node | null }[];
  target: Element | null;
  type: string;
  value: number;
}

/** Good up to the first, poor above the second. */
const LIMITS: Record<Name, readonly [number, number]> = {
  LCP: [2500, 4000],
  INP: [200, 500],
  CLS: [0.1, 0.25],
  TTFB: [800, 1800],
  FCP: [1800, 3000],
};
const CANDIDATES = 10; // slowest interactions that are remembered: enough for 500 on a page

type Found = [value: number, target?: Element | null];

export const vitals = (): void => {
  const [{ activationStart: start = 0, type = "", responseStart = 0 } = {}] =
    performance.getEntriesByType("navigation") as Partial<Entry>[];
  let navigation = start ? "prerender" : type.replace("_", "-");
  let origin = view!;
  let hidden = document.hidden ? 0 : Infinity; // what is painted later was not seen to come
  let found: Partial<Record<Name, Found>> = {};
  let told: Partial<Record<Name, number>> = {};
  let shifts = windowOfShifts();
  let interactions = slowest();
  const drains: (() => void)[] = [];

  const note = (name: Name, at: number, target?: Element | null): unknown =>
    (found[name] = [Math.max(0, round(at - start)), target]);
  const tell = (name: Name, at?: number): void => {
    if (at != null) note(name, at);
    const [value, target] = found[name] || [];
    if (value == null || value == told[name]) return;
    const [good, poor] = LIMITS[name];
    const fields = {
      name,
      value,
      rating: value > poor ? "poor" : value > good ? "needs-improvement" : "good",
      metric_id: name + "-" + origin.id,
      navigation,
      target: pathTo(target),
    };
    emit("web_vital", fields, origin);
    told[name] = value;
  };
  const observe = (type: string, heard: (entry: Entry) => void): unknown =>
    attempt(() => {
      const hear = (entries: PerformanceEntryList): unknown => (entries as Entry[]).forEach(heard);
      const observer = new PerformanceObserver((list) => attempt(() => hear(list.getEntries())));
      observer.observe({ type, buffered: true, durationThreshold: 40 } as PerformanceObserverInit);
      drains.push(() => hear(observer.takeRecords()));
    });
  const interacted = (entry: Entry): unknown =>
    entry.interactionId && (found.INP = interactions(entry));

  if (responseStart) tell("TTFB", responseStart);
  observe("paint", ({ name, startTime }) => {
    if (name == "first-paint" || startTime > hidden) return;
    found.CLS ||= [0];
    tell("FCP", startTime);
  });
  // The browser ends it with the first input.
  observe("largest-contentful-paint", ({ startTime, element }) => {
    if (startTime < hidden) note("LCP", startTime, element);
  });
  observe("layout-shift", (entry) => {
    const size = shifts(entry);
    if (size > found.CLS?.[0]!) found.CLS = [size, entry.sources[0]?.node as Element];
  });
  observe("event", interacted);
  observe("first-input", interacted);

  ends(() => {
    drains.forEach((drain) => drain());
    if (document.hidden) hidden = Math.min(hidden, clock());
    tell("LCP");
    tell("CLS");
    tell("INP");
  });
  on("pageshow", ({ persisted, timeStamp }: PageTransitionEvent) => {
    if (!persisted) return;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        origin = view!;
        found = { CLS: [0] };
        told = {};
        hidden = 0;
        navigation = "back-forward-cache";
        shifts = windowOfShifts();
        interactions = slowest();
        const painted = clock() - timeStamp + start;
        tell("TTFB", 0);
        tell("FCP", painted);
        tell("LCP", painted);
      }),
    );
  });
};

/** Layout shifts, one by one, become the size of the window that they are in. */
export const windowOfShifts = (): ((
  shift: Pick<Entry, "hadRecentInput" | "startTime" | "value">,
) => number) => {
  let size = 0;
  let first = 0;
  let last = 0;
  return ({ hadRecentInput, startTime, value }) => {
    if (hadRecentInput) return 0;
    if (!size || startTime - last >= 1000 || startTime - first >= 5000) {
      size = 0;
      first = startTime;
    }
    last = startTime;
    return (size += value);
  };
};

/** Entries of interactions, one by one, become INP so far. */
export const slowest = (): ((
  entry: Pick<Entry, "interactionId" | "duration" | "target">,
) => Found | undefined) => {
  const counted = (): number => (performance as { interactionCount?: number }).interactionCount!;
  const before = counted();
  const ids = new Set<number>();
  const longest = new Map<number, Found>();
  return ({ interactionId, duration, target }) => {
    const [known = 0] = longest.get(interactionId) || [];
    if (duration > known) longest.set(interactionId, [duration, target]);
    ids.add(interactionId);
    const sorted = [...longest].sort(([, a], [, b]) => b[0] - a[0]);
    if (sorted[CANDIDATES]) longest.delete(sorted.pop()![0]);
    const n = counted() - before || ids.size;
    return sorted[Math.min(sorted.length - 1, Math.floor(n / 50))]?.[1];
  };
};
