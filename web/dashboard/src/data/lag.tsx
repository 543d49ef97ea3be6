// Who is behind: from memory to the log, from the log to the table, and to each follower.

import type { Data } from "../ask/question";
import { Card, Nothing } from "../card/card";
import { Table } from "../chart/table";
import { count, visible } from "../text";
import { ago, bytes, figure, moment } from "../unit";
import { type Follower, type Sheet, type State, column } from "./state";

type Tone = "good" | "warn" | "bad" | "";

interface Step {
  name: string;
  tone: Tone;
  word: string;
  said: string;
}

/** When something was, as text, and in full for who wants it. */
function when(at: string | null, now: number, never: string): string {
  return at ? ago(Date.parse(at), now) : never;
}

function steps(state: State): Step[] {
  const now = Date.parse(state.at);
  const { keeper, table } = state;
  const alive = state.rings.filter((ring) => ring.alive);
  const [fullest] = state.rings;
  return [
    {
      name: "Keeper", tone: keeper.status === "ok" ? "good" : "bad", word: keeper.status === "ok" ? "at work" : keeper.status.replaceAll("_", " "),
      said: keeper.message ?? `Makes records durable${keeper.age_ms === null ? "" : `; its last round was ${figure("ms", keeper.age_ms)} ago`}.`,
    },
    {
      name: "Memory", tone: fullest && fullest.fill > 0.8 ? "warn" : "good", word: `${count(alive.length)} recording`,
      said: fullest ? `The fullest ring is ${figure("0 to 1", fullest.fill)} full.` : "No process records just now.",
    },
    { name: "Log", tone: "", word: when(state.log_changed_at, now, "never"), said: "When something was made durable last." },
    {
      name: "Table", tone: table.sentence ? "bad" : "", word: when(table.changed_at, now, "not begun"),
      said: table.sentence || `${bytes(table.waiting_bytes)} of the log wait for it; questions read those, too.`,
    },
  ];
}

export function Fresh({ data }: { data: Data<State> }) {
  return (
    <Card id="fresh" tall={[108, 190]} title="How fresh it is" data={data} empty={false} table={data.value && freshTable(data.value)}
      definition="The way of a record: from a ring in memory into the log, which the keeper makes durable, and from there into the table, in slices. Questions read the table and what waits for it, so an answer is fresh either way.">
      {(state) => (
        <dl class="steps">
          {steps(state).map((step) => (
            <div key={step.name}>
              <dt>{step.name}</dt>
              <dd><span class={`tag ${step.tone}`} data-step={step.name}>{visible(step.word)}</span> <span class="muted small">{visible(step.said)}</span></dd>
            </div>
          ))}
        </dl>
      )}
    </Card>
  );
}

function freshTable(state: State): Sheet {
  return {
    columns: [column("step", "text"), column("state", "text"), column("meaning", "text")],
    rows: steps(state).map((step) => [step.name, step.word, step.said]),
  };
}

const TONES: Readonly<Record<Follower["state"], Tone>> = { new: "", running: "good", retrying: "warn", stopped: "bad" };
const COLUMNS = [
  column("follower", "text", "Who reads the log and takes it elsewhere."),
  column("state", "text", "What it does just now, or did when its process ended."),
  column("waiting", "integer", "Records that it has not taken yet.", "interactions"),
  column("delivered", "integer", "What it took.", "interactions"),
  column("set aside", "integer", "What its place refused.", "interactions"),
  column("since", "time", "Since when it is in this state."),
  column("sentence", "text", "What it says."),
];

export function Followers({ data, zone }: { data: Data<State>; zone: string }) {
  const sheet: Sheet | null = data.value && {
    columns: COLUMNS,
    rows: data.value.followers.map((each) => [each.name, each.state, each.waiting, each.delivered, each.quarantined, each.since || null, each.sentence]),
  };
  return (
    <Card id="followers" tall={63} title="Followers and their lag" data={data} table={sheet} zone={zone}
      hint={<Nothing words="Nothing follows the log. An S3 archive, a webhook or DynamoDB would:" snippet="lakeward run --help" />}
      definition="Each follower reads the log at its own pace and keeps its place. What waits is what it has not taken; nothing is removed before it has.">
      {() => sheet && (
        <Table columns={sheet.columns} rows={sheet.rows} label="Followers" zone={zone} sort="-waiting"
          cells={{
            state: (value) => <span class={`tag ${TONES[value as Follower["state"]] ?? ""}`}>{String(value)}</span>,
            since: (value) => typeof value === "string" ? <time dateTime={value} title={moment(value, zone)}>{ago(Date.parse(value), Date.now())}</time> : "–",
          }} />
      )}
    </Card>
  );
}
