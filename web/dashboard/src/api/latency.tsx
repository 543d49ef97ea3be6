// The latency map: how the calls of each moment spread over response times.

import { type Answer, number, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Heat } from "../chart/heat";
import { momentOf } from "../chart/plot";
import { duration } from "../text";
import { figure } from "../unit";
import type { Shown } from "./page";

export function Latency({ range, where }: Shown) {
  const map = useQuestion("api_latency", { grain: "auto", where }, { ...range, compare: "" });
  return (
    <Card id="latency" tall={330} title="Latency map" data={map} zone={range.zone} hint={<p>No call of this range has a response time.</p>}
      definition="How the calls of each moment spread over response times: the darker, the larger the share of the moment's calls. A field holds times from its lower edge up to, and without, its upper one.">
      {(answer) => <Spread answer={answer} zone={range.zone} />}
    </Card>
  );
}

function Spread({ answer, zone }: { answer: Answer; zone: string }) {
  const drawn = heatOf(answer, zone);
  return (
    <Heat across={drawn.across} up={drawn.up} cells={drawn.cells} unit="0 to 1" label="Latency map" height={70 + 20 * drawn.up.length}
      said={(x, y, share) => `${drawn.across[x] ?? ""}, ${drawn.up[y] ?? ""}: ${figure("0 to 1", share)} of the calls (${drawn.calls.get(`${x} ${y}`) ?? 0})`} />
  );
}

/** Rows put in their places: moments across, bins from the quickest up; bins between that have none are shown, too. */
function heatOf(answer: Answer, zone: string) {
  const [at, from, to, calls, share] = ["moment", "from_ms", "to_ms", "calls", "share"].map((name) => place(answer, name)) as [number, number, number, number, number];
  const moments = [...new Set(answer.rows.map((row) => text(row, at) ?? ""))];
  const bins = new Map<number, number | null>();
  for (const row of answer.rows) bins.set(number(row, from) ?? 0, number(row, to));
  const edges = between(bins);
  const x = moments.map((each) => Date.parse(each));
  const dates = answer.columns[at]?.kind === "date";
  const across = moments.map((_, n) => momentOf({ x, dates, lines: [] }, n, zone));
  const up = edges.map(([low, high]) => (high === null ? `${edge(low)} and more` : `${low ? edge(low) : "0"} – ${edge(high)}`));
  const counts = new Map<string, number>();
  const cells = answer.rows.map((row): [number, number, number] => {
    const [column, line] = [moments.indexOf(text(row, at) ?? ""), edges.findIndex(([low]) => low === (number(row, from) ?? 0))];
    counts.set(`${column} ${line}`, number(row, calls) ?? 0);
    return [column, line, number(row, share) ?? 0];
  });
  return { across, up, cells, calls: counts };
}

/** Edges are round. */
function edge(ms: number): string {
  return duration(ms).replace(".0 ", " ");
}

const EDGES = [0, ...[1, 10, 100, 1000, 10_000].flatMap((ten) => [ten, 2 * ten, 5 * ten])];

/** The bins from the first to the last that have calls. */
function between(bins: Map<number, number | null>): [number, number | null][] {
  const [least, most] = [Math.min(...bins.keys()), Math.max(...bins.keys())];
  return EDGES.filter((edge) => edge >= least && edge <= most).map((edge) => [edge, EDGES[EDGES.indexOf(edge) + 1] ?? null]);
}
