// Forms: how many who begin one send it, and at which field the others stop.

import { type Answer, number, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { useQuery } from "../shell/place";
import { count, percent, visible } from "../text";
import { seconds } from "../unit";
import type { Shown } from "./page";

export function Forms({ range, where }: Shown) {
  const forms = useQuestion("forms", { where }, range);
  const [asked, choose] = useQuery("form");
  const known = forms.value?.kind === "forms" ? forms.value : null;
  const named = known?.rows.map((row) => text(row, place(known, "form")) ?? "") ?? [];
  const form = named.includes(asked) ? asked : named[0] ?? "";
  return (
    <>
      <Card id="forms" title="Forms" data={forms} zone={range.zone} hint={<p>No form was begun in this range.</p>}
        definition="How often each form was begun, and what became of it: sent, given up, or neither is told (the page is still open, or its end never came). Of those that were not sent, the field at which most stopped. What is typed is never recorded.">
        {(answer) => <FormList answer={answer} form={form} onChoose={choose} />}
      </Card>
      <Stops range={range} where={where} form={form} />
    </>
  );
}

function FormList({ answer, form, onChoose }: { answer: Answer; form: string; onChoose: (form: string) => void }) {
  const at = (name: string) => place(answer, name);
  return (
    <ul class="forms" aria-label="Forms">
      {answer.rows.map((row) => {
        const name = text(row, at("form")) ?? "";
        const share = (column: string) => number(row, at(column)) ?? 0;
        const attempts = share("attempts");
        const stop = text(row, at("stops_most_at"));
        return (
          <li key={name}>
            <button type="button" class="form" aria-pressed={name === form} onClick={() => onChoose(name)}>
              <span class="name"><bdi>{visible(name)}</bdi></span>
              <span class="number" data-attempts={attempts}>{count(attempts)} begun</span>
              <span class="split" aria-hidden="true">
                <i class="sent" style={{ flexGrow: share("submitted") }} />
                <i class="left" style={{ flexGrow: share("abandoned") }} />
                <i class="open" style={{ flexGrow: share("open") }} />
              </span>
              <span class="muted small">
                {percent(share("submitted_share"))} sent · {count(share("abandoned"))} given up{share("open") > 0 && ` · ${count(share("open"))} open`}
                {stop !== null && <> · most stop at <bdi>{visible(stop)}</bdi></>}
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** The fields of one form in their order: who used each, and who stopped there. */
function Stops({ range, where, form }: Pick<Shown, "range" | "where"> & { form: string }) {
  const fields = useQuestion("form_fields", form ? { where, form } : null, range);
  const idle = form === "";
  return (
    <Card id="stops" title="Where people stop" note={form && <bdi>{visible(form)}</bdi>} zone={range.zone}
      data={idle ? { ...fields, value: NOTHING, busy: false } : fields} hint={<p>No field of a form was touched in this range.</p>}
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
            <span class="bar" aria-hidden="true"><i style={{ width: `${(reached * 100).toFixed(1)}%` }} /></span>
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
