// Forms: how many who begin one send it, and at which field the others stop.

import { useState } from "preact/hooks";
import { type Answer, type Value, number, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { setQuery, usePlace } from "../shell/place";
import { count, percent, visible } from "../text";
import { seconds } from "../unit";
import type { Shown } from "./page";

/** A form of one page. */
interface Place {
  form: string;
  path: string | null;
}

export function Forms({ range, where }: Shown) {
  const forms = useQuestion("forms", { where, by: ["path"] }, range);
  const { query } = usePlace();
  const known = forms.value?.kind === "forms" ? forms.value : null;
  const places = known?.rows.map((row): Place => ({ form: text(row, place(known, "form")) ?? "", path: text(row, place(known, "path")) })) ?? [];
  const here = places.find((each) => each.form === query.get("form") && each.path === query.get("on")) ?? places[0] ?? null;
  return (
    <>
      <Card id="forms" tall={[608, 695]} title="Forms" data={forms} zone={range.zone} hint={<p>No form was begun in this range.</p>}
        definition="How often each form of a page was begun, and what became of it: sent, given up, or neither is told (the page is still open, or its end never came). Of those that were not sent, the field at which most stopped. What is typed is never recorded.">
        {(answer) => <FormList answer={answer} here={here} />}
      </Card>
      <Stops range={range} where={where} here={here} />
    </>
  );
}

const MOST = 8;

function FormList({ answer, here }: { answer: Answer; here: Place | null }) {
  const [all, setAll] = useState(false);
  const at = (name: string) => place(answer, name);
  return (
    <>
      <ul class="forms" aria-label="Forms">
        {(all ? answer.rows : answer.rows.slice(0, MOST)).map((row) => {
          const form = text(row, at("form")) ?? "";
          const path = text(row, at("path"));
          const many = (column: string) => number(row, at(column)) ?? 0;
          const stop = text(row, at("stops_most_at"));
          return (
            <li key={`${form} ${path ?? ""}`}>
              <button type="button" class="form" aria-pressed={form === here?.form && path === here.path} onClick={() => setQuery({ form, on: path })}>
                <span class="name"><bdi>{visible(form)}</bdi>{path !== null && <span class="muted"><bdi>{visible(path)}</bdi></span>}</span>
                <span class="number" data-attempts={many("attempts")}>{count(many("attempts"))} begun</span>
                <span class="split" aria-hidden="true">
                  <i class="sent" style={{ flexGrow: many("submitted") }} />
                  <i class="left" style={{ flexGrow: many("abandoned") }} />
                  <i class="open" style={{ flexGrow: many("open") }} />
                </span>
                <span class="muted small">
                  {percent(many("submitted_share"))} sent · {count(many("abandoned"))} given up{many("open") > 0 && ` · ${count(many("open"))} open`}
                  {stop !== null && <> · most stop at <bdi>{visible(stop)}</bdi></>}
                </span>
              </button>
            </li>
          );
        })}
      </ul>
      {answer.rows.length > MOST && <button type="button" class="link small" onClick={() => setAll(!all)}>{all ? "Show fewer" : `Show all ${answer.rows.length}`}</button>}
    </>
  );
}

/** The fields of one form in their order: who used each, and who stopped there. */
function Stops({ range, where, here }: Pick<Shown, "range" | "where"> & { here: Place | null }) {
  const on: Value | null = here === null || here.path === null ? null : { field: "path", values: [here.path] };
  const narrowed: Value | undefined = on && where ? { all: [where, on] } : on ?? where;
  const fields = useQuestion("form_fields", here && { where: narrowed, form: here.form }, range);
  return (
    <Card id="stops" tall={80} title="Where people stop" note={here && <bdi>{visible(here.form)} {visible(here.path ?? "")}</bdi>} zone={range.zone}
      data={here ? fields : { ...fields, value: NOTHING, busy: false }} hint={<p>No field of a form was touched in this range.</p>}
      definition="Each field of the form in its order: in how many attempts it was used, how many of those that were not sent ended there, how often the browser refused it, and how long it had the focus. Who sends a form by a key never leaves its last field, which counts as used all the same.">
      {(answer) => <Fields answer={answer} />}
    </Card>
  );
}

const NOTHING: Answer = { kind: "form_fields", question: {}, columns: [], rows: [] };

function Fields({ answer }: { answer: Answer }) {
  const at = (name: string) => place(answer, name);
  return (
    <ol class="stops" aria-label="Fields">
      {answer.rows.map((row) => {
        const field = text(row, at("field"));
        const value = (name: string) => number(row, at(name));
        const reached = value("reached_share") ?? 0;
        const stopped = value("stopped") ?? 0;
        const focus = value("median_seconds");
        return (
          <li key={field ?? ""} class="stop">
            <span class="name">{field === null ? <i>before any field</i> : <bdi>{visible(field)}</bdi>}</span>
            <span class="track" aria-hidden="true"><i style={{ width: `${(reached * 100).toFixed(1)}%` }} /></span>
            <span class="small muted">
              {field !== null && <>used by {percent(reached)}</>}
              {focus !== null && <> · {seconds(focus)}</>}
              {(value("refused") ?? 0) > 0 && <> · refused {count(value("refused") ?? 0)}</>}
            </span>
            <strong class={stopped ? "bad" : "muted"} data-stopped={stopped}>{count(stopped)} stopped<span class="small muted"> {percent(value("stopped_share") ?? 0)}</span></strong>
          </li>
        );
      })}
    </ol>
  );
}
