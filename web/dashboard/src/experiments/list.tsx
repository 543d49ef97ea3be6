// Which experiments there are: those that somebody met, and those that flags run.

import { useData } from "../ask/question";
import { Card } from "../card/card";
import { href } from "../shell/place";
import type { Range } from "../shell/range";
import { count, percent, visible } from "../text";
import { moment, seconds } from "../unit";
import type { List, Listed } from "./report";
import { STATES } from "./words";

export function Experiments({ range }: { range: Range }) {
  const asked = new URLSearchParams({ since: range.since, until: range.until, zone: range.zone });
  const found = useData<List>("experiments", `?${asked}`, range.current);
  const all = found.value?.experiments ?? [];
  return (
    <Card id="experiments" tall={[114, 158]} title="Experiments" note="those that were met last first" class="wide" data={found} table={tableOf(all)} empty={all.length === 0} zone={range.zone}
      hint={<p>Nobody met an experiment in this range, and no flag runs one. <code>lakeward flags</code> and the page of flags in Settings make one.</p>}
      definition="Experiments that have exposures in the range, with the units of each arm, and those that a flag runs and nobody met. Exposures by hand are left out; a unit that met several arms is counted in each of them here.">
      {(list) => (
        <>
          {list.note && <p class="note">{visible(list.note)}</p>}
          <ul class="list">{list.experiments.map((each) => <Line key={each.key} of={each} zone={range.zone} />)}</ul>
        </>
      )}
    </Card>
  );
}

function Line({ of, zone }: { of: Listed; zone: string }) {
  const met = of.first_at !== null;
  return (
    <li class="listed">
      <div class="titleline">
        {met ? <a class="strong" href={href("experiments", { key: of.key })}><bdi>{visible(of.key)}</bdi></a> : <b><bdi>{visible(of.key)}</bdi></b>}
        <span class={`tag ${of.state === "running" ? "good" : ""}`}>{STATES[of.state]}</span>
        {of.flags.map((flag) => <span class="tag" key={flag.flag}>flag <bdi>{visible(flag.flag)}</bdi></span>)}
      </div>
      {of.hypothesis && <p class="muted"><bdi>{visible(of.hypothesis)}</bdi></p>}
      <p class="small muted">
        {met ? <>{count(of.units)} units in {seconds((of.days ?? 0) * 86_400)}, since {moment(of.first_at ?? "", zone)}</> : "nobody met it in this range"}
      </p>
      <p class="chips small">
        {of.arms.map((arm) => (
          <span class="tag" key={arm.arm}><bdi>{visible(arm.arm)}</bdi> {count(arm.units)}{arm.planned !== null && <span class="muted"> · {percent(arm.planned)} planned</span>}</span>
        ))}
      </p>
    </li>
  );
}

function tableOf(all: readonly Listed[]) {
  const column = (name: string, kind: string, doc: string, unit = "") => ({ name, kind, unit, doc });
  return {
    columns: [
      column("experiment", "text", "Key of the experiment."), column("state", "text", "Whether a flag runs it."), column("arm", "text", "The arm; nothing for all."),
      column("units", "integer", "Units that met it.", "units"), column("exposures", "integer", "Exposures.", "interactions"),
      column("first_at", "time", "The first exposure."), column("last_at", "time", "The last one."),
    ],
    rows: all.flatMap((each) => [
      [each.key, STATES[each.state] ?? "", null, each.units, each.exposures, each.first_at, each.last_at],
      ...each.arms.map((arm) => [each.key, STATES[each.state] ?? "", arm.arm, arm.units, arm.exposures, null, null]),
    ]),
  };
}
