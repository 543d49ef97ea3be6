// Flags: what apps see, by which rules, how experiments share out; switched where they may be.

import { useState } from "preact/hooks";
import { useData } from "../ask/question";
import type { Value } from "../ask/answer";
import { Card } from "../card/card";
import { href } from "../shell/place";
import { percent, visible } from "../text";
import { day } from "../unit";
import { Elsewhere, Form, Row, Said, some, useActing } from "./acting";
import { tableOf } from "./table";

interface Variation {
  key: string;
  name: string;
  value: Value;
  share: number;
}

interface Rule {
  enabled: boolean;
  condition: Value;
  parents: readonly string[];
  coverage: number | null;
  by: string;
  value?: Value;
  experiment: string | null;
  variations: readonly Variation[];
  hypothesis?: string;
}

interface Flag {
  name: string;
  enabled: boolean;
  value: Value;
  description: string;
  rules: readonly Rule[];
  experiments: readonly string[];
  to_mend: readonly string[];
  version: number | null;
  changed_at: string | null;
  changed_by: string | null;
}

interface Listed {
  source: "file" | "database";
  file: string | null;
  used: boolean;
  error: string;
  flags: readonly Flag[];
  groups: readonly { name: string; members: number }[];
  may_change: boolean;
}

type Over = { what: "value"; flag: Flag } | { what: "shares"; flag: Flag; rule: Rule } | null;

const COLUMNS = ["name", "enabled", "value", "experiments", "changed_at", "changed_by"] as const;

export function Flags() {
  const data = useData<Listed>("switches", "", false);
  const acting = useActing("switches");
  const [over, setOver] = useState<Over>(null);
  const found = data.value;
  const flags = found?.flags ?? [];
  const change = async (flag: Flag, what: object) => {
    const done = await acting.act("", { name: flag.name, ...(flag.version === null ? {} : { after: flag.version }), ...what });
    if (done) setOver(null);
    data.again();
  };
  const open = (next: Over) => { acting.hush(); setOver(next); };
  return (
    <>
      {over === null && <Said acting={acting} />}
      {found?.error && <p class="note bad" role="alert">{visible(found.error)}</p>}
      <Card id="flags" title="Flags" data={data} table={tableOf(flags, COLUMNS)} empty={false}
        note={found && (found.source === "file" ? <>from <code>{visible(found.file ?? "")}</code></> : "from the app database")}
        definition="What apps see when they ask for a flag: its default, unless a rule gives another value or an experiment shares units out. Apps take a change within five seconds.">
        {() => (
          <>
            {flags.length === 0 && !found?.error && <p class="nothing muted">There is no flag yet.</p>}
            <ul class="rows">
              {flags.map((flag) => (
                <Shown key={flag.name} of={flag} may={found?.may_change === true} onSwitch={() => change(flag, { on: !flag.enabled })}
                  onValue={() => open({ what: "value", flag })} onShares={(rule) => open({ what: "shares", flag, rule })} />
              ))}
            </ul>
            {found && found.groups.length > 0 && <p class="muted small">Saved groups: {some(found.groups.map((group) => `${group.name} (${group.members})`), 12)}</p>}
            {found && <Where found={found} />}
          </>
        )}
      </Card>
      {over?.what === "value" && <ValueForm flag={over.flag} acting={acting} onClose={() => setOver(null)} onSend={(value) => change(over.flag, { value })} />}
      {over?.what === "shares" && (
        <Shares rule={over.rule} name={over.flag.name} acting={acting} onClose={() => setOver(null)}
          onSend={(weights) => change(over.flag, { weights, experiment: over.rule.experiment })} />
      )}
    </>
  );
}

/** What is changed elsewhere. */
function Where({ found }: { found: Listed }) {
  if (found.source === "file") {
    return <Elsewhere why="These flags are read-only here, as they stand in a file: change it there, and apps take it within five seconds. This checks it:"
      command={`lakeward flags check ${found.file ?? "flags.json"}`} />;
  }
  const why = found.used ? "Flags are made, and their rules changed, on the command line:" : "No app is told to read these: LAKEWARD_FLAGS is empty here. Flags are made on the command line:";
  return <Elsewhere why={why} command="lakeward flags set NAME --value true" />;
}

interface ShownProps {
  of: Flag;
  may: boolean;
  onSwitch: () => void;
  onValue: () => void;
  onShares: (rule: Rule) => void;
}

