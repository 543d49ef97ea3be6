// People: who may log in, as what; letting in by a one-time link, and out.

import { useState } from "preact/hooks";
import { useMe } from "../ask/person";
import { useData } from "../ask/question";
import { Card } from "../card/card";
import { visible } from "../text";
import { ago, day } from "../unit";
import { type Acting, Confirm, Form, Once, Row, Said, useActing } from "./acting";
import { Revoked } from "./keys";
import { tableOf } from "./table";

interface Person {
  person_id: string;
  email: string;
  role: "admin" | "partner";
  partner_id: string | null;
  created_at: string;
  last_login_at: string | null;
  removed_at: string | null;
  you: boolean;
}

interface Way {
  email: string;
  link: string;
  hours: number;
}

type Over = { what: "invite" } | { what: "role" | "remove"; person: Person } | null;

const COLUMNS = ["email", "role", "partner_id", "created_at", "last_login_at", "removed_at"] as const;

export function People() {
  const closing = useMe().who === "anyone"; // nobody had to log in when the page was opened
  const data = useData<{ people: readonly Person[] }>("people", "", false);
  const acting = useActing("people");
  const [over, setOver] = useState<Over>(null);
  const [way, setWay] = useState<Way | null>(null);
  const [all, setAll] = useState(false);
  const people = data.value?.people ?? [];
  const gone = people.filter((person) => person.removed_at !== null);
  const shown = all ? people : people.filter((person) => person.removed_at === null);
  const open = (next: Over) => { acting.hush(); setOver(next); };
  const done = (found: unknown) => {
    if (!found) return;
    setOver(null);
    data.again();
  };
  const act = async (person: Person, verb: string, body: object = {}) => done(await acting.act(`/${encodeURIComponent(person.person_id)}/${verb}`, body));
  const link = async (person: Person) => {
    const made = await acting.act<Way>(`/${encodeURIComponent(person.person_id)}/link`, {});
    if (made) setWay(made);
  };
  return (
    <>
      {way && <Once title={`The way in for ${visible(way.email)}`} secret={way.link} onKept={() => setWay(null)}
        hint={`${closing ? "From now on this server asks for a login: open this link if it is yours. " : ""}Send this link to them and to nobody else. It is good once, within ${way.hours} hours, for this address only; it is shown this once.`} />}
      {over === null && <Said acting={acting} />}
      <Card id="people" title="People" data={data} table={tableOf(shown, COLUMNS)} empty={false}
        definition="Who may log in. Admins see and change everything; partners see the records of their own partner id, on a page of their own."
        tools={data.value && <button type="button" class="button strong" onClick={() => open({ what: "invite" })}>Let somebody in</button>}>
        {() => (
          <>
            {shown.length === 0 && <p class="nothing muted">Nobody has to log in here yet.</p>}
            <ul class="rows">
              {shown.map((person) => (
                <Shown key={person.person_id} of={person} onLink={() => link(person)} onRestore={() => act(person, "restore")}
                  onRole={() => open({ what: "role", person })} onRemove={() => open({ what: "remove", person })} />
              ))}
            </ul>
            {gone.length > 0 && <Revoked count={gone.length} all={all} what="removed" onToggle={() => setAll(!all)} />}
          </>
        )}
      </Card>
      {over?.what === "invite" && <Invite acting={acting} onClose={() => setOver(null)} onMade={(made) => { setWay(made); done(made); }} />}
      {over?.what === "role" && <Role person={over.person} acting={acting} onClose={() => setOver(null)} onSend={(body) => act(over.person, "role", body)} />}
      {over?.what === "remove" && (
        <Confirm title={`Remove ${visible(over.person.email)}?`} verb="Remove" acting={acting} onYes={() => act(over.person, "remove")} onClose={() => setOver(null)}>
          <p>Every login and link of theirs ends at once. What they did stays in the history; they can be let in again.</p>
        </Confirm>
      )}
    </>
  );
}

interface ShownProps {
  of: Person;
  onLink: () => void;
  onRole: () => void;
  onRemove: () => void;
  onRestore: () => void;
}

function Shown({ of: person, ...on }: ShownProps) {
  const email = visible(person.email);
  const over = person.removed_at !== null;
  const last = person.last_login_at;
  return (
    <Row faded={over} name={<bdi>{email}</bdi>}
      tags={<>
        <span class="tag">{person.role === "admin" ? "admin" : <>partner <bdi>{visible(person.partner_id ?? "")}</bdi></>}</span>
        {person.you && <span class="tag good">you</span>}
        {over && <span class="tag bad">removed {day(person.removed_at ?? "")}</span>}
      </>}
      meta={<>added {day(person.created_at)} · {last ? `logged in ${ago(Date.parse(last), Date.now())}` : "never logged in"}</>}
      actions={over
        ? <button type="button" class="button" aria-label={`Let ${email} in again`} onClick={on.onRestore}>Let in again</button>
        : <>
          <button type="button" class="button" aria-label={`New link for ${email}`} onClick={on.onLink}>New link</button>
          {!person.you && <button type="button" class="button" aria-label={`Role of ${email}`} onClick={on.onRole}>Role…</button>}
          {!person.you && <button type="button" class="button" aria-label={`Remove ${email}`} onClick={on.onRemove}>Remove…</button>}
        </>} />
  );
}

function Invite({ acting, onMade, onClose }: { acting: Acting; onMade: (made: Way) => void; onClose: () => void }) {
  const [email, setEmail] = useState("");
  const [part, setPart] = useState({ role: "admin", partner: "" });
  const send = async () => {
    const made = await acting.act<Way>("", { email: email.trim(), ...bodyOf(part) });
    if (made) onMade(made);
  };
  return (
    <Form title="Let somebody in" verb="Make the link" acting={acting} onSend={send} onClose={onClose}>
      <label class="field"><span>E-mail address</span>
        <input type="email" required maxLength={254} autocomplete="off" autofocus value={email} onInput={(event) => setEmail(event.currentTarget.value)} />
      </label>
      <Parts part={part} onChange={setPart} />
      <p class="muted">Lakeward sends no mail for this: it shows a link that you hand on.</p>
    </Form>
  );
}

function Role(props: { person: Person; acting: Acting; onSend: (body: object) => void; onClose: () => void }) {
  const { person } = props;
  const [part, setPart] = useState({ role: person.role as string, partner: person.partner_id ?? "" });
  return (
    <Form title={`Role of ${visible(person.email)}`} verb="Give this role" acting={props.acting} onSend={() => props.onSend(bodyOf(part))} onClose={props.onClose}>
      <Parts part={part} onChange={setPart} />
    </Form>
  );
}

interface Part {
  role: string;
  partner: string;
}

function bodyOf({ role, partner }: Part): object {
  return role === "partner" ? { role, partner_id: partner.trim() } : { role };
}

function Parts({ part, onChange }: { part: Part; onChange: (part: Part) => void }) {
  return (
    <fieldset class="choice">
      <legend>As</legend>
      <label><input type="radio" name="role" checked={part.role === "admin"} onChange={() => onChange({ ...part, role: "admin" })} /> an admin: sees and changes everything</label>
      <label><input type="radio" name="role" checked={part.role === "partner"} onChange={() => onChange({ ...part, role: "partner" })} /> a partner: sees its own records</label>
      {part.role === "partner" && (
        <label class="field"><span class="muted">The <code>partner_id</code> of those records</span>
          <input type="text" required maxLength={128} autocomplete="off" spellcheck={false} value={part.partner} onInput={(event) => onChange({ ...part, partner: event.currentTarget.value })} />
        </label>
      )}
    </fieldset>
  );
}
