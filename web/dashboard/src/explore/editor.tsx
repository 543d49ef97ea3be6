// Where SQL is written: a text field over its own colours, with completion.
//
// A field of several lines is no combobox in ARIA, so it stays a text box that has a list: the choice
// is named by aria-activedescendant while the focus stays where one writes. Tab leaves, always.

import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { type Choice, type Completion, complete } from "./complete";
import { parts } from "./highlight";
import type { Schema } from "./schema";

interface Props {
  sql: string;
  schema: Schema | null;
  busy: boolean;
  onChange: (sql: string) => void;
  onRun: () => void;
  onCancel: () => void;
}

const NOTHING: Completion = { start: 0, choices: [] };
const LEAST_LINES = 8;
const MOST_LINES = 28;

export function Editor({ sql, schema, busy, onChange, onRun, onCancel }: Props) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const layer = useRef<HTMLPreElement>(null);
  const [offered, setOffered] = useState<Completion>(NOTHING);
  const [active, setActive] = useState(-1);
  const keywords = useMemo(() => new Set(schema?.keywords ?? []), [schema]);
  const open = offered.choices.length > 0;
  const close = () => {
    setOffered(NOTHING);
    setActive(-1);
  };
  const offer = (asked: boolean) => {
    const at = field.current;
    if (!at || !schema || at.selectionStart !== at.selectionEnd) return close();
    const found = complete(at.value, at.selectionStart, schema, asked);
    setOffered(found);
    // Only who asked for the list has a choice at once: Enter is a new line for everybody else.
    setActive(asked && found.choices.length ? 0 : -1);
  };
  const take = (choice: Choice) => {
    const at = field.current;
    if (!at) return;
    at.setRangeText(choice.text, offered.start, at.selectionStart, "end");
    onChange(at.value);
    close();
    at.focus();
  };
  const follow = () => {
    if (layer.current && field.current) layer.current.style.transform = `translate(${-field.current.scrollLeft}px, ${-field.current.scrollTop}px)`;
  };
  useEffect(follow, [sql]);

  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      close();
      return onRun();
    }
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      return offer(true);
    }
    if (event.key === "Escape") {
      if (open) {
        event.stopPropagation();
        close();
      } else if (busy) onCancel();
      return;
    }
    if (!open) return;
    const to = { ArrowDown: active + 1, ArrowUp: active < 0 ? offered.choices.length - 1 : active - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      setActive((to + offered.choices.length) % offered.choices.length);
    } else if (event.key === "Enter" && active >= 0) {
      const choice = offered.choices[active];
      event.preventDefault();
      if (choice) take(choice);
    } else if (/^(Arrow|Home|End|Page|Tab)/.test(event.key)) close();
  };
  const lines = Math.min(MOST_LINES, Math.max(LEAST_LINES, sql.split("\n").length + 1));
  return (
    <div class="editor">
      <label class="sr" for={`${id}-sql`}>SQL</label>
      <div class="written" style={{ height: `calc(${lines} * 1.5em + 24px)` }}>
        <div class="under" aria-hidden="true">
          <pre ref={layer}>{parts(sql, keywords).map((part, n) => (part.kind ? <span key={n} class={`sql-${part.kind}`}>{part.text}</span> : part.text))}{"\n"}</pre>
        </div>
        <textarea id={`${id}-sql`} ref={field} value={sql} spellcheck={false} autocomplete="off" autocapitalize="off" wrap="off"
          aria-autocomplete="list" aria-haspopup="listbox" aria-describedby={`${id}-keys`}
          {...(open ? { "aria-controls": `${id}-list` } : {})} {...(open && active >= 0 ? { "aria-activedescendant": `${id}-${active}` } : {})}
          onInput={(event) => { onChange((event.target as HTMLTextAreaElement).value); offer(false); }}
          onKeyDown={pressed} onScroll={follow} onBlur={close} onClick={close} />
        {open && field.current && (
          <Choices id={id} choices={offered.choices} active={active} onTake={take} place={caret(field.current, offered.start)} />
        )}
      </div>
      <p class="muted small" id={`${id}-keys`}>
        <kbd>Ctrl</kbd> <kbd>Enter</kbd> runs, <kbd>Ctrl</kbd> <kbd>Space</kbd> completes, <kbd>Esc</kbd> cancels
      </p>
      <span class="sr" role="status">{open ? `${offered.choices.length} completions; arrow down to choose.` : ""}</span>
    </div>
  );
}

interface Caret {
  line: number;
  column: number;
  left: number;
  top: number;
}

/** Where a place of the text stands, in lines and letters, which all have one width. */
function caret(field: HTMLTextAreaElement, at: number): Caret {
  const before = field.value.slice(0, at).split("\n");
  return { line: before.length, column: before[before.length - 1]?.length ?? 0, left: field.scrollLeft, top: field.scrollTop };
}

function Choices(props: { id: string; choices: Choice[]; active: number; onTake: (choice: Choice) => void; place: Caret }) {
  const list = useRef<HTMLUListElement>(null);
  const { line, column, left, top } = props.place;
  useEffect(() => list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [props.active]);
  return (
    <ul class="choices" role="listbox" id={`${props.id}-list`} aria-label="Completions" ref={list}
      style={{ left: `min(calc(${column}ch + 12px - ${left}px), max(0px, 100% - 340px))`, top: `calc(${line} * 1.5em + 14px - ${top}px)` }}>
      {props.choices.map((choice, n) => (
        <li key={choice.kind + choice.label} id={`${props.id}-${n}`} role="option" aria-selected={n === props.active}
          onMouseDown={(event) => { event.preventDefault(); props.onTake(choice); }}>
          <code>{choice.label}</code><span class="muted">{choice.detail || choice.kind}</span>
        </li>
      ))}
    </ul>
  );
}
