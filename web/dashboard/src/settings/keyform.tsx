// A new key: what it may, and from where.

import { useState } from "preact/hooks";
import { type Acting, Form, words } from "./acting";

export interface Made {
  name: string;
  secret: string;
}

type Scope = "pages" | "all" | "some";

export function KeyForm({ acting, onMade, onClose }: { acting: Acting; onMade: (made: Made) => void; onClose: () => void }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<"write" | "read">("write");
  const [scope, setScope] = useState<Scope>("pages");
  const [types, setTypes] = useState("");
  const [origins, setOrigins] = useState("");
  const [partner, setPartner] = useState("");
  const send = async () => {
    const listed = scope === "all" ? ["*"] : scope === "some" ? words(types) : [];
    const made = await acting.act<Made>("", {
      kind, name: name.trim(), origins: words(origins),
      ...(kind === "write" ? { types: listed } : partner.trim() ? { partner_id: partner.trim() } : {}),
    });
    if (made) onMade(made);
  };
  return (
    <Form title="Make a key" verb="Make it" acting={acting} onSend={send} onClose={onClose}>
      <label class="field"><span>Name, by which you will know it</span>
        <input type="text" required maxLength={64} autocomplete="off" autofocus value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <fieldset class="choice">
        <legend>It lets its holder</legend>
        <label><input type="radio" name="kind" checked={kind === "write"} onChange={() => setKind("write")} /> send interactions (a write key)</label>
        <label><input type="radio" name="kind" checked={kind === "read"} onChange={() => setKind("read")} /> see what is in the lake (a read key)</label>
      </fieldset>
      {kind === "write" && (
        <fieldset class="choice">
          <legend>Which types</legend>
          <label><input type="radio" name="scope" checked={scope === "pages"} onChange={() => setScope("pages")} /> what a browser may claim: fit for a page that strangers open</label>
          <label><input type="radio" name="scope" checked={scope === "all"} onChange={() => setScope("all")} /> every type: for servers that you trust, never in a page</label>
          <label><input type="radio" name="scope" checked={scope === "some"} onChange={() => setScope("some")} /> these and no others</label>
          {scope === "some" && (
            <label class="field"><span class="muted">Names, or beginnings such as <code>shop.*</code></span>
              <input type="text" required autocomplete="off" spellcheck={false} value={types} onInput={(event) => setTypes(event.currentTarget.value)} />
            </label>
          )}
        </fieldset>
      )}
      {kind === "read" && (
        <label class="field"><span>Only the records of partner <span class="muted">(empty: everything)</span></span>
          <input type="text" maxLength={128} autocomplete="off" spellcheck={false} value={partner} onInput={(event) => setPartner(event.currentTarget.value)} />
        </label>
      )}
      <label class="field"><span>Pages that may use it <span class="muted">(empty: any), such as <code>https://app.example.com</code></span></span>
        <input type="text" autocomplete="off" spellcheck={false} value={origins} onInput={(event) => setOrigins(event.currentTarget.value)} />
      </label>
    </Form>
  );
}
