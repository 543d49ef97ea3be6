// Anomalies: what is wrong now, what was, why, and what is watched.

import { useEffect } from "preact/hooks";
import { useData } from "../ask/question";
import { Card } from "../card/card";
import { setQuery, useQuery } from "../shell/place";
import { useRange } from "../shell/range";
import { isTaken } from "../shell/shortcuts";
import { visible } from "../text";
import "./anomalies.css";
import { Detail } from "./detail";
import { Incidents, tableOf } from "./list";
import { type Listed, type Watched } from "./incident";
import { SeriesPicture } from "./picture";
import { WatchedCard } from "./watched";

const PAST = 100;

export default function Page() {
  const { zone, since, until, label } = useRange();
  const [incident] = useQuery("incident");
  const [series] = useQuery("series");
  const open = useData<Listed>("alerts", "?state=open");
  const past = useData<Listed>("alerts", `?state=resolved&most=${PAST}&since=${since}&before=${until}`);
  const watched = useData<Watched>("alerts", "/watched");
  const again = () => {
    open.again();
    past.again();
  };
  useRows(!incident);
  if (incident) return <div class="anomaliespage"><Detail key={incident} id={incident} zone={zone} onChange={again} /></div>;
  return (
    <div class="anomaliespage">
      {watched.value?.refused && <p class="note bad" role="alert">{visible(watched.value.refused)}</p>}
      <Card id="open" tall={[68, 109]} title="Open" data={open} zone={zone} empty={open.value?.incidents.length === 0}
        note={open.value?.incidents.length ? `${open.value.incidents.length} now` : ""} table={tableOf(open.value?.incidents)}
        hint={watched.value && <p class={watched.value.verdict.state === "usual" ? "good" : ""} data-verdict={watched.value.verdict.state}><bdi>{visible(watched.value.verdict.sentence)}</bdi></p>}
        definition="Incidents that are not over. Series that went wrong within five minutes of each other, by the same rule and in the same direction, are one incident. What is critical comes first as it opened, the newest first.">
        {(found) => <Incidents incidents={found.incidents} zone={zone} label="Open incidents" />}
      </Card>
      {series && <SeriesPicture series={series} zone={zone} onClose={() => setQuery({ series: null })} />}
      <Card id="past" tall={68} title="Past" data={past} zone={zone} empty={past.value?.incidents.length === 0} table={tableOf(past.value?.incidents)}
        hint="Nothing was wrong." note={label} definition={`Incidents that opened in the range and are over, the newest ${PAST}. They are kept for a year after their end.`}>
        {(found) => <Incidents incidents={found.incidents} zone={zone} label="Past incidents" most={10} />}
      </Card>
      <WatchedCard watched={watched} zone={zone} />
    </div>
  );
}

/** `j` and `k` go through the incidents. */
function useRows(active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const pressed = (event: KeyboardEvent) => {
      const step = { j: 1, k: -1 }[event.key];
      if (step === undefined || isTaken(event)) return;
      const rows = [...document.querySelectorAll<HTMLElement>(".incident a")];
      const here = rows.indexOf(document.activeElement as HTMLElement);
      rows[Math.max(0, Math.min(rows.length - 1, here + step))]?.focus();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [active]);
}
