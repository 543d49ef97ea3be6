// The bar at the top: where one is, of which time the page tells, who is at it.

import { useEffect, useState } from "preact/hooks";
import { onLink } from "../ask/changes";
import type { Link } from "../ask/stream";
import { Dialog } from "../card/dialog";
import { Menu } from "../card/menu";
import { setQuery } from "./place";
import { COMPARES, RANGES, type Range } from "./range";
import { type Theme, keptTheme, setTheme } from "./theme";
import { keepZone, writeDay, zones } from "./zone";

/** Range, comparison and zone of a page that has them. */
export function Spans({ range, compared }: { range: Range; compared: boolean }) {
  const [dialog, setDialog] = useState<"" | "days" | "zone">("");
  const pick = (text: string) => setQuery({ range: text });
  return (
    <div class="spans">
      <Menu label={`Range: ${range.label}`} items={[
        ...Object.entries(RANGES).map(([text, label]) => ({ label, checked: range.text === text, act: () => pick(text) })),
        { label: "Other days…", act: () => setDialog("days") },
      ]}>{range.label}<Down /></Menu>
      {compared && <Menu label={`Comparison: ${COMPARES[range.compare]}`} items={Object.entries(COMPARES).map(([name, label]) => ({
        label, checked: range.compare === name, act: () => setQuery({ compare: name || null }),
      }))}>{range.compare ? `vs ${COMPARES[range.compare].toLowerCase()}` : "Compare"}<Down /></Menu>}
      <button type="button" class="button" title="Time zone of days and moments" onClick={() => setDialog("zone")}>
        <span class="sr">Time zone: </span>{range.zone.split("/").pop()?.replaceAll("_", " ")}<Down />
      </button>
      {dialog === "days" && <Days range={range} onClose={() => setDialog("")} />}
      {dialog === "zone" && <Zone range={range} onClose={() => setDialog("")} />}
    </div>
  );
}

function Down() {
  return <svg class="glyph line down" viewBox="0 0 10 10" aria-hidden="true"><path d="M2 3.500l3 3 3-3" /></svg>;
}

function Days({ range, onClose }: { range: Range; onClose: () => void }) {
  const [first, setFirst] = useState(writeDay(range.first));
  const [last, setLast] = useState(writeDay(range.last));
  const wrong = first > last;
  const submit = (event: Event) => {
    event.preventDefault();
    if (wrong || !first || !last) return;
    setQuery({ range: `${first}..${last}` });
    onClose();
  };
  return (
    <Dialog title="Which days?" onClose={onClose}>
      <form class="asked" onSubmit={submit}>
        <label class="field"><span>First day</span><input type="date" required value={first} onInput={(event) => setFirst(event.currentTarget.value)} /></label>
        <label class="field"><span>Last day</span><input type="date" required value={last} onInput={(event) => setLast(event.currentTarget.value)} /></label>
        {wrong && <p class="bad" role="alert">The first day is behind the last.</p>}
        <button type="submit" class="button strong" disabled={wrong}>Show these days</button>
      </form>
    </Dialog>
  );
}

function Zone({ range, onClose }: { range: Range; onClose: () => void }) {
  const [zone, setZone] = useState(range.zone);
  const all = zones();
  const submit = (event: Event) => {
    event.preventDefault();
    keepZone(zone);
    setQuery({ zone });
    onClose();
  };
  return (
    <Dialog title="Which time zone?" onClose={onClose}>
      <form class="asked" onSubmit={submit}>
        <label class="field"><span>Days and moments are those of</span>
          <select value={zone} onChange={(event) => setZone(event.currentTarget.value)}>
            {all.map((name) => <option key={name} value={name}>{name.replaceAll("_", " ")}</option>)}
          </select>
        </label>
        <button type="submit" class="button strong">Use this zone</button>
      </form>
    </Dialog>
  );
}

const THEMES: readonly [Theme, string][] = [["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]];

export function ThemeMenu() {
  const [theme, choose] = useState(keptTheme);
  return (
    <Menu label="Theme" class="icon" items={THEMES.map(([name, label]) => ({
      label, checked: theme === name, act: () => { setTheme(name); choose(name); },
    }))}>
      <svg class="glyph line" viewBox="0 0 16 16" aria-hidden="true"><path d="M13.500 9.500A6 6 0 016.500 2.500 6 6 0 1013.500 9.500z" /></svg>
    </Menu>
  );
}

/** Whether the page still hears of what is new. */
export function Connection() {
  const [link, setLink] = useState<Link>("connecting");
  const [lost, setLost] = useState(false);
  useEffect(() => onLink((now) => {
    setLink(now);
    if (now === "reconnecting") setLost(true);
  }), []);
  const away = link === "reconnecting" || (lost && link === "connecting");
  return (
    <span class={`status ${away ? "reconnecting" : link === "live" ? "live" : ""}`} role="status">
      {away && <><span class="dot" aria-hidden="true" />Reconnecting</>}
      {!away && link === "live" && <><span class="dot" aria-hidden="true" /><span class="sr">Up to date</span></>}
    </span>
  );
}
