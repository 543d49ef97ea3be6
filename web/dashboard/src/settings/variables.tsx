// Settings: each variable, what it is set to, and where.

import { useMemo, useState } from "preact/hooks";
import { useData } from "../ask/question";
import { Card } from "../card/card";
import { count, visible } from "../text";
import { Elsewhere, Row } from "./acting";
import { tableOf } from "./table";

interface Variable {
  env: string;
  value: string | null;
  set: boolean;
  secret: boolean;
  from: "environment" | "file" | "default" | null;
  default: string;
  choices: readonly string[];
  doc: string;
}

interface Listed {
  file: string;
  there: boolean;
  settings: readonly Variable[];
}

const COLUMNS = ["env", "value", "set", "from", "default", "doc"] as const;

export function Variables() {
  const data = useData<Listed>("settings", "", false);
  const [text, setText] = useState("");
  const [own, setOwn] = useState(false);
  const all = data.value?.settings ?? [];
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return all.filter((each) => (!own || each.set) && (each.env.toLowerCase().includes(wanted) || each.doc.toLowerCase().includes(wanted)));
  }, [all, text, own]);
  const file = data.value?.file ?? ".env.development";
  return (
    <Card id="settings" title="Settings" data={data} table={tableOf(shown, COLUMNS)} empty={false}
      note={data.value && <span aria-live="polite">{count(shown.length)} of {count(all.length)}</span>}
      definition="The environment wins over the .env file, which wins over the default. Of secrets only whether they are set is shown.">
      {() => (
        <>
          <div class="tools">
            <input class="search" type="search" aria-label="Find a setting" placeholder="Find a setting" value={text} onInput={(event) => setText(event.currentTarget.value)} />
            <button type="button" class="button" aria-pressed={own} onClick={() => setOwn(!own)}>Only what is set</button>
          </div>
          <Elsewhere why={<>Settings are read when the server starts: set a variable in its environment, or in <code>{visible(file)}</code>{!data.value?.there && ", which is not there yet"}, and start it anew. Rollout percentages are taken within five seconds.</>}
            command={`echo 'LAKEWARD_RETENTION_DAYS=365' >> ${file}`} />
          {shown.length === 0 && <p class="nothing muted">No setting is like that.</p>}
          <ul class="rows many">{shown.map((each) => <Shown key={each.env} of={each} file={file} />)}</ul>
        </>
      )}
    </Card>
  );
}

function Shown({ of: each, file }: { of: Variable; file: string }) {
  const from = { environment: "environment", file, default: "" }[each.from ?? "default"];
  return (
    <Row name={<code>{each.env}</code>}
      tags={<>
        <Held of={each} />
        {from && <span class="tag">{visible(from)}</span>}
      </>}
      meta={<>
        {marked(each.doc)}
        {each.choices.length > 0 && <> One of {each.choices.join(", ")}.</>}
        {!each.secret && each.from !== "default" && <> Default: <code>{each.default || "(empty)"}</code>.</>}
      </>} />
  );
}

function Held({ of: each }: { of: Variable }) {
  if (each.secret) return <span class={each.set ? "tag good" : "tag"}>{each.set ? "set" : "not set"}</span>;
  return <code class="held"><bdi>{each.value ? visible(each.value) : "(empty)"}</bdi></code>;
}

/** A sentence whose `words` are code. */
function marked(text: string) {
  return text.split("`").map((part, n) => (n % 2 ? <code key={n}>{part}</code> : part));
}
