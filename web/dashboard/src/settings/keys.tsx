// Keys: which there are, a new one with its secret once, and the end of one.

import { useState } from "preact/hooks";
import { useData } from "../ask/question";
import { Card } from "../card/card";
import { visible } from "../text";
import { day } from "../unit";
import { Confirm, Once, Row, some, useActing } from "./acting";
import { KeyForm, type Made } from "./keyform";
import { tableOf } from "./table";

export interface Key {
  key_id: string;
  kind: "read" | "write";
  name: string;
  hint: string;
  types: readonly string[];
  origins: readonly string[];
  partner_id: string | null;
  public: boolean;
  created_at: string;
  created_by: string;
  revoked_at: string | null;
}

interface Listed {
  keys: readonly Key[];
  may_change: boolean;
}

export function Keys() {
  const data = useData<Listed>("keys", "", false);
  const acting = useActing("keys");
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Made | null>(null);
  const [ending, setEnding] = useState<Key | null>(null);
  const [all, setAll] = useState(false);
  const keys = data.value?.keys ?? [];
  const gone = keys.filter((key) => key.revoked_at !== null);
  const shown = all ? keys : keys.filter((key) => key.revoked_at === null);
  const may = data.value?.may_change === true;
  const revoke = async () => {
    if (ending && (await acting.act(`/${encodeURIComponent(ending.key_id)}/revoke`, {}))) {
      setEnding(null);
      data.again();
    }
  };
  return (
    <>
      {made && <Once title={`The secret of ${visible(made.name)}`} secret={made.secret} onKept={() => setMade(null)}
        hint="It is shown this once: Lakeward keeps a digest of it, and cannot show it again." />}
      <Card id="keys" title="Keys" data={data} table={tableOf(shown, COLUMNS)} empty={false}
        definition="Write keys let programs and pages send interactions, read keys let them see what is in the lake. Of a secret only a digest is stored."
        tools={may && <button type="button" class="button strong" onClick={() => { acting.hush(); setMaking(true); }}>Make a key</button>}>
        {() => (
          <>
            {shown.length === 0 && <p class="nothing muted">No key is in force.</p>}
            <ul class="rows">
              {shown.map((key) => <Shown key={key.key_id} of={key} may={may} onRevoke={() => { acting.hush(); setEnding(key); }} />)}
            </ul>
            {gone.length > 0 && <Revoked count={gone.length} all={all} onToggle={() => setAll(!all)} />}
          </>
        )}
      </Card>
      {making && <KeyForm acting={acting} onClose={() => setMaking(false)} onMade={(found) => { setMaking(false); setMade(found); data.again(); }} />}
      {ending && (
        <Confirm title={`Revoke ${visible(ending.name)}?`} verb="Revoke this key" acting={acting} onYes={revoke} onClose={() => setEnding(null)}>
          <p>Whatever uses it is refused from now on. A revoked key never comes back; its name may be used again.</p>
        </Confirm>
      )}
    </>
  );
}

const COLUMNS = ["name", "kind", "hint", "types", "origins", "partner_id", "created_at", "created_by", "revoked_at"] as const;

export function Revoked(props: { count: number; all: boolean; what?: string; onToggle: () => void }) {
  const { count, all, what = "revoked" } = props;
  return (
    <p><button type="button" class="link" aria-expanded={all} onClick={props.onToggle}>
      {all ? `Hide the ${count} that ${count === 1 ? "is" : "are"} ${what}` : `Show ${count} that ${count === 1 ? "is" : "are"} ${what}`}
    </button></p>
  );
}

function Shown({ of: key, may, onRevoke }: { of: Key; may: boolean; onRevoke: () => void }) {
  const over = key.revoked_at !== null;
  return (
    <Row faded={over} name={<bdi>{visible(key.name)}</bdi>}
      tags={<>
        <span class="tag">{key.kind}</span>
        {key.public && <span class="tag" title="It names pages, or may tell of nothing that only servers know">a page's</span>}
        {key.partner_id !== null && <span class="tag">partner <bdi>{visible(key.partner_id)}</bdi></span>}
        {over && <span class="tag bad">revoked {day(key.revoked_at ?? "")}</span>}
      </>}
      meta={<>
        <code>{visible(key.hint)}…</code> · {scope(key)} · made {day(key.created_at)} by <bdi>{visible(key.created_by)}</bdi>
      </>}
      actions={may && !over && <button type="button" class="button" aria-label={`Revoke ${visible(key.name)}`} onClick={onRevoke}>Revoke…</button>} />
  );
}

function scope(key: Key): string {
  const from = key.origins.length ? `from ${some(key.origins)}` : "from anywhere";
  if (key.kind === "read") return `reads ${key.partner_id === null ? "everything" : "the records of its partner"}, ${from}`;
  return `writes ${key.types.includes("*") ? "everything" : some(key.types)}, ${from}`;
}
