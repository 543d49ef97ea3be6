// What is watched: every series with how it is, the rules of the file, and how to write them.

import type { Column, Value } from "../ask/answer";
import type { Data } from "../ask/question";
import { Card, Nothing } from "../card/card";
import { Table } from "../chart/table";
import { href, setQuery } from "../shell/place";
import { count, visible } from "../text";
import { day, figure, moment } from "../unit";
import type { Series, Watched } from "./incident";

const EXAMPLE = `[[threshold]]
name = "checkout errors"
event = "api_call"
metric = "error_rate"
where = ["route=/checkout"]
above = 0.05
minutes = 15

[[budget]]
name = "AI"
amount = 50
per = "day"

[[silent]]
event = "demo_booking"
minutes = 120

[[tell]]
by = "slack"
url_env = "OPS_SLACK_URL"`;

const COLUMNS: Column[] = [
  { name: "series", kind: "text", unit: "", doc: "Name of the series." },
  { name: "state", kind: "text", unit: "", doc: "As usual; part of an open incident; or out of its usual band and no incident, as it began before anybody watched or was closed by hand." },
  { name: "last", kind: "number", unit: "", doc: "What came in the newest bucket that was judged." },
  { name: "usual", kind: "text", unit: "", doc: "The band in which a bucket raises no alarm." },
  { name: "per_hour", kind: "number", unit: "", doc: "How many it had in an hour, of late." },
  { name: "minutes", kind: "integer", unit: "", doc: "How long a bucket is." },
  { name: "learned_since", kind: "time", unit: "", doc: "The first bucket that it learned from." },
];

export function WatchedCard({ watched, zone }: { watched: Data<Watched>; zone: string }) {
  const rows = watched.value?.series.map(rowOf) ?? [];
  return (
    <>
      <Card id="watched" tall={[515, 550]} title="Watched" data={watched} zone={zone} note={rows.length ? `${count(rows.length)} series` : ""}
        table={{ columns: COLUMNS, rows }} hint={<p>{watched.value ? <bdi>{visible(watched.value.sentence)}</bdi> : ""}. What comes twenty times a week is watched from the next look on, every five minutes.</p>}
        definition="What detectors look at every five minutes, as the last look left it. A series learns from up to fourteen days that are in the lake before it says anything. What came less than twenty times in a week is not watched.">
        {(found) => (
          <>
            <p class="muted small">
              {found.judged_until ? `Judged until ${moment(found.judged_until, zone)}. ` : ""}
              {found.rare > 0 && `${count(found.rare)} come too rarely to say what is usual. `}
              {found.left_out > 0 && `${count(found.left_out)} are left out for want of room (watch.most). `}
              Days and weeks are those of {visible(found.zone)}.
            </p>
            <Table columns={COLUMNS} rows={rows} label="Watched series" zone={zone} sort="-per_hour" most={50} titles={{ per_hour: "an hour", learned_since: "learned since" }}
              cells={{
                series: (value) => <button type="button" class="link" onClick={() => setQuery({ series: String(value) })}><bdi>{visible(String(value))}</bdi></button>,
                state: (value, row) => <State value={String(value)} incident={found.series.find((each) => each.series === row[0])?.incident_id ?? null} />,
                last: (value, row) => figureOf(found, row[0] ?? null, value),
                learned_since: (value) => (typeof value === "string" ? <span title={moment(value, zone)}>{day(value)}</span> : "–"),
              }} />
            {found.excluded.length > 0 && (
              <ul class="muted small" aria-label="Left out">{found.excluded.map((one) => (
                <li key={one.series + one.from}><bdi>{visible(one.series)}</bdi> is left out from {moment(one.from, zone)} until {moment(one.until, zone)}.</li>
              ))}</ul>
            )}
          </>
        )}
      </Card>
      <Card id="rules" tall={422} title="Rules of your own" data={watched} table={null} empty={watched.value?.rules.length === 0}
        hint={<Nothing snippet={EXAMPLE} words="None yet, and none is needed. Limits, budgets and silences stand in alerts.toml, beside the .env files:" />}
        definition="Limits, budgets and silences of alerts.toml. A change counts from the next look on. Settings shows the file.">
        {(found) => (
          <ul class="rules">
            {found.rules.map((rule) => <li key={rule.kind + rule.name}><span class="tag">{rule.kind}</span> <b><bdi>{visible(rule.name)}</bdi></b> <span class="muted"><bdi>{visible(rule.of)}</bdi></span></li>)}
          </ul>
        )}
      </Card>
    </>
  );
}

function rowOf(each: Series): Value[] {
  const usual = each.low === null || each.high === null ? null : `${figure(each.unit, each.low)} – ${figure(each.unit, each.high)}`;
  const state = each.incident_id !== null ? "incident" : each.wrong_since === null ? "as usual" : "unusual";
  return [each.series, state, each.value, usual, each.per_hour, each.minutes, each.learned_since];
}

function State({ value, incident }: { value: string; incident: string | null }) {
  if (incident !== null) return <a class="tag bad" href={href("anomalies", { incident })}>{value}</a>;
  return <span class={`tag ${value === "as usual" ? "" : "warn"}`}>{value}</span>;
}

function figureOf(found: Watched, series: Value, value: Value): string {
  return figure(found.series.find((each) => each.series === series)?.unit ?? "", typeof value === "number" ? value : null);
}
