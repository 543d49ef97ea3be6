// What people rate highest and lowest, and what they say in words, without who said it.

import type { Column } from "../ask/answer";
import { partnerOf, useMe } from "../ask/person";
import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { count, percent, visible } from "../text";
import type { Confidence, Quote, Source } from "./confidence";
import { SOURCES, categoryOf, witnesses } from "./words";

const MOST = 4;
const OF_STRENGTHS = ["strengths", "results"];
const OF_OPPORTUNITIES = ["improvements"];

interface Rated {
  source: Source;
  category: string;
  mean: number;
  respondents: number;
}

const COLUMNS: Column[] = [
  { name: "source", kind: "text", unit: "", doc: "Who rates." },
  { name: "category", kind: "text", unit: "", doc: "What is rated." },
  { name: "mean", kind: "number", unit: "0 to 1", doc: "By the weights of the witnesses." },
  { name: "respondents", kind: "integer", unit: "", doc: "How many rated it." },
];

/** Each category of each source, the highest first; agreement with the CEO has its own card. */
function rated(confidence: Confidence | null): Rated[] {
  const all = (confidence?.score?.sources ?? []).filter((part) => part.source !== "consistency");
  return all.flatMap((part) => part.categories.map((one) => ({ ...one, source: part.source }))).sort((a, b) => b.mean - a.mean);
}

export function SaidCards({ confidence, zone }: { confidence: Data<Confidence>; zone: string }) {
  const all = rated(confidence.value);
  const most = Math.min(MOST, Math.ceil(all.length / 2));
  const high = all.slice(0, most);
  const low = all.slice(most).slice(-MOST).reverse();
  const quotes = confidence.value?.quotes ?? [];
  const of = (fields: string[]) => quotes.filter((one) => fields.includes(one.field));
  const rest = quotes.filter((one) => !OF_STRENGTHS.includes(one.field) && !OF_OPPORTUNITIES.includes(one.field));
  return (
    <>
      <Side id="strengths" title="Strengths" note="rated highest" {...{ confidence, zone }} rated={high} quotes={of(OF_STRENGTHS)} />
      <Side id="opportunities" title="Opportunities" note="rated lowest" {...{ confidence, zone }} rated={low} quotes={of(OF_OPPORTUNITIES)} />
      {rest.length > 0 && (
        <Card id="comments" class="wide" title="Comments" data={confidence} zone={zone} table={null} empty={false} definition={QUOTED}>
          {() => <Quotes quotes={rest} label="Comments" />}
        </Card>
      )}
    </>
  );
}

const QUOTED = "Words are without names and addresses, in an order that says nothing of who said them and when.";

interface SideProps {
  id: string;
  title: string;
  note: string;
  confidence: Data<Confidence>;
  zone: string;
  rated: Rated[];
  quotes: Quote[];
}

function Side({ id, title, note, confidence, zone, rated: shown, quotes }: SideProps) {
  const k = confidence.value?.k ?? 0;
  const partner = partnerOf(useMe());
  return (
    <Card id={id} tall={280} title={title} note={note} data={confidence} zone={zone}
      table={confidence.value && { columns: COLUMNS, rows: shown.map((one) => [one.source, one.category, one.mean, one.respondents]) }}
      empty={confidence.value !== null && shown.length + quotes.length === 0} hint={confidence.value?.why ? visible(confidence.value.why) : partner ? `Nothing can be shown yet: it takes answers of ${count(k)} people.` : "Nothing was rated yet."}
      definition={`What is ${note} of all that witnesses rate, as a mean by their weights: 100% is the top of the scale. A partner sees a category once ${count(k)} people rated it. ${QUOTED}`}>
      {() => (
        <>
          <ul class="rates">
            {shown.map((one) => (
              <li key={one.source + one.category} data-rated={`${one.source} ${one.category}`} data-value={one.mean}>
                <p><span><bdi>{categoryOf(one.category)}</bdi> <span class="muted small">{witnesses(one.source, one.respondents)}</span></span><span class="space" /><b>{percent(one.mean)}</b></p>
                <div class="level" aria-hidden="true"><span style={{ width: `${one.mean * 100}%` }} /></div>
              </li>
            ))}
          </ul>
          <Quotes quotes={quotes} label={`${title} in words`} />
        </>
      )}
    </Card>
  );
}

function Quotes({ quotes, label }: { quotes: Quote[]; label: string }) {
  if (!quotes.length) return null;
  return (
    <ul class="quotes" aria-label={label}>
      {quotes.map((one, n) => (
        <li key={n} data-quote={one.source}><q><bdi>{visible(one.text)}</bdi></q> <span class="muted small">{SOURCES[one.source] ?? visible(one.source)}</span></li>
      ))}
    </ul>
  );
}
