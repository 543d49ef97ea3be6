// One record, whole, and the others of its trace.

import { useEffect, useRef, useState } from "preact/hooks";
import { headers } from "../ask/key";
import { at } from "../paths";
import { clock, duration, statusClass, visible } from "../text";
import { Copy } from "../card/copy";
import type { Detail, Row } from "./protocol";

const COLOURED = 100_000; // beyond that, a span for each token is more than a page should hold

export function Drawer({ row, onClose, onOpen }: { row: Row; onClose: () => void; onOpen: (row: Row) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [detail, setDetail] = useState<Detail | null>(null);
  const [refusal, setRefusal] = useState("");

  useEffect(() => {
    const open = dialog.current;
    if (open && !open.open) open.showModal();
  }, []);
  useEffect(() => {
    const abort = new AbortController();
    setDetail(null);
    setRefusal("");
    load(row.at, abort.signal).then(setDetail, (error: Error) => {
      if (!abort.signal.aborted) setRefusal(error.message);
    });
    return () => abort.abort();
  }, [row.at]);

  return (
    <dialog class="drawer" ref={dialog} aria-labelledby="drawer-title" onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <div class="sheet">
        <header>
          <div>
            <h2 id="drawer-title"><bdi>{visible(row.type)}</bdi></h2>
            <p class="muted">
              <span class={`state ${statusClass(row.status)}`}>{row.status}</span>
              {row.ms !== undefined && <span>{duration(row.ms)}</span>}
              <span>{clock(row.time)}</span>
            </p>
          </div>
          {detail && <Copy text={detail.text} />}
          <button type="button" class="button" onClick={() => dialog.current?.close()}>Close <kbd>Esc</kbd></button>
        </header>
        {refusal && <p class="note bad" role="alert">{visible(refusal)}</p>}
        {!detail && !refusal && <p class="muted">Reading the log…</p>}
        {detail && detail.trace.length > 1 && <Trace rows={detail.trace} here={row.at} onOpen={onOpen} />}
        {detail && <pre class="json" tabindex={0} aria-label="The record as JSON"><code>{coloured(detail.text)}</code></pre>}
      </div>
    </dialog>
  );
}

function Trace({ rows, here, onOpen }: { rows: Row[]; here: string; onOpen: (row: Row) => void }) {
  return (
    <section class="trace" aria-label="The same trace">
      <h3>Trace <span class="muted">{rows.length} interactions</span></h3>
      <ol>
        {rows.map((row) => (
          <li key={row.at}>
            <button type="button" aria-current={row.at === here} onClick={() => onOpen(row)}>
              <span class="muted">{clock(row.time)}</span>
              <b><bdi>{visible(row.type)}</bdi></b>
              <span class="name"><bdi>{visible(row.what)}</bdi></span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}

async function load(place: string, signal: AbortSignal): Promise<Detail> {
  const answer = await fetch(at("live", `/record?at=${encodeURIComponent(place)}`), { headers: headers(), signal, cache: "no-store" });
  const found = (await answer.json()) as Detail & { message?: string };
  if (!answer.ok) throw new Error(found.message ?? `the server answered ${answer.status}`);
  return found;
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*|true|false|null)/g;

/** JSON with its names, texts and numbers told apart; always text nodes. */
function coloured(text: string) {
  if (text.length > COLOURED) return visible(text);
  const parts = [];
  let done = 0;
  for (const found of text.matchAll(TOKEN)) {
    parts.push(visible(text.slice(done, found.index)));
    const kind = found[1] ? (found[2] ? "name" : "text") : "number";
    parts.push(<span class={kind}>{visible(found[1] ?? found[3] ?? "")}</span>, found[2] ?? "");
    done = found.index + found[0].length;
  }
  parts.push(visible(text.slice(done)));
  return parts;
}