function Shown({ of: flag, may, onSwitch, onValue, onShares }: ShownProps) {
  const name = visible(flag.name);
  return (
    <Row name={<bdi>{name}</bdi>}
      tags={<>
        <span class={flag.enabled ? "tag good" : "tag bad"}>{flag.enabled ? "on" : "off"}</span>
        {flag.experiments.map((key) => <a key={key} class="tag" href={href("experiments", { key })}>experiment <bdi>{visible(key)}</bdi></a>)}
      </>}
      meta={<>
        default <code>{json(flag.value)}</code>
        {flag.description && <> · <bdi>{visible(flag.description)}</bdi></>}
        {flag.changed_at && <> · changed {day(flag.changed_at)} by <bdi>{visible(flag.changed_by ?? "")}</bdi></>}
      </>}
      actions={may && <>
        <button type="button" class="button" aria-label={`Switch ${name} ${flag.enabled ? "off" : "on"}`} onClick={onSwitch}>Switch {flag.enabled ? "off" : "on"}</button>
        <button type="button" class="button" aria-label={`Default of ${name}`} onClick={onValue}>Default…</button>
      </>}>
      {flag.rules.length > 0 && (
        <ol class="steps">
          {flag.rules.map((rule, n) => (
            <li key={n} class={rule.enabled && flag.enabled ? "" : "faded"}>
              <span>{told(rule)}</span>
              {may && rule.variations.length > 0 && <button type="button" class="link" aria-label={`Shares of ${name}, rule ${n + 1}`} onClick={() => onShares(rule)}>shares…</button>}
            </li>
          ))}
        </ol>
      )}
      {flag.to_mend.map((fault) => <p key={fault} class="warn small">To mend: {visible(fault)}</p>)}
    </Row>
  );
}

/** A rule in words. */
function told(rule: Rule) {
  const who = [
    rule.condition === null ? "" : `who meets ${JSON.stringify(rule.condition)}`,
    rule.parents.length ? `where ${some(rule.parents)} let them` : "",
    rule.coverage === null ? "" : `${percent(rule.coverage)} of them`,
  ].filter(Boolean).join(", ") || "everybody";
  if (rule.variations.length === 0) return <bdi>{visible(who)} has <code>{json(rule.value)}</code></bdi>;
  const shares = rule.variations.map((each) => `${called(each)} ${percent(each.share)}`).join(" · ");
  return <bdi>{visible(who)}, shared out by {visible(rule.by)}: {visible(shares)}{!rule.enabled && " (off)"}</bdi>;
}

/** Its name; its value where it has none but a number. */
function called(each: Variation): string {
  return /^\d+$/.test(each.name) ? json(each.value) : each.name;
}

function json(value: Value | undefined): string {
  const text = visible(JSON.stringify(value ?? null));
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function ValueForm(props: { flag: Flag; acting: ReturnType<typeof useActing>; onSend: (value: Value) => void; onClose: () => void }) {
  const [text, setText] = useState(JSON.stringify(props.flag.value));
  const [wrong, setWrong] = useState(false);
  const send = () => {
    try {
      props.onSend(JSON.parse(text) as Value);
    } catch {
      setWrong(true);
    }
  };
  return (
    <Form title={`Default of ${visible(props.flag.name)}`} verb="Set it" acting={props.acting} onSend={send} onClose={props.onClose}>
      <label class="field"><span>What everybody has whom no rule gives another, as JSON</span>
        <input type="text" required autofocus autocomplete="off" spellcheck={false} aria-invalid={wrong} value={text} onInput={(event) => { setText(event.currentTarget.value); setWrong(false); }} />
      </label>
      {wrong && <p class="bad" role="alert">That is no JSON: a text needs quotation marks.</p>}
    </Form>
  );
}

interface SharesProps {
  name: string;
  rule: Rule;
  acting: ReturnType<typeof useActing>;
  onSend: (weights: number[]) => void;
  onClose: () => void;
}

function Shares({ name, rule, acting, onSend, onClose }: SharesProps) {
  const [shares, setShares] = useState(rule.variations.map((each) => String(Number((each.share * 100).toFixed(4)))));
  return (
    <Form title={`Shares of ${visible(name)}`} verb="Share out so" acting={acting} onClose={onClose}
      onSend={() => onSend(shares.map((share) => Number((Number(share) / 100).toFixed(6))))}>
      {rule.variations.map((each, n) => (
        <label class="field" key={each.key}><span><bdi>{visible(called(each))}</bdi>, in per cent</span>
          <input type="number" required min="0" max="100" step="any" value={shares[n]}
            onInput={(event) => { const text = event.currentTarget.value; setShares(shares.map((share, at) => (at === n ? text : share))); }} />
        </label>
      ))}
      <p class="muted">They must add up to 100. Whoever is in the experiment may see another variation from now on.</p>
    </Form>
  );
}
