// One incident: its picture, why it is one, what may be done, its steps and who was told.

import { useEffect, useState } from "preact/hooks";
import { Refused, tell } from "../ask/client";
import { mayAct, useMe } from "../ask/person";
import { type Data, useData } from "../ask/question";
import { Card, State as States } from "../card/card";
import { Menu } from "../card/menu";
import { href, useQuery } from "../shell/place";
import { isTaken } from "../shell/shortcuts";
import { visible } from "../text";
import { moment } from "../unit";
import { type Picture, type Step, type Telling, type Whole, headline, isOpen } from "./incident";
import { Severity, State, figures, lasted } from "./list";
import { PictureCard, useIncidentPicture } from "./picture";

const SNOOZES: readonly [string, number][] = [["For an hour", 60], ["For four hours", 240], ["For a day", 1440], ["For a week", 10_080]];
type Act = (verb: string, body?: { minutes: number }) => void;

export function Detail({ id, zone, onChange }: { id: string; zone: string; onChange: () => void }) {
  const incident = useData<Whole>("alerts", `/${encodeURIComponent(id)}`);
  const [series, setSeries] = useQuery("of");
  const picture = useIncidentPicture(encodeURIComponent(id), series);
  const [said, setSaid] = useState("");
  const act: Act = (verb, body) => {
    tell("alerts", `/${encodeURIComponent(id)}/${verb}`, { body: body ?? {} }).then(
      () => { setSaid("Done."); incident.again(); picture.again(); onChange(); },
      (error: unknown) => setSaid(error instanceof Refused ? error.message : "That did not work."),
    );
  };
  const found = incident.value;
  return (
    <>
      <p><a href={href("anomalies")}>← All anomalies</a></p>
      <section class="card" data-card="incident" aria-label="Incident">
        <States data={incident} empty={false}>
          {found && <Head incident={found} zone={zone} act={act} said={said} picture={picture} />}
        </States>
      </section>
      <PictureCard id="band" title={visible(picture.value?.series ?? (found ? headline(found) : "Series"))} picture={picture} zone={zone}
        tools={picture.value && picture.value.others.length > 0 && (
          <Menu label="Another series of this incident" class="button" items={[picture.value.series, ...picture.value.others].sort().map((name) => ({
            label: visible(name), checked: name === picture.value?.series, act: () => setSeries(name),
          }))}>{picture.value.others.length + 1} series</Menu>
        )} />
      {found && (
        <div class="grid">
          <Steps incident={incident} steps={found.history} zone={zone} />
          <Tellings incident={incident} tellings={found.tellings} zone={zone} />
        </div>
      )}
    </>
  );
}

interface HeadProps {
  incident: Whole;
  zone: string;
  act: Act;
  said: string;
  picture: Data<Picture>;
}

function Head({ incident, zone, act, said, picture }: HeadProps) {
  const open = isOpen(incident);
  const whys = picture.value?.whys ?? (incident.why ? [incident.why] : []);
  return (
    <div class="detail" data-incident={incident.incident_id} data-state={incident.state}>
      <div class="tools">
        <Severity incident={incident} />
        <State incident={incident} />
        <span class="muted small">{incident.kind}{incident.rule ? <> <bdi>{visible(incident.rule)}</bdi></> : ""}</span>
      </div>
      <h2 class="headline"><bdi>{visible(headline(incident))}</bdi></h2>
      <p class="muted">
        Since {moment(incident.began_at, zone)}{open ? "" : `, for ${lasted(incident)}`}
        {incident.state === "snoozed" && incident.snoozed_until && `; nobody is told until ${moment(incident.snoozed_until, zone)}`}
        {figures(incident) && `. ${figures(incident)}.`}
      </p>
      <ul class="whys" aria-label="Why">{whys.map((why) => <li key={why}><bdi>{visible(why)}</bdi></li>)}</ul>
      {open && <Buttons incident={incident} act={act} />}
      <p class="small" role="status">{said && <bdi>{visible(said)}</bdi>}</p>
    </div>
  );
}

