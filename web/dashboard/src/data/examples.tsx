// Examples of one reason, and bringing them back: first what would come of it, then, when meant, it.

import { useState } from "preact/hooks";
import { Refused, tell } from "../ask/client";
import { mayAct, useMe } from "../ask/person";
import { useData } from "../ask/question";
import { State } from "../card/card";
import { Dialog } from "../card/dialog";
import { laidOut } from "../json";
import { count, visible } from "../text";
import { moment } from "../unit";
import type { Group } from "./refused";

interface Entry {
  quarantine_id: string;
  quarantined_at: string;
  reason: string;
  type?: string;
  note?: string;
  bytes?: number;
  record?: string;
  cut?: boolean;
  replayed?: boolean;
}

interface Done {
  dry_run: boolean;
  selected: number;
  replayed: number;
  known: number;
  suppressed: number;
  left: number;
  refused: Record<string, number>;
}

interface Props {
  group: Group;
  zone: string;
  onClose: () => void;
  onReplayed: () => void;
}

export function Examples({ group, zone, onClose, onReplayed }: Props) {
  const query = new URLSearchParams({ reason: group.reason, type: group.type, follower: group.follower, most: "20" });
  const data = useData<{ entries: Entry[] }>("quarantine", `?${query.toString()}`, false);
  const replayed = () => {
    data.again();
    onReplayed();
  };
  return (
    <Dialog title={visible(group.reason)} side onClose={onClose}>
      <p class="muted small">{group.type && <><bdi>{visible(group.type)}</bdi> · </>}the newest twenty, as the quarantine keeps them</p>
      <Replay group={group} onReplayed={replayed} />
      <State data={data} empty={data.value?.entries.length === 0} hint={<p>None of them is there any more.</p>}>
        <ul class="entries">
          {data.value?.entries.map((entry) => (
            <li key={entry.quarantine_id}>
              <p class="small">
                <time dateTime={entry.quarantined_at}>{moment(entry.quarantined_at, zone)}</time>
                {entry.note && <> · <bdi>{visible(entry.note)}</bdi></>}
                {entry.replayed && <> <span class="tag good">brought back</span></>}
              </p>
              {entry.record === undefined
                ? <p class="muted small">Only its length ({count(entry.bytes ?? 0)} bytes) and hash were kept.</p>
                : <pre tabindex={0} aria-label="Record"><code>{visible(pretty(entry))}</code></pre>}
            </li>
          ))}
        </ul>
      </State>
    </Dialog>
  );
}

/** Laid out where it is whole. */
function pretty(entry: Entry): string {
  const record = entry.record ?? "";
  return entry.cut ? `${record}…` : laidOut(record);
}

function Replay({ group, onReplayed }: { group: Group; onReplayed: () => void }) {
  const may = mayAct(useMe());
  const [found, setFound] = useState<Done | null>(null);
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const [field, setField] = useState("");
  const [value, setValue] = useState("");
  const change = (set: (text: string) => void) => (event: Event) => {
    set((event.target as HTMLInputElement).value);
    setFound(null); // what would come of it is no longer known
  };
  const ask = async (dry: boolean) => {
    setBusy(true);
    setRefused("");
    try {
      const body = { ...group, dry_run: dry, ...(field.trim() ? { set: { [field.trim()]: valueOf(value) } } : {}) };
      const { value: done } = await tell<Done>("quarantine", "/replay", { body });
      setFound(done);
      if (!dry) onReplayed();
    } catch (error) {
      setRefused(error instanceof Refused ? error.message : "The answer could not be read.");
    }
    setBusy(false);
  };
  if (!may) return <p class="note">An admin who is logged in can bring these back.</p>;
  const ready = found?.dry_run === true && found.replayed > 0;
  return (
    <section class="replay" aria-label="Bring back">
      <p>Bring these back, once their reason is gone: the type is right now, or a field is mended here.</p>
      <div class="mend">
        <label class="field">Field to mend <input value={field} maxLength={120} placeholder="status" onInput={change(setField)} /></label>
        <label class="field">Its value <input value={value} maxLength={500} placeholder="empty takes it out" onInput={change(setValue)} /></label>
      </div>
      <div class="tools">
        <button type="button" class={ready ? "button" : "button strong"} disabled={busy} onClick={() => void ask(true)}>What would come back?</button>
        {ready && <button type="button" class="button strong" disabled={busy} onClick={() => void ask(false)}>Bring {count(found.replayed)} back</button>}
      </div>
      <div role="status" class="outcome">
        {busy && <p class="muted">Working…</p>}
        {!busy && found && <Outcome done={found} />}
      </div>
      {refused && <p class="note bad" role="alert">{visible(refused)}</p>}
    </section>
  );
}

/** As JSON where it is some, else as text; nothing takes the field out. */
function valueOf(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function Outcome({ done }: { done: Done }) {
  return (
    <>
      <p data-replayed={done.replayed} data-dry={done.dry_run}>
        <b>{count(done.replayed)}</b> of {count(done.selected)} {done.dry_run ? "would come back" : "came back"}
        {done.known > 0 && `, ${count(done.known)} did before`}
        {done.suppressed > 0 && `, ${count(done.suppressed)} are of erased people`}
        {done.left > 0 && `; ${count(done.left)} were not looked at yet: do it again afterwards`}.
      </p>
      {Object.entries(done.refused).map(([why, n]) => <p key={why} class="small warn">{count(n)} stay: <bdi>{visible(why)}</bdi></p>)}
    </>
  );
}
