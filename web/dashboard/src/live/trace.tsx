// A whole trace: click, API call, AI turn, outcome, each behind what caused it, and when it ran.

import { type Answer, type Cells, number, place, text } from "../ask/answer";
import { useData } from "../ask/question";
import { count, duration, statusClass, visible } from "../text";
import { seconds } from "../unit";
import type { Opened } from "./drawer";

const DEEPEST = 8;
const PLAIN = /^[\w.-]{1,64}$/; // of another trace id the record's own id leads to it: the list cuts long ones

interface Props {
  row: Opened;
  onOpen: (row: Opened) => void;
}

export function Trace({ row, onOpen }: Props) {
  const near = row.time ? `?near=${encodeURIComponent(row.time)}` : "";
  const of = row.trace && (!row.id || PLAIN.test(row.trace)) ? row.trace : row.id ?? "";
  const { value, refused, again } = useData<Answer>("traces", of ? `/${encodeURIComponent(of)}${near}` : null, false);
  if (!of) return null;
  return (
    <section class="trace" aria-label="The same trace" aria-busy={value === null && !refused}>
      {value ? <Whole answer={value} here={row.id ?? ""} onOpen={onOpen} /> : (
        <>
          <h3>Trace</h3>
          {refused
            ? <p class="note bad" role="alert">{visible(refused.message)} <button type="button" class="link" onClick={again}>Try again</button></p>
            : <p class="muted small" role="status">Looking for what belongs together…</p>}
        </>
      )}
    </section>
  );
}

function Whole({ answer, here, onOpen }: { answer: Answer; here: string; onOpen: (row: Opened) => void }) {
  const at = (name: string) => place(answer, name);
  const end = (row: Cells) => (number(row, at("start_ms")) ?? 0) + (number(row, at("duration_ms")) ?? 0);
  const span = Math.max(1, ...answer.rows.map(end));
  const all = number(answer.rows[0], at("interactions")) ?? 0;
  if (answer.rows.length < 2) return <><h3>Trace</h3><p class="muted small">Nothing else belongs to it.</p></>;
  return (
    <>
      <h3>Trace <span class="muted">{count(all)} interactions within {span < 1000 ? duration(span) : seconds(span / 1000)}</span></h3>
      {all > answer.rows.length && <p class="muted small">The earliest {count(answer.rows.length)} are shown.</p>}
      <ol>
        {answer.rows.map((row) => <Step key={text(row, at("interaction_id"))} answer={answer} row={row} span={span} here={here} onOpen={onOpen} />)}
      </ol>
    </>
  );
}

interface StepProps {
  answer: Answer;
  row: Cells;
  span: number;
  here: string;
  onOpen: (row: Opened) => void;
}

function Step({ answer, row, span, here, onOpen }: StepProps) {
  const value = (name: string) => text(row, place(answer, name));
  const amount = (name: string) => number(row, place(answer, name));
  const id = value("interaction_id") ?? "";
  const type = value("interaction_type") ?? "";
  const status = amount("status") ?? undefined;
  const took = amount("duration_ms");
  const depth = Math.min(DEEPEST, amount("depth") ?? 0);
  const failed = value("error_type") !== null || (status ?? 0) >= 500;
  const begins = ((amount("start_ms") ?? 0) / span) * 100;
  const opened: Opened = {
    id, type, trace: value("trace_id") ?? "", time: value("at") ?? "", ...(status === undefined ? {} : { status }), ...(took === null ? {} : { ms: took }),
  };
  return (
    <li>
      <button type="button" class="step" aria-current={id === here} onClick={() => onOpen(opened)} data-depth={amount("depth") ?? 0}>
        <span class="of" style={{ paddingLeft: `${depth * 14}px` }}>
          {depth > 0 && <span class="muted" aria-hidden="true">↳</span>}
          <b><bdi>{visible(type)}</bdi></b>
          <span class="name"><bdi>{visible(value("what") ?? "")}</bdi></span>
          {status !== undefined && <span class={`state ${statusClass(status)}`}>{status}</span>}
          {amount("depth") ? <span class="sr">, caused by the one above it</span> : null}
        </span>
        <span class="when muted">{took === null ? `+${duration(amount("start_ms"))}` : duration(took)}</span>
        <span class="span" aria-hidden="true">
          <i class={failed ? "hurt" : ""} style={{ left: `${Math.min(99, begins).toFixed(2)}%`, width: `${(((took ?? 0) / span) * 100).toFixed(2)}%` }} />
        </span>
      </button>
    </li>
  );
}
