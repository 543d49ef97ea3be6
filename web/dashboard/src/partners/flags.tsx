// What looks like manipulation, and what it costs those who are under suspicion. A partner is told
// the kinds alone.

import type { Column } from "../ask/answer";
import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { percent, visible } from "../text";
import type { Confidence } from "./confidence";
import { flagOf, shortId, witnesses } from "./words";

const COLUMNS: Column[] = [
  { name: "kind", kind: "text", unit: "", doc: "What was seen." },
  { name: "respondents", kind: "text", unit: "", doc: "Whose weight it lowers." },
  { name: "factor", kind: "number", unit: "", doc: "What their weight is multiplied with." },
  { name: "sentence", kind: "text", unit: "", doc: "In words." },
];

export function FlagsCard({ confidence, zone }: { confidence: Data<Confidence>; zone: string }) {
  const flags = confidence.value?.score?.flags ?? [];
  return (
    <Card id="flags" tall={90} title="Flags" data={confidence} zone={zone} empty={confidence.value !== null && !flags.length}
      table={confidence.value && { columns: COLUMNS, rows: flags.map((one) => [one.kind, (one.respondents ?? []).join(" "), one.factor ?? null, one.sentence ?? ""]) }}
      hint="Nothing looks like manipulation."
      definition="What looks like manipulation: shared addresses or devices, nearly the same text, bursts, one rating for everything, customers who may be employees. A flag lowers the weight of its witnesses and removes nobody. A partner is told the kinds alone.">
      {() => (
        <ul class="plainlist">
          {flags.map((one, n) => (
            <li key={n} data-flag={one.kind}>
              <span class="tag bad">{flagOf(one.kind)}</span>
              {one.sentence && <> <bdi>{visible(one.sentence)}</bdi></>}
              {one.respondents && one.factor !== undefined && (
                <span class="muted small unprinted"> {witnesses("", one.respondents.length)} at {percent(one.factor)}: {one.respondents.map((id) => <code key={id} title={visible(id)}>{shortId(id)} </code>)}</span>
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
