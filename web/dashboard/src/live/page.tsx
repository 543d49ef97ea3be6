// The live page: what arrives, the last hour, and one record in detail.

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { keepKey } from "../key";
import { type Me, NOBODY, whoami } from "../login/account";
import { LoginForm } from "../login/forms";
import { Who } from "../login/who";
import { Breakdown } from "./breakdown";
import { Charts } from "./charts";
import { Drawer } from "./drawer";
import { type Filter, NOTHING, isOpen, query, readFilter } from "./filter";
import { Filters } from "./filters";
import { List } from "./list";
import { Model } from "./model";
import type { Row } from "./protocol";
import { Empty, KeyForm, Problem, Status } from "./states";
import { Summary } from "./summary";

export function LivePage(props: { refused: string }) {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const [filter, setFilter] = useState<Filter>(() => readFilter(location.search));
  const [opened, setOpened] = useState<Row | null>(null);
  const [entries, setEntries] = useState(0);
  const [triedKey, setTriedKey] = useState(false);
  const [me, setMe] = useState<Me>(NOBODY);
  const held = useRef<Model | null>(null);
  const model = (held.current ??= new Model(() => redraw(0)));

  useEffect(() => {
    history.replaceState(null, "", location.pathname + query(filter));
    model.open(filter);
  }, [filter, entries]);
  const needsKey = model.link === "key";
  useEffect(() => void whoami().then(setMe), [entries, needsKey]);
  useEffect(() => () => model.close(), []);
  useShortcuts(() => model.pause(!model.paused));

  const change = (part: Partial<Filter>) => setFilter((before) => ({ ...before, ...part }));
  const toggle = (name: "type" | "route", value: string) =>
    change({ [name]: filter[name] === value ? "" : value });

  const again = () => setEntries((n) => n + 1);
  const failed = model.link === "error";
  const nothing = model.answered && model.items.length === 0;
  const empty = nothing && isOpen(filter) && !model.hour?.totals.count;

  return (
    <>
      {!needsKey && !failed && <a class="skip" href="#list">Skip to the list</a>}
      <header class="bar">
        <h1 class="brand"><Mark />Lakeward <span class="muted">live</span></h1>
        <Status link={model.link} paused={model.paused} rate={model.rate} />
        <button type="button" class="button" aria-pressed={model.paused} disabled={needsKey || failed}
          onClick={() => model.pause(!model.paused)} title="Pause or go on (p)">
          {model.paused ? "Resume" : "Pause"}
        </button>
        <Who me={me} onOut={again} />
      </header>
      <main class="page">
        {needsKey && (
          <div class="ways">
            <LoginForm oidc={me.oidc === true} refused={props.refused}
              onIn={() => { keepKey(""); again(); }} />
            <KeyForm message={model.message} tried={triedKey}
              onKey={(key) => { keepKey(key); setTriedKey(true); again(); }} />
          </div>
        )}
        {failed && <Problem message={model.message} onClear={() => setFilter(NOTHING)} />}
        {!needsKey && !failed && (
          <>
            <Notes trouble={model.trouble} cut={model.cut} loading={model.loading && model.answered} />
            <Summary again={entries} />
            <div class="columns">
              <div class="column wide">
                <Charts hour={model.hour} frozen={model.paused} filter={filter} />
                <Filters filter={filter} onChange={change} onClear={() => setFilter(NOTHING)} />
                {empty ? <Empty /> : (
                  <List items={model.items} waiting={model.waiting} paused={model.paused}
                    filtered={!isOpen(filter)} answered={model.answered} busy={model.rate > 20}
                    onOpen={setOpened} onResume={() => model.pause(false)}
                    onClear={() => setFilter(NOTHING)} />
                )}
              </div>
              <aside class="column narrow" aria-label="Types and routes of the last hour">
                <Breakdown title="Types" lines={model.hour?.types ?? []} chosen={filter.type}
                  onChoose={(name) => toggle("type", name)} />
                <Breakdown title="Routes" lines={model.hour?.routes ?? []} chosen={filter.route} timed
                  onChoose={(name) => toggle("route", name)} />
              </aside>
            </div>
          </>
        )}
      </main>
      <footer class="foot muted">
        <span><kbd>/</kbd> search</span>
        <span><kbd>p</kbd> pause</span>
        <span><kbd>j</kbd> <kbd>k</kbd> move</span>
        <span><kbd>Enter</kbd> open</span>
      </footer>
      {opened && <Drawer row={opened} onClose={() => setOpened(null)} onOpen={setOpened} />}
    </>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M5 12c3.7-3.6 7.3-3.6 11 0s7.3 3.6 11 0M5 20c3.7-3.6 7.3-3.6 11 0s7.3 3.6 11 0" />
    </svg>
  );
}

function Notes(props: { trouble: string; cut: boolean; loading: boolean }) {
  return (
    <>
      {props.trouble && <p class="note bad" role="alert">{props.trouble}</p>}
      {props.loading && <p class="note" role="status">Reading the last hour from the log…</p>}
      {props.cut && !props.loading && (
        <p class="note">More than 256 MB came within the hour: its charts begin where those begin.</p>
      )}
    </>
  );
}

/** `/` goes to the search, `p` pauses, `j` and `k` enter the list; never while something is typed. */
function useShortcuts(pause: () => void) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
      if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLInputElement>("#search")?.focus();
      } else if (event.key === "p") {
        pause();
      } else if ((event.key === "j" || event.key === "k") && !target.closest("#list")) {
        document.querySelector<HTMLButtonElement>("#list button[tabindex='0']")?.focus();
      }
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}
