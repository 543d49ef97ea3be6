// "How is this computed?": what was asked, the SQL of it, and what the columns mean.

import { useEffect, useState } from "preact/hooks";
import type { Answer, Column } from "../ask/answer";
import { Refused, tell } from "../ask/client";
import { partnerOf, useMe } from "../ask/person";
import type { Question } from "../ask/question";
import { href } from "../shell/place";
import { visible } from "../text";
import { figure } from "../unit";
import { Copy } from "./copy";
import { Dialog } from "./dialog";

/** `definition`: in words, what the card shows. */
export function Explain(props: { title: string; definition: string; questions: Question[]; onClose: () => void }) {
  return (
    <Dialog title={`${props.title}: how is this computed?`} onClose={props.onClose}>
      <p>{props.definition}</p>
      {props.questions.map((question) => <Asked key={question.kind + JSON.stringify(question.parameters)} question={question} />)}
    </Dialog>
  );
}

function Asked({ question }: { question: Question }) {
  const partner = partnerOf(useMe());
  const [found, setFound] = useState<Answer | null>(null);
  const [refused, setRefused] = useState("");
  const { kind, parameters } = question;
  useEffect(() => {
    const abort = new AbortController();
    const rest = `/${kind}${partner ? "" : "?sql=1"}`;
    tell<Answer>("questions", rest, { body: parameters, signal: abort.signal }).then(
      (told) => setFound(told.value),
      (error: unknown) => !abort.signal.aborted && setRefused(error instanceof Refused ? error.message : "The statement could not be read."),
    );
    return () => abort.abort();
  }, []);
  const columns = found?.columns ?? question.value?.columns ?? [];
  const source = found?.source === "rollups" ? "roll-ups, hour by hour" : found?.source;
  const said = JSON.stringify(parameters, null, 2);
  return (
    <section class="explained">
      <h3>The question <code>{kind}</code></h3>
      <div class="snippet"><pre tabindex={0} aria-label={`Parameters of ${kind}`}><code>{visible(said)}</code></pre><Copy text={said} /></div>
      {found?.sql && <Statement kind={kind} sql={found.sql} />}
      {refused && <p class="note bad" role="alert">{visible(refused)}</p>}
      {source && <p class="muted small">Read from {source}{found?.took_ms === undefined ? "" : ` in ${figure("ms", found.took_ms)}`}.</p>}
      <Columns columns={columns} />
    </section>
  );
}

/** What runs as it is copied; without such a form the statement and its values. */
function Statement({ kind, sql }: { kind: string; sql: NonNullable<Answer["sql"]> }) {
  const text = sql.runnable ?? sql.text;
  return (
    <>
      <h3>As SQL</h3>
      <div class="snippet">
        <pre tabindex={0} aria-label={`SQL of ${kind}`}><code>{visible(text)}</code></pre>
        <Copy text={text} />
      </div>
      {sql.runnable !== null
        ? <p class="muted small">It runs as it is in <a href={href("explore")}>Explore</a> and in <code>lakeward query</code>.</p>
        : <p class="muted small">It asks tables that are made for it alone, so it runs nowhere else. Parameters: <code>{visible(JSON.stringify(sql.parameters))}</code></p>}
    </>
  );
}

function Columns({ columns }: { columns: readonly Column[] }) {
  if (!columns.length) return null;
  return (
    <dl class="columnlist">
      {columns.map((column) => (
        <div key={column.name}>
          <dt><code>{visible(column.name)}</code>{column.unit && <span class="muted"> {column.unit}</span>}</dt>
          <dd>{visible(column.doc)}</dd>
        </div>
      ))}
    </dl>
  );
}
