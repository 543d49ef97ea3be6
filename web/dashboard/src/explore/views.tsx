// The views of the lake with their columns, at the side: choosing one writes it where the caret is.

import { useState } from "preact/hooks";
import type { Data } from "../ask/question";
import { State } from "../card/card";
import { visible } from "../text";
import { type Schema, type View, columnsOf } from "./schema";

interface Props {
  data: Data<Schema>;
  onWrite: (text: string) => void;
  onAsk: (sql: string) => void;
}

export function Views({ data, onWrite, onAsk }: Props) {
  const [wanted, setWanted] = useState("");
  const word = wanted.trim().toLowerCase();
  return (
    <section class="card views" aria-label="Views">
      <div class="cardhead"><h2>Views</h2></div>
      <input type="search" class="search" placeholder="Find a view or a column" aria-label="Find a view or a column" value={wanted}
        onInput={(event) => setWanted((event.target as HTMLInputElement).value)} />
      <State data={data} empty={false}>
        <ul class="viewlist">
          {data.value?.views.filter((view) => holds(view, data.value as Schema, word)).map((view) => (
            <Shown key={view.name} view={view} schema={data.value as Schema} word={word} onWrite={onWrite} onAsk={onAsk} />
          ))}
        </ul>
      </State>
    </section>
  );
}

function holds(view: View, schema: Schema, word: string): boolean {
  if (!word || view.name.includes(word)) return true;
  if (view.own?.some((own) => own.path.toLowerCase().includes(word))) return true;
  return view.like === undefined && columnsOf(schema, view).some((column) => column.name.includes(word));
}

function Shown({ view, schema, word, onWrite, onAsk }: { view: View; schema: Schema; word: string } & Omit<Props, "data">) {
  const [open, setOpen] = useState(false);
  const fits = (name: string) => !word || view.name.includes(word) || name.toLowerCase().includes(word);
  const columns = view.like === undefined ? columnsOf(schema, view).filter((column) => fits(column.name)) : [];
  const own = (view.own ?? []).filter((each) => fits(each.path));
  return (
    <li>
      <details open={open || (word !== "" && !view.name.includes(word))} onToggle={(event) => setOpen((event.target as HTMLDetailsElement).open)}>
        <summary><code>{view.name}</code></summary>
        <p class="muted small">{visible(view.doc)}</p>
        <p><button type="button" class="link small" onClick={() => onAsk(`SELECT *\nFROM ${view.name}\nLIMIT 100`)}>Ask for a hundred rows</button></p>
        {view.like && <p class="muted small">The columns of <code>{view.like}</code>{own.length > 0 && ", and in its objects:"}</p>}
        <ul>
          {columns.map((column) => <Named key={column.name} name={column.name} type={column.type} doc={column.doc} onWrite={() => onWrite(column.name)} />)}
          {own.map((each) => <Named key={each.path} name={each.path} type={each.type} doc={each.doc} onWrite={() => onWrite(each.sql)} />)}
        </ul>
      </details>
    </li>
  );
}

function Named({ name, type, doc, onWrite }: { name: string; type: string; doc: string; onWrite: () => void }) {
  return (
    <li>
      <button type="button" class="columnname" title={doc ? `${type}: ${doc}` : type} onClick={onWrite}>
        <code>{name}</code> <span class="muted small">{type}</span>
      </button>
    </li>
  );
}
