// Key figures of all calls, and calls, failures and response times over the range.

import { type Answer, changed, single } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { COMPARES } from "../shell/range";
import { Send } from "./empty";
import type { Shown } from "./page";

const FIGURES = [
  { name: "calls", label: "Calls" },
  { name: "calls_per_minute", label: "Calls a minute" },
  { name: "error_rate", label: "Failed (5xx)", better: "down" },
  { name: "client_error_rate", label: "Refused (4xx)" },
  { name: "p50", label: "p50", better: "down" },
  { name: "p95", label: "p95", better: "down" },
  { name: "p99", label: "p99", better: "down" },
  { name: "apdex", label: "Apdex (300 ms)", better: "up", unit: "" },
] as const;

export function Totals({ range, where }: Shown) {
  const health = useQuestion("api_health", { by: [], where }, range);
  return (
    <Card id="health" tall={[45, 195]} title="API" note={range.label} data={health} zone={range.zone} empty={health.value !== null && !single(health.value, "calls")}
      hint={<Send range={range} />}
      definition="All calls of the range: everybody's, programs and the team's own, too. A call failed when the server answered 5xx, and was refused with 4xx; shares are of the calls that were answered. Percentiles are response times by nearest rank. Apdex counts a call within 300 ms whole, within 1.2 s half.">
      {(answer) => <Figures than={COMPARES[range.compare].toLowerCase()} figures={FIGURES.map((each) => ({ ...each, ...figureOf(answer, each.name), ...("unit" in each ? { unit: each.unit } : {}) }))} />}
    </Card>
  );
}

function figureOf(answer: Answer, name: string) {
  const column = answer.columns.find((each) => each.name === name);
  return { value: single(answer, name), unit: column?.unit ?? "", doc: column?.doc ?? "", change: changed(answer, name) };
}

/** Health counts what everybody met, programs and the team too; trends must be told so. */
const EVERYBODY = { bots: true, internal: true };

export function Traffic({ range, where }: Shown) {
  const series = [{ event: "api_call", label: "Calls" }, { event: "api_call", metric: "errors", label: "Failed" }];
  const calls = useQuestion("trend", { grain: "auto", series, where, ...EVERYBODY }, range);
  return (
    <Card id="calls" tall={213} title="Calls and failures" data={calls} zone={range.zone} hint={<p>No calls in this range.</p>}
      definition="How many calls of everybody there were in each moment, and how many of them the server failed (5xx).">
      {(answer) => (
        <Series data={linesOf(answer, { values: ["series_1", "series_2"], labels: { series_1: "Calls", series_2: "Failed" } })}
          zone={range.zone} label="Calls and failures" before={range.compare ? COMPARES[range.compare] : ""} />
      )}
    </Card>
  );
}

const TIMES = { series_1: "p50", series_2: "p95", series_3: "p99" };

export function Times({ range, where }: Shown) {
  const series = Object.values(TIMES).map((metric) => ({ event: "api_call", metric, label: metric }));
  const times = useQuestion("trend", { grain: "auto", series, where, ...EVERYBODY }, range);
  return (
    <Card id="times" tall={213} title="Response time" data={times} zone={range.zone} hint={<p>No calls in this range.</p>}
      definition="Response times of each moment by nearest rank: half of the calls were as quick as p50, or quicker, 95 of 100 as p95, 99 of 100 as p99.">
      {(answer) => {
        const lines = linesOf(answer, { values: Object.keys(TIMES), labels: TIMES });
        // Trends have no unit for a field; these are of one that is in milliseconds.
        return (
          <Series data={{ ...lines, lines: lines.lines.map((line) => ({ ...line, unit: "ms" })) }} zone={range.zone} label="Response time"
            before={range.compare ? COMPARES[range.compare] : ""} />
        );
      }}
    </Card>
  );
}
