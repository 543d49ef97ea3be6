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

export function vitals(): void {
  const [arrival] = performance.getEntriesByType("navigation") as Entry[];
  const { activationStart: start = 0, type = "", responseStart = 0 } = arrival || {};
  let navigation = start ? "prerender" : type.replace("_", "-") || "navigate";
  let origin = view!;
  let hidden = document.hidden ? 0 : Infinity;
  let final = false; // LCP
  let found: Partial<Record<Name, Found>> = {};
  let told: Partial<Record<Name, number>> = {};
  let shifts = windowOfShifts();
  let interactions = slowest();
  const drains: (() => void)[] = [];

  const tell = (name: Name, value?: number): void => {
    if (value != null) found[name] = [value];
    const [measured, target] = found[name] || [];
    if (measured == null || measured == told[name]) return;
    const [good, poor] = LIMITS[name];
    emit("web_vital", {
      name,
      value: round(measured),
      rating: measured > poor ? "poor" : measured > good ? "needs-improvement" : "good",
      delta: round(Math.max(0, measured - (told[name] || 0))),
      metric_id: name + "-" + origin.id,
      navigation,
      target: pathTo(target),
      ...origin.place,
    });
    told[name] = measured;
  };
  const observe = (type: string, heard: (entry: Entry) => void): void =>
    void attempt(() => {
      const hear = (entries: PerformanceEntryList): void =>
        (entries as Entry[]).forEach((entry) => attempt(() => heard(entry)));
      const observer = new PerformanceObserver((list) => hear(list.getEntries()));
      observer.observe({ type, buffered: true, durationThreshold: 40 } as PerformanceObserverInit);
      drains.push(() => hear(observer.takeRecords()));
    });
  const drain = (): void => drains.forEach((drain) => drain());

  if (responseStart) tell("TTFB", Math.max(0, responseStart - start));
  observe("visibility-state", ({ name, startTime }) => {
    if (name == "hidden" && startTime >= start) hidden = Math.min(hidden, startTime);
  });
  observe("paint", ({ name, startTime }) => {
    if (name != "first-contentful-paint" || startTime > hidden) return;
    found.CLS ||= [0];
    tell("FCP", Math.max(0, startTime - start));
  });
  observe("largest-contentful-paint", ({ startTime, element }) => {
    if (!final && startTime < hidden) found.LCP = [Math.max(0, startTime - start), element];
  });
  observe("layout-shift", (entry) => {
    const worst = found.CLS;
    const size = shifts(entry);
    if (worst && size > worst[0]) found.CLS = [size, entry.sources?.[0]?.node as Element];
  });
  const interacted = (entry: Entry): void => {
    found.INP = interactions(entry) || found.INP;
  };
  observe("event", interacted);
  observe("first-input", interacted);

  on("visibilitychange", ({ timeStamp }) => {
    if (document.hidden) hidden = Math.min(hidden, timeStamp);
  });
  on("keydown click", ({ isTrusted }) => {
    if (isTrusted && !final) {
      setTimeout(() => {
        drain();
        final = true;
        tell("LCP");
      });
    }
  });
  ends(() => {
    drain();
    final ||= document.hidden;
    tell("LCP");
    tell("CLS");
    tell("INP");
  });
  on("pageshow", ({ persisted, timeStamp }: PageTransitionEvent) => {
    if (!persisted) return;
    drain();
    found = {};
    told = {};
    hidden = Infinity;
    final = true;
    navigation = "back-forward-cache";
    shifts = windowOfShifts();
    interactions = slowest();
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        origin = view!;
        found.CLS ||= [0];
        tell("TTFB", 0);
        tell("FCP", performance.now() - timeStamp);
        tell("LCP", performance.now() - timeStamp);
      }),
    );
  });
}

const round = (value: number): number => Math.round(value * 1e4) / 1e4;

/** Layout shifts, one by one, become the size of the window that they are in. */
export function windowOfShifts(): (shift: Pick<Entry, "hadRecentInput" | "startTime" | "value">) => number {
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
}

/** Entries of interactions, one by one, become INP so far. */
export function slowest(): (
  entry: Pick<Entry, "interactionId" | "duration" | "target">,
) => Found | undefined {
  const counted = (): number =>
    (performance as { interactionCount?: number }).interactionCount || 0;
  const before = counted();
  const ids = new Set<number>();
  let longest: { id: number; found: Found }[] = [];
  return ({ interactionId: id, duration, target }) => {
    if (id) {
      ids.add(id);
      const same = longest.find((one) => one.id == id);
      if (!same) longest.push({ id, found: [duration, target] });
      else if (duration > same.found[0]) same.found = [duration, target || same.found[1]];
      longest.sort((a, b) => b.found[0] - a.found[0]);
      longest = longest.slice(0, CANDIDATES);
    }
    const n = Math.max(ids.size, counted() - before);
    return longest[Math.min(longest.length - 1, Math.floor(n / 50))]?.found;
  };
}
