// What a score is made of: points of each source, of its witnesses and of what is usual, which are
// the score together; and for the team each witness, without a name.

import { useId, useState } from "preact/hooks";
import type { Cells, Column } from "../ask/answer";
import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { count, percent, visible } from "../text";
import { type Confidence, type Respondent, type Score, type SourcePart, isRounded } from "./confidence";
import { SOURCES, flagOf, points, pulled, shortId } from "./words";

const COLUMNS: Column[] = [
  { name: "source", kind: "text", unit: "", doc: "Who speaks." },
  { name: "weight", kind: "number", unit: "0 to 1", doc: "Part of the score that the source has." },
  { name: "witnesses", kind: "integer", unit: "", doc: "How many speak." },
  { name: "mean", kind: "number", unit: "0 to 1", doc: "What they say, by their weights." },
  { name: "evidence_points", kind: "number", unit: "", doc: "Points that the witnesses add." },
  { name: "prior_points", kind: "number", unit: "", doc: "Points that what is usual of the category adds." },
  { name: "pull", kind: "number", unit: "", doc: "Points above what the source would have added had they said what is usual." },
];

export function MadeCard({ confidence, zone }: { confidence: Data<Confidence>; zone: string }) {
  const score = confidence.value?.score ?? null;
  const rows: Cells[] = (score?.sources ?? []).map((part) => [part.source, part.weight, part.respondents_n, part.mean, part.points, part.prior_points, part.pull]);
  return (
    <Card id="made" tall={[290, 330]} class="wide" title="What it is made of" note="points of the score" data={confidence} zone={zone} table={score && { columns: COLUMNS, rows }}
      empty={confidence.value !== null && score === null} hint={confidence.value && visible(confidence.value.why ?? "")}
      definition="Each witness adds 100 · the source's weight · their own weight · what they say / (the weights of all of the source + the strength of what is usual); what is usual of the category adds the rest. All of these points together are the score. Pull is the same told differently: the points by which it is higher than if they had said what is usual; the score of a partner of whom nobody spoke, and all pulls, are the score too. A witness's weight is at most 1: less with age, without proof of who it is, with gaps, with flags.">
      {() => score && <Made score={score} />}
    </Card>
  );
}

function Made({ score }: { score: Score }) {
  const digits = isRounded(score) ? 0 : 2;
  return (
    <>
      <div class="stack" aria-hidden="true">
        {score.sources.map((part, n) => [
          <span key={part.source} class={`part c${n + 1}`} style={{ width: `${part.points}%` }} title={SOURCES[part.source]} />,
          <span key={`${part.source} prior`} class={`part usual c${n + 1}`} style={{ width: `${part.prior_points}%` }} />,
        ])}
      </div>
      <p class="scale muted small" aria-hidden="true"><span>0</span><span>filled: witnesses, hatched: what is usual</span><span>100</span></p>
      <div class="tablebox short" tabindex={0} role="group" aria-label="What it is made of, table">
        <table class="table made">
          <thead>
            <tr>
              <th scope="col">source</th><th scope="col" class="right less">part</th><th scope="col" class="right">witnesses</th><th scope="col" class="right less">they say</th>
              <th scope="col" class="right">evidence</th><th scope="col" class="right">usual</th><th scope="col" class="right">pull</th>
            </tr>
          </thead>
          {score.sources.map((part, n) => <Part key={part.source} part={part} n={n} digits={digits} />)}
          <tfoot>
            <tr>
              <th scope="row">Together, the score</th><td class="less" /><td /><td class="less" />
              <td colSpan={2} class="right" data-total={score.value}><b>{points(score.value, digits)}</b></td>
              <td class="right muted small" data-baseline={score.baseline}>from {points(score.baseline, digits)}</td>
            </tr>
          </tfoot>
        </table>
      </div>
      {digits === 0 && <p class="muted small">Each figure is rounded to whole points, so that together they may be a little off.</p>}
    </>
  );
}

