// Whether what should come does come, whole, in time, and of whom: one type, day by day.

import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import type { Range } from "../shell/range";
import { visible } from "../text";

interface Drawn {
  id: string;
  title: string;
  tall: number | [number, number];
  values: string[];
  labels: Readonly<Record<string, string>>;
  definition: string;
  /** What is said where no day tells of it. */
  none: string;
}

const DRAWN: readonly Drawn[] = [
  {
    id: "volume", title: "Volume and what is expected", tall: 183, values: ["interactions", "expected"], labels: { interactions: "came", expected: "expected" },
    definition: "Expected is the median of the same weekday in the four weeks before. A day that is not over is not complete.",
    none: "No day of the range has any.",
  },
  {
    id: "arrival", title: "How late they come", tall: 109, values: ["lag_p50", "lag_p95"], labels: { lag_p50: "median", lag_p95: "of a hundred, five are later" },
    definition: "From the moment of the record, corrected for the sender's clock, to its receipt.",
    none: "None of them says when it was received: those that an app records itself need no way.",
  },
  {
    id: "whose", title: "Programs, strangers, wrong clocks", tall: [183, 205], values: ["bot_rate", "unknown_user_rate", "skewed_rate"],
    labels: { bot_rate: "of programs", unknown_user_rate: "without a known user", skewed_rate: "clock off by a minute" },
    definition: "Shares of the day's interactions. A clock is wrong when it is off by more than a minute, of those that say when they sent.",
    none: "No day of the range has any.",
  },
];

export function Quality({ type, range }: { type: string; range: Range }) {
  const quality = useQuestion("data_quality", type ? { types: [type] } : null, range);
  return (
    <>
      {DRAWN.map((each) => (
        <Card key={each.id} id={each.id} tall={each.tall} title={each.title} note={type ? <bdi>{visible(type)}</bdi> : ""} data={quality} zone={range.zone} definition={each.definition}>
          {(answer) => {
            const data = linesOf(answer, { x: "day", values: each.values, labels: each.labels });
            const told = data.lines.some((line) => line.values.some((value) => value !== null));
            return told ? <Series data={data} zone={range.zone} height={160} label={`${each.title}: ${type}`} /> : <p class="nothing muted">{each.none}</p>;
          }}
        </Card>
      ))}
    </>
  );
}
