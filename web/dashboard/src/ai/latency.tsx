// How quick turns are: to the first token, and to the last.

import { useQuestion } from "../ask/question";
import { number, place } from "../ask/answer";
import { Card, Waiting } from "../card/card";
import { Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import type { Scope } from "./only";

const LINES: Readonly<Record<string, string>> = {
  ttft_p50: "First token, median", ttft_p95: "First token, p95", duration_p50: "Whole answer, median", duration_p95: "Whole answer, p95",
};

export function Latency({ range, only, grain }: Scope) {
  const now = { ...range, compare: "" as const };
  const whole = useQuestion("ai_latency", { only }, range);
  const overTime = useQuestion("ai_latency", { by: [grain], only }, now);
  return (
    <Card id="latency" tall={[345, 358]} title="Latency" data={whole} questions={[whole, overTime]} zone={range.zone} hint="No turn of an AI in this range."
      definition="From the request to the first token (of turns that were streamed) and to the last one. Percentiles are values that were measured: half of the turns, or 95 of 100, took so long or less.">
      {(answer) => (
        <>
          <Figures figures={Object.entries(LINES).map(([name, label]) => {
            const at = place(answer, name);
            return { label, name, value: number(answer.rows[0], at), unit: "ms", better: "down" as const, doc: answer.columns[at]?.doc ?? "", change: answer.compared?.changes?.[at] };
          })} />
          {!overTime.value && !overTime.refused && <Waiting tall={[230, 248]} />}
          {overTime.value && <Series data={linesOf(overTime.value, { x: grain, values: Object.keys(LINES), over: range, labels: LINES })} zone={range.zone} label={`Latency by ${grain}`} />}
        </>
      )}
    </Card>
  );
}
