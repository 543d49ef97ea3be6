// Open incidents: the newest five, each a link to where it is acknowledged.

import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { href } from "../shell/place";
import { visible } from "../text";
import { ago } from "../unit";
import type { Incident, Overview } from "./said";

export function Alerts({ data }: { data: Data<Overview> }) {
  const found = data.value?.alerts;
  return (
    <Card id="alerts" title="Open incidents" data={data} table={null} empty={false}
      definition="Incidents that are not over, the newest first, as the page Anomalies has them; where there is none, the same verdict.">
      {() => (found?.sentence
        ? <p class="note bad" role="alert">{visible(found.sentence)}</p>
        : found?.incidents.length
          ? (
            <>
              <ul class="incidents">{found.incidents.map((each) => <One key={each.incident_id} incident={each} />)}</ul>
              <p class="small"><a href={href("anomalies")}>All incidents</a></p>
            </>
          )
          : <p class="nothing muted">{visible(found?.verdict?.sentence ?? "")}</p>)}
    </Card>
  );
}

function One({ incident }: { incident: Incident }) {
  return (
    <li>
      <a href={href("anomalies", { incident: incident.incident_id })}>
        <span class={`tag ${incident.severity === "critical" ? "bad" : ""}`}>{visible(incident.severity)}</span>
        <bdi class="why">{visible(incident.why ?? [incident.kind, ...incident.series].join(" "))}</bdi>
        <span class="muted small">{ago(Date.parse(incident.opened_at), Date.now())}</span>
      </a>
    </li>
  );
}