/** Acknowledge, snooze, resolve: by button, and by `a`, `s` and `r`. */
function Buttons({ incident, act }: { incident: Whole; act: Act }) {
  const may = mayAct(useMe());
  const known = incident.state === "acknowledged";
  const snoozed = incident.state === "snoozed";
  useEffect(() => {
    if (!may) return;
    const pressed = (event: KeyboardEvent) => {
      if (isTaken(event) || event.repeat) return;
      if (event.key === "a" && !known) act("ack");
      if (event.key === "r") act("resolve");
      if (event.key === "s") act("snooze", { minutes: snoozed ? 0 : 60 });
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [may, incident.state]);
  if (!may) return <p class="muted small">Log in as an admin to acknowledge, snooze or resolve it.</p>;
  return (
    <div class="tools" role="group" aria-label="What to do">
      <button type="button" class="button strong" disabled={known} onClick={() => act("ack")}>{known ? "Acknowledged" : "Acknowledge"} <kbd aria-hidden="true">a</kbd></button>
      {snoozed
        ? <button type="button" class="button" onClick={() => act("snooze", { minutes: 0 })}>End the snooze <kbd aria-hidden="true">s</kbd></button>
        : <Menu label="Snooze" class="button" items={SNOOZES.map(([label, minutes]) => ({ label, act: () => act("snooze", { minutes }) }))}>Snooze <kbd aria-hidden="true">s</kbd></Menu>}
      <button type="button" class="button" onClick={() => act("resolve")}>Resolve <kbd aria-hidden="true">r</kbd></button>
    </div>
  );
}

function Steps({ incident, steps, zone }: { incident: Data<Whole>; steps: Step[]; zone: string }) {
  const columns = ["at", "what", "by", "why"].map((name) => ({ name, kind: name === "at" ? "time" : "text", unit: "", doc: STEP_DOCS[name] ?? "" }));
  return (
    <Card id="steps" title="Steps" data={incident} zone={zone} table={{ columns, rows: steps.map((step) => [step.at, step.what, step.by, step.why]) }}
      hint="No step yet." definition="Each change of state, with who made it; without a name it was the watch itself. Each is an anomaly interaction in the lake, too.">
      {() => (
        <ol class="steps">
          {[...steps].reverse().map((step) => (
            <li key={step.at + step.what}>
              <p><b>{step.what}</b> <span class="muted">{step.by ? <>by <bdi>{visible(step.by)}</bdi></> : "by itself"}</span><span class="space" /><span class="muted small">{moment(step.at, zone)}</span></p>
              {step.why && <p class="muted small"><bdi>{visible(step.why)}</bdi></p>}
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

const STEP_DOCS: Readonly<Record<string, string>> = { at: "When it was.", what: "What happened.", by: "Who did it.", why: "What was seen then." };

function Tellings({ incident, tellings, zone }: { incident: Data<Whole>; tellings: Telling[]; zone: string }) {
  const columns = ["by", "what", "state", "attempts", "reason"].map((name) => ({ name, kind: name === "attempts" ? "integer" : "text", unit: "", doc: "" }));
  return (
    <Card id="told" title="Who was told" data={incident} zone={zone} table={{ columns, rows: tellings.map((one) => [one.by, one.what, one.state, one.attempts, one.reason]) }}
      hint={<>Nobody was told. <code>[[tell]]</code> in alerts.toml says who hears of what.</>}
      definition="Each message to a channel of alerts.toml, and what became of it. What a channel did not take is tried again for a day.">
      {() => (
        <ul class="steps">
          {tellings.map((one, n) => (
            <li key={n}>
              <p><b>{visible(one.by)}</b> <span class="muted">{visible(one.what)}</span> <span class={`tag ${one.state === "failed" ? "bad" : one.state === "told" ? "good" : ""}`}>{visible(one.state)}</span>
                <span class="space" /><span class="muted small">{one.attempts > 1 ? `${one.attempts} times` : ""}{one.state === "queued" ? ` due ${moment(one.due_at, zone)}` : ""}</span></p>
              {one.reason && <p class="bad small"><bdi>{visible(one.reason)}</bdi></p>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