function Part({ part, n, digits }: { part: SourcePart; n: number; digits: number }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const title = SOURCES[part.source] ?? visible(part.source);
  const name = <><span class={`tint c${n + 1}`} aria-hidden="true" />{title}</>;
  return (
    <tbody>
      <tr data-source={part.source}>
        <th scope="row">
          {part.respondents?.length
            ? <button type="button" class="opener" aria-label={`${title}: each witness`} aria-expanded={open} {...(open ? { "aria-controls": id } : {})} onClick={() => setOpen(!open)}>{name}<span class="turn" aria-hidden="true">{open ? "▾" : "▸"}</span></button>
            : <span class="opener">{name}</span>}
        </th>
        <td class="right less">{percent(part.weight)}</td>
        <td class="right" data-witnesses={part.respondents_n}>{count(part.respondents_n)}</td>
        <td class="right less">{part.mean === null ? "–" : percent(part.mean)}</td>
        <td class="right" data-points={part.points}>{points(part.points, digits)}</td>
        <td class="right" data-points={part.prior_points} title={visible(part.prior.basis)}>{points(part.prior_points, digits)}</td>
        <td class="right" data-pull={part.pull}>{pulled(part.pull, digits)}</td>
      </tr>
      {open && part.respondents && (
        <tr class="inside">
          <td colSpan={7} id={id}>
            <p class="muted small">What is usual: {percent(part.prior.mean)}, {visible(part.prior.basis)}.</p>
            <Agreed part={part} />
            <Respondents part={part} respondents={part.respondents} />
          </td>
        </tr>
      )}
    </tbody>
  );
}

/** Whether the witnesses of a source agree. */
function Agreed({ part: { reliability, effective_n, respondents_n } }: { part: SourcePart }) {
  if (!reliability || effective_n === undefined) return null;
  const { alpha, icc, icc_form, reason } = reliability;
  return (
    <p class="muted small">
      {count(respondents_n)} witnesses count as {points(effective_n)} equal ones.
      {alpha !== null && ` Krippendorff's α ${alpha.toFixed(2)}.`}{icc !== null && ` ${visible(icc_form)} ${icc.toFixed(2)}.`}{reason && ` ${visible(reason)}`}
    </p>
  );
}

const RESPONDENT: Column[] = [
  { name: "respondent", kind: "text", unit: "", doc: "The end of the witness's id." },
  { name: "mean", kind: "number", unit: "0 to 1", doc: "What they say." },
  { name: "weight", kind: "number", unit: "0 to 1", doc: "How much they count: the product of what follows." },
  { name: "age", kind: "number", unit: "0 to 1", doc: "0.7 for each year." },
  { name: "verification", kind: "number", unit: "0 to 1", doc: "1 by a link of their own; less when somebody else told of it." },
  { name: "completeness", kind: "number", unit: "0 to 1", doc: "How much of the form they filled in." },
  { name: "flagged", kind: "number", unit: "0 to 1", doc: "What flags leave of the weight." },
  { name: "flags", kind: "text", unit: "", doc: "What looks like manipulation." },
  { name: "points", kind: "number", unit: "", doc: "Points that they add." },
  { name: "pull", kind: "number", unit: "", doc: "Points by which the score is higher than if they had said what is usual." },
];

function Respondents({ part, respondents }: { part: SourcePart; respondents: Respondent[] }) {
  const rows: Cells[] = respondents.map(({ respondent_id, mean, weight, factors, points: own, pull }) => [
    respondent_id, mean, weight, factors.age, factors.verification, factors.completeness, factors.flagged, Object.keys(factors.flags).join(" "), own, pull,
  ]);
  return (
    <Table columns={RESPONDENT} rows={rows} label={`${SOURCES[part.source]}, each witness`} sort="-points" most={50} cells={{
      respondent: (value) => <code title={visible(String(value))}>{shortId(String(value))}</code>,
      flags: (value) => (value ? String(value).split(" ").map(flagOf).join("; ") : ""),
      points: (value) => (typeof value === "number" ? points(value, 2) : "–"),
      pull: (value) => (typeof value === "number" ? pulled(value) : "–"),
    }} />
  );
}
