// The live page: what arrives, the last hour, and one record in detail.

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { Stale } from "../card/card";
import { place, setQuery, usePlace } from "../shell/place";
import { isTaken } from "../shell/shortcuts";
import { visible } from "../text";
import { Breakdown } from "./breakdown";
import { Charts } from "./charts";
import { Drawer, type Opened } from "./drawer";
import { type Filter, NOTHING, isOpen, readFilter } from "./filter";
import { Filters } from "./filters";
import { Lights } from "./lit";
import { List } from "./list";
import { Model } from "./model";
import { Online } from "./online";
import { Empty, Problem, Status } from "./states";
import { Summary } from "./summary";
import "./live.css";

export default function LivePage() {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const [filter, setFilter] = useState<Filter>(() => readFilter(place().query));
  const [opened, setOpened] = useState<Opened | null>(null);
  const linked = usePlace().query.get("trace");
  const shown: Opened | null = opened ?? (linked ? { type: "trace", trace: linked } : null);
  const close = () => {
    setOpened(null);
    if (linked) setQuery({ trace: null }, true);
  };
  const held = useRef<Model | null>(null);
  const model = (held.current ??= new Model(() => redraw(0)));

  useEffect(() => {
    setQuery({ ...filter }, true);
    model.open(filter);
  }, [filter]);
  useEffect(() => () => model.close(), []);
  useShortcuts(() => model.pause(!model.paused));

  const change = (part: Partial<Filter>) => setFilter((before) => ({ ...before, ...part }));
  const toggle = (name: "type" | "route", value: string) =>
    change({ [name]: filter[name] === value ? "" : value });

  const failed = model.link === "error" || model.link === "key";
  const nothing = model.answered && model.items.length === 0;
  const empty = nothing && isOpen(filter) && !model.hour?.totals.count;

  return (
    <>
      <div class="tools">
        <Status link={model.link} paused={model.paused} rate={model.rate} />
        <button type="button" class="button" aria-pressed={model.paused} disabled={failed}
          onClick={() => model.pause(!model.paused)} title="Pause or go on (p)">
          {model.paused ? "Resume" : "Pause"}
        </button>
        {!failed && model.loading && model.answered && <span class="muted small" role="status">Reading the last hour from the log…</span>}
      </div>
      {failed && <Problem message={model.message} onClear={() => setFilter(NOTHING)} />}
      {!failed && (
        <>
          {model.lost > 0 && <Lost since={model.lost} />}
          <Notes refused={model.message} waiting={model.link === "queued"} trouble={model.trouble} cut={model.cut && !model.loading} />
          <Summary again={0} />
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
            <aside class="column narrow" aria-label="Who is there, and what is called">
              <Online people={model.online} />
              <Lights lit={model.lit} chosen={filter.route} onChoose={(name) => toggle("route", name)} />
              <Breakdown title="Types" lines={model.hour?.types ?? []} chosen={filter.type}
                onChoose={(name) => toggle("type", name)} />
              <Breakdown title="Routes" lines={model.hour?.routes ?? []} chosen={filter.route} timed
                onChoose={(name) => toggle("route", name)} />
            </aside>
          </div>
        </>
      )}
      {shown && <Drawer row={shown} onClose={close} onOpen={setOpened} />}
    </>
  );
}

/** All of the page is of the moment at which the connection was lost. */
function Lost({ since }: { since: number }) {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(() => redraw(0), 10_000);
    return () => clearInterval(timer);
  }, []);
  return <Stale at={since} why="the connection to the server is lost; all that is shown here is of then." />;
}

function Notes(props: { refused: string; waiting: boolean; trouble: string; cut: boolean }) {
  return (
    <>
      {props.trouble && <p class="note bad" role="alert">{props.trouble}</p>}
      {props.refused && <p class="note" role="status">{visible(props.refused)}</p>}
      {props.waiting && (
        <p class="note" role="status">Two other windows of this browser show Live: this one goes on when one of them is closed or out of sight.</p>
      )}
      {props.cut && (
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
      if (isTaken(event)) return;
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
