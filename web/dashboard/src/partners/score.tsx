// The score of a partner: how high, how sure, what it waits for, and where it stands among others.

import type { ComponentChildren } from "preact";
import type { Column } from "../ask/answer";
import { mayAct, useMe } from "../ask/person";
import { Card, Nothing } from "../card/card";
import { at } from "../paths";
import { count, percent, visible } from "../text";
import { type Confidence, type Score, type Standing, type Told, isRounded } from "./confidence";
import { Interval } from "./interval";
import { level, points, when, witnesses } from "./words";

export const SCORE_DOC = "PowerConfidence: what employees, customers and demos say of the partner and how far it agrees with what its CEO says, in points of 100.";

const COLUMNS: Column[] = [
  { name: "at", kind: "time", unit: "", doc: "When it was computed." },
  { name: "value", kind: "number", unit: "", doc: "Points of 100." },
  { name: "low", kind: "number", unit: "", doc: "Lower end of the interval." },
  { name: "high", kind: "number", unit: "", doc: "Upper end of the interval." },
  { name: "provisional", kind: "boolean", unit: "", doc: "Whether too little was said for a score that is ranked." },
  { name: "data_points", kind: "integer", unit: "", doc: "Pieces of evidence with a rating." },
];

export function Unscored() {
  return <span class="muted" title={SCORE_DOC}>no score yet</span>;
}

/** A score in a row of a list; undefined while nobody knows. */
export function Scored({ score, refused }: { score: Standing | null | undefined; refused: boolean }) {
  if (score === undefined && refused) return <span class="muted" title="The scores could not be read.">–</span>;
  if (score === undefined) return <span class="muted">…</span>;
  if (score === null) return <Unscored />;
  return (
    <span title={SCORE_DOC}>
      <b>{points(score.value)}</b> <span class="muted small">{points(score.low)} to {points(score.high)}{score.provisional ? ", provisional" : score.place !== null ? `, place ${count(score.place)}` : ""}</span>
    </span>
  );
}

export function ScoreCard({ told, partner, own, zone }: { told: Told; partner: string; own: boolean; zone: string }) {
  const { known, isKnown, confidence } = told;
  const value = confidence.value;
  const score = value?.score ?? null;
  const table = value?.at && score ? { columns: COLUMNS, rows: [[value.at, score.value, score.low, score.high, score.provisional, score.data_points]] } : null;
  const lacking = known.value !== null && !isKnown;
  return (
    <Card<unknown> id="score" class="score" title="PowerConfidence" tall={[170, 190]} zone={zone} table={table}
      data={isKnown ? confidence : known} empty={lacking || (value !== null && score === null)}
      hint={lacking ? <Unknown partner={partner} own={own} /> : value && <None confidence={value} />}
      definition={`${SCORE_DOC} Each source's mean is drawn to what is usual of its category, the more the fewer witnesses it has; the weighted sources are the score. The interval says between which values it would lie if others of the same kind had been asked. It is provisional until there are five of each kind and they count as ten equal witnesses. It is made anew when something is said, and each week, as evidence ages.`}>
      {() => (value && score ? <Whole confidence={value} score={score} zone={zone} /> : null)}
    </Card>
  );
}

function Whole({ confidence, score, zone }: { confidence: Confidence; score: Score; zone: string }) {
  const { peers } = confidence;
  const digits = isRounded(score) ? 0 : 1;
  return (
    <div class="whole">
      <p class="big" data-figure="score" data-value={score.value}>{points(score.value, digits)} <span class="muted small">of 100</span>{score.provisional && <> <span class="tag">provisional</span></>}</p>
      <p data-figure="score_interval" data-value={`${score.low} ${score.high}`}>{points(score.low, digits)} to {points(score.high, digits)} <span class="muted small">{level(score.level)} interval</span></p>
      <Interval value={score.value} low={score.low} high={score.high} beside={peers?.median} />
      <p class="scale muted small" aria-hidden="true"><span>0</span><span>100</span></p>
      {score.provisional && <ul class="whys small" aria-label="Why it is provisional">{score.why_provisional.map((why) => <li key={why}>{visible(why)}</li>)}</ul>}
      {peers && <Peers peers={peers} digits={digits} />}
      <Waiting confidence={confidence} />
      <p class="muted small">
        {count(score.data_points)} {score.data_points === 1 ? "answer" : "answers"}; {percent(score.evidence_share)} of the score stands on them, the rest on what is usual.
        {confidence.at && <> Computed {when(confidence.at, zone)}.</>} <a class="unprinted" href="#confidence">What it is made of</a>
      </p>
    </div>
  );
}

function Peers({ peers, digits }: { peers: NonNullable<Confidence["peers"]>; digits: number }) {
  const among = peers.category ? <> of <bdi>{visible(peers.category)}</bdi></> : "";
  return (
    <p class="small" data-figure="place" data-value={peers.place ?? ""}>
      {peers.place === null ? <>Not ranked yet: {count(peers.ranked)} of {count(peers.partners)} partners{among} are.</> : <>Place {count(peers.place)} of {count(peers.ranked)} ranked partners{among}.</>}
      {" "}Their median, the thin line, is {points(peers.median, digits)}.
    </p>
  );
}

/** What was said and is not shown to the partner yet: only the team is told that there is anything. */
function Waiting({ confidence }: { confidence: Confidence }) {
  const found = Object.entries(confidence.waiting).filter(([, n]) => n > 0);
  return (
    <>
      {found.map(([source, n]) => (
        <p key={source} class="small" data-waiting={source}>{n === 1 ? "1 more answer" : `${count(n)} more answers`} of {witnesses(source, n).replace(/^\S+ /, "")} {n === 1 ? "is" : "are"} shown to the partner once there are {count(confidence.k)}.</p>
      ))}
    </>
  );
}

function None({ confidence }: { confidence: Confidence }) {
  return (
    <>
      <p class="big"><Unscored /></p>
      <p class="small">{visible(confidence.why ?? "")}</p>
      <Waiting confidence={confidence} />
    </>
  );
}

/** Of a partner that PowerConfidence does not know: how to tell of it. */
function Unknown({ partner, own }: { partner: string; own: boolean }): ComponentChildren {
  const me = useMe();
  if (own) return <><p class="big"><Unscored /></p><p class="small">Nobody has told PowerConfidence of you yet: ask the platform.</p></>;
  const body = JSON.stringify({ partners: [{ partner_id: partner, name: partner }] }).replaceAll("'", "'\\''");
  const key = me.who === "anyone" ? "" : ' -H "Authorization: Bearer $KEY"';
  return (
    <>
      <p class="big"><Unscored /></p>
      <Nothing words={`PowerConfidence does not know this partner. ${mayAct(me) ? "Tell of it:" : "Whoever may change something tells of it:"}`}
        snippet={`curl ${location.origin}${at("partners")}${key} -H 'Content-Type: application/json' -d '${visible(body)}'`} />
    </>
  );
}
