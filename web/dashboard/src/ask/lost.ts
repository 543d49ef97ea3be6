// Since when the connection is lost, for whatever shows figures: all of them are marked at once.

import { useEffect, useReducer } from "preact/hooks";
import { onLink } from "./changes";

const AGE_MS = 10_000; // how often an age is told anew

let since = 0;
const told = new Set<() => void>();

onLink((link) => {
  const before = since;
  if (link === "reconnecting") since ||= Date.now();
  else if (link === "live") since = 0;
  if (before !== since) for (const each of [...told]) each();
});

/** When it was lost, in ms since 1970; 0 while it is there. What asks is drawn anew as that ages. */
export function useLost(): number {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const again = () => redraw(0);
    told.add(again);
    const timer = setInterval(() => since && again(), AGE_MS);
    return () => {
      told.delete(again);
      clearInterval(timer);
    };
  }, []);
  return since;
}
