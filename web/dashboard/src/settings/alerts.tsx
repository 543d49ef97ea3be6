// Alerts: the rules that are in force, and who is told. They stand in a file, and are changed there.

import { useData } from "../ask/question";
import { Card } from "../card/card";
import { href } from "../shell/place";
import { percent, visible } from "../text";
import { moment } from "../unit";
import { Elsewhere, Row, some } from "./acting";

interface Channel {
  by: string;
  variable: string;
  set: boolean;
  signed: boolean;
  severity: string;
  kinds: readonly string[];
  series: readonly string[];
  quiet: string | null;
}

interface Threshold {
  name: string;
  event: string;
  metric: string;
  where: readonly string[];
  above: number | null;
  below: number | null;
  minutes: number;
  for: number;
  severity: string;
}

interface Rules {
  watch: { series: readonly string[]; zone: string; sensitivity: number; most: number };
  thresholds: readonly Threshold[];
  budgets: readonly { name: string; amount: number; currency: string; per: string; warn_at: number }[];
  silent: readonly { event: string; minutes: number; service: string | null; severity: string }[];
  exclude: readonly { from: string; until: string; series: string }[];
}

interface Listed {
  file: string;
  there: boolean;
  error: string;
  rules: Rules;
  channels: readonly Channel[];
  digest: { at: string; zone: string; by: readonly string[] } | null;
}

export function Alerts() {
  const data = useData<Listed>("rules", "", false);
  const found = data.value;
  return (
    <>
      {found?.error && <p class="note bad" role="alert">Nothing is watched, as the rules cannot be read: {visible(found.error)}.</p>}
      <Card id="channels" title="Who is told" data={data} table={null} empty={false}
        definition="The channels of alerts.toml. Addresses are secrets: the file names the variable that holds one.">
        {(told) => (
          <>
            {told.channels.length === 0 && <p class="nothing muted">Nobody is told: alerts stand on the <a href={href("anomalies")}>page of anomalies</a> alone.</p>}
            <ul class="rows">{told.channels.map((channel) => <Told key={`${channel.by} ${channel.variable}`} of={channel} />)}</ul>
            {told.digest && <p class="muted">A digest goes out at {told.digest.at} {visible(told.digest.zone)}, by {told.digest.by.join(", ")}.</p>}
            {told.channels.length > 0 && <Elsewhere why="This sends a marked test to each of them:" command="lakeward alerts test" />}
          </>
        )}
      </Card>
      <Card id="rules" title="What is watched" data={data} table={null} empty={false}
        note={found && <code>{visible(found.file)}</code>}
        definition="The rules of alerts.toml as they are in force; without a file, everything is watched and there are no limits.">
        {(told) => <Watched found={told} />}
      </Card>
    </>
  );
}

function Told({ of: channel }: { of: Channel }) {
  return (
    <Row name={channel.by}
      tags={<>
        <span class={channel.set ? "tag good" : "tag bad"}>{channel.set ? "address is set" : "address is not set"}</span>
        {channel.signed && <span class="tag">signed</span>}
      </>}
      meta={<>
        address in <code>{visible(channel.variable)}</code> · {channel.severity} and above · {some(channel.kinds, 8)}
        {channel.series.join() !== "*" && <> · series {some(channel.series, 6)}</>}
        {channel.quiet && <> · quiet {visible(channel.quiet)}</>}
      </>} />
  );
}

function Watched({ found }: { found: Listed }) {
  const { watch, thresholds, budgets, silent, exclude } = found.rules;
  return (
    <>
      <ul class="rows">
        <Row name="Unusual" meta={<>{some(watch.series, 8) || "nothing"} · sensitivity {watch.sensitivity} · up to {watch.most} series · days of {visible(watch.zone)}</>} />
        {thresholds.map((rule) => (
          <Row key={rule.name} name={<bdi>{visible(rule.name)}</bdi>} tags={<><span class="tag">limit</span><span class="tag">{rule.severity}</span></>}
            meta={<><bdi>{visible(rule.event)}</bdi> {rule.metric} {rule.above !== null ? `above ${rule.above}` : `below ${rule.below ?? ""}`}
              {rule.where.length > 0 && <> where {some(rule.where)}</>} · {rule.for} × {rule.minutes} min</>} />
        ))}
        {budgets.map((rule) => (
          <Row key={rule.name} name={<bdi>{visible(rule.name)}</bdi>} tags={<span class="tag">budget</span>}
            meta={<>{rule.amount} {rule.currency} per {rule.per} · warned at {percent(rule.warn_at)}</>} />
        ))}
        {silent.map((rule) => (
          <Row key={rule.event + (rule.service ?? "")} name={<bdi>{visible(rule.event)}</bdi>} tags={<><span class="tag">silence</span><span class="tag">{rule.severity}</span></>}
            meta={<>none for {rule.minutes} min{rule.service && <> of <bdi>{visible(rule.service)}</bdi></>}</>} />
        ))}
        {exclude.map((rule) => (
          <Row key={rule.from + rule.series} name={<bdi>{visible(rule.series)}</bdi>} tags={<span class="tag">left out</span>}
            meta={<>{moment(rule.from, watch.zone)} until {moment(rule.until, watch.zone)}</>} />
        ))}
      </ul>
      <Elsewhere why={<>Rules stand in <code>{visible(found.file)}</code>{!found.there && ", which is not there yet"}: change them there, and the next look takes them. This shows what is watched:</>}
        command="lakeward alerts watch" />
    </>
  );
}
