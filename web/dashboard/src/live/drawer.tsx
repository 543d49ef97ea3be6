// One record, whole, and the trace that it is of.

import { useEffect, useRef, useState } from "preact/hooks";
import { headers } from "../ask/key";
import { at } from "../paths";
import { useRange } from "../shell/range";
import { clock, duration, statusClass, visible } from "../text";
import { Copy } from "../card/copy";
import { Trace } from "./trace";

const COLOURED = 100_000; // beyond that, a span for each token is more than a page should hold

/** What is opened: a row of the list; a step of a trace, which has no place in the log; or, by a link, a
 * trace and no record. */
export interface Opened {
  type: string;
  at?: string;
  id?: string;
  trace?: string;
  time?: string;
  status?: number;
  ms?: number;
}

interface Props {
  row: Opened;
  onClose: () => void;
  onOpen: (row: Opened) => void;
}

export function Drawer({ row, onClose, onOpen }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { zone } = useRange();
  const [record, setRecord] = useState("");
  const [refusal, setRefusal] = useState("");

  useEffect(() => {
    const open = dialog.current;
    if (open && !open.open) open.showModal();
  }, []);
  useEffect(() => {
    const abort = new AbortController();
    setRecord("");
    setRefusal("");
    if (!row.at && !row.id) return;
    load(row, abort.signal).then(setRecord, (error: Error) => {
      if (!abort.signal.aborted) setRefusal(error.message);
    });
    return () => abort.abort();
  }, [row.at, row.id]);

  return (
    <dialog class="drawer" ref={dialog} aria-labelledby="drawer-title" onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <div class="sheet">
        <header role="presentation">
          <div>
            <h2 id="drawer-title"><bdi>{visible(row.type)}</bdi></h2>
            <p class="muted">
              <span class={`state ${statusClass(row.status)}`}>{row.status}</span>
              {row.ms !== undefined && <span>{duration(row.ms)}</span>}
              {row.time && <span>{clock(row.time, zone)}</span>}
            </p>
          </div>
          {record && <Copy text={record} />}
          <button type="button" class="button" onClick={() => dialog.current?.close()}>Close <kbd>Esc</kbd></button>
        </header>
        {refusal && <p class="note bad" role="alert">{visible(refusal)}</p>}
        {!record && !refusal && (row.at || row.id) && <p class="muted" role="status">Reading the record…</p>}
        <Trace row={row} onOpen={onOpen} />
        {record && <pre class="json" tabindex={0} aria-label="The record as JSON"><code>{coloured(record)}</code></pre>}
      </div>
    </dialog>
  );
}

/** The record as text: from its place in the log where that is known, which has even what is no record. */
async function load(row: Opened, signal: AbortSignal): Promise<string> {
  const address = row.at ? at("live", `/record?at=${encodeURIComponent(row.at)}`) : at("records", `/${encodeURIComponent(row.id ?? "")}`);
  const answer = await fetch(address, { headers: headers(), signal, cache: "no-store" });
  const text = await answer.text();
  if (answer.ok && !row.at) return text;
  const found = JSON.parse(text || "{}") as { text?: string; message?: string };
  if (!answer.ok) throw new Error(found.message ?? `the server answered ${answer.status}`);
  return found.text ?? "";
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
