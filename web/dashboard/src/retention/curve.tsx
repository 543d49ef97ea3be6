// All cohorts together: of those whose period is over, how many came back.

import { type Answer, number, place, text } from "../ask/answer";
import { type Bar, Columns } from "../chart/columns";
import { colour } from "../chart/lines";
import { count, percent, visible } from "../text";
import type { Grain } from "./back";

const MOST = 5;

export function Curve({ answer, by, grain, people }: { answer: Answer; by: string; grain: Grain; people: string }) {
  const [period, size, returned, share] = ["period", "size", "returned", "share"].map((name) => place(answer, name));
  const segments = by ? largest(answer, by) : [null];
  const periods = [...new Set(answer.rows.map((row) => number(row, period ?? -1) ?? 0))].sort((a, b) => a - b);
  const places = periods.map((n) => ({
    label: n === 0 ? "same" : `+${n}`,
    bars: segments.flatMap((segment, m): Bar[] => {
      const row = answer.rows.find((each) => number(each, period ?? -1) === n && (!by || text(each, place(answer, by)) === segment));
      if (!row) return [];
      const value = number(row, share ?? -1) ?? 0;
      const when = n === 0 ? `in the same ${grain}` : `${n} ${grain}${n === 1 ? "" : "s"} later`;
      return [{
        label: segment ?? "all", value, text: percent(value), colour: colour(m),
        said: `${by ? `${segment ?? "(none)"}: ` : ""}${percent(value)} came back ${when}, ${count(number(row, returned ?? -1) ?? 0)} of ${count(number(row, size ?? -1) ?? 0)} ${people}`,
      }];
    }),
  }));
  return (
    <>
      <Columns places={places} label="Retention of all cohorts" height={210} />
      {by && (
        <ul class="legend" aria-label="Segments">
          {segments.map((segment, n) => <li key={segment}><span class="swatch" style={{ background: `var(${colour(n)})` }} aria-hidden="true" /><bdi>{visible(segment ?? "(none)")}</bdi></li>)}
        </ul>
      )}
    </>
  );
}

/** Segments with most at their start. */
function largest(answer: Answer, by: string): (string | null)[] {
  const first = answer.rows.filter((row) => number(row, place(answer, "period")) === 0);
  const size = place(answer, "size");
  return [...first].sort((a, b) => (number(b, size) ?? 0) - (number(a, size) ?? 0)).slice(0, MOST).map((row) => text(row, place(answer, by)));
}
