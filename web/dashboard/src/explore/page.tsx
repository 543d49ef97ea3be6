// SQL over the lake's views. A query that comes in the address is shown and never run by itself: one
// press runs it.

import { useEffect, useRef, useState } from "preact/hooks";
import { useData } from "../ask/question";
import { Copy } from "../card/copy";
import { type Item, Menu } from "../card/menu";
import { place, setQuery } from "../shell/place";
import { Editor } from "./editor";
import { EXAMPLES } from "./examples";
import { remembered } from "./history";
import { ResultCard } from "./result";
import { useRunning } from "./run";
import type { Schema } from "./schema";
import { Views } from "./views";
import "./explore.css";

const LONGEST_IN_ADDRESS = 6000;

export default function Page() {
  const [sql, setSql] = useState(() => place().query.get("sql") ?? remembered()[0] ?? EXAMPLES[0]?.sql ?? "");
  const [given] = useState(() => place().query.get("sql") !== null);
  const schema = useData<Schema>("schema", "", false);
  const running = useRunning();
  const box = useRef<HTMLDivElement>(null);
  const ran = useRef(false);
  const run = () => {
    if (!sql.trim()) return;
    ran.current = true;
    setQuery({ sql: sql.length <= LONGEST_IN_ADDRESS ? sql : null }, true);
    running.run(sql);
  };
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key === "Escape" && running.busy && !document.querySelector("dialog[open]")) running.cancel();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [running.busy]);
  const write = (text: string) => {
    const field = box.current?.querySelector("textarea");
    if (!field) return;
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    setSql(field.value);
    field.focus();
  };
  const examples: Item[] = EXAMPLES.map((each) => ({ label: each.title, act: () => setSql(each.sql) }));
  return (
    <div class="explore" ref={box}>
      <div class="work">
        <section class="card" aria-label="Query" id="query">
          <Editor sql={sql} schema={schema.value} busy={running.busy} onChange={setSql} onRun={run} onCancel={running.cancel} />
          <div class="tools">
            {running.busy
              ? <button type="button" class="button strong" onClick={running.cancel}>Cancel <kbd>Esc</kbd></button>
              : <button type="button" class="button strong" disabled={!sql.trim()} onClick={run}>Run</button>}
            <Menu label="Examples" items={examples} class="button">Examples</Menu>
            <Past onChoose={setSql} key={String(running.busy)} />
            <Copy text={sql} />
            <span class="space" />
            <span class="muted small" role="status">{running.said || (given && !ran.current ? "From a link: look at it, then run it." : "")}</span>
          </div>
        </section>
        <ResultCard running={running} sql={sql} />
      </div>
      <Views data={schema} onWrite={write} onAsk={setSql} />
    </div>
  );
}

/** What was asked in this tab. */
function Past({ onChoose }: { onChoose: (sql: string) => void }) {
  const past = remembered();
  if (!past.length) return null;
  const items: Item[] = past.map((sql, n) => ({ label: `${n + 1}. ${sql.replace(/\s+/g, " ").slice(0, 70)}`, act: () => onChoose(sql) }));
  return <Menu label="History" items={items} class="button">History</Menu>;
}
