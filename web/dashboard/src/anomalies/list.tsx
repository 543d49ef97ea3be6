// Incidents as rows: what, since when, how grave, who sees to it.

import { useState } from "preact/hooks";
import type { Cells, Column } from "../ask/answer";
import { href } from "../shell/place";
import { visible } from "../text";
import { figure, moment, seconds } from "../unit";
import { type Incident, headline, isOpen } from "./incident";

const INCIDENT: Column[] = [
  { name: "began_at", kind: "time", unit: "", doc: "Start of the first bucket that was judged." },
  { name: "resolved_at", kind: "time", unit: "", doc: "When it was over." },
  { name: "severity", kind: "text", unit: "", doc: "How grave it became." },
  { name: "state", kind: "text", unit: "", doc: "Where it stands." },
  { name: "series", kind: "text", unit: "", doc: "What went wrong; the first of several." },
  { name: "members", kind: "integer", unit: "series", doc: "How many series are in it." },
  { name: "why", kind: "text", unit: "", doc: "What was seen." },
];

export function tableOf(incidents: Incident[] | undefined): { columns: Column[]; rows: Cells[] } | null {
  if (!incidents) return null;
  return { columns: INCIDENT, rows: incidents.map((one) => [one.began_at, one.resolved_at, one.severity, one.state, one.series[0] ?? "", one.members, one.why]) };
}

const STATES: Readonly<Record<string, string>> = { opened: "new", ongoing: "going on", acknowledged: "acknowledged", snoozed: "snoozed", resolved: "over" };

export function Incidents({ incidents, zone, label, most = 50 }: { incidents: Incident[]; zone: string; label: string; most?: number }) {
  const [all, setAll] = useState(false);
  const shown = all ? incidents : incidents.slice(0, most);
  return (
    <>
      <ul class="incidents" aria-label={label}>
        {shown.map((each) => <Row key={each.incident_id} incident={each} zone={zone} />)}
      </ul>
      {incidents.length > most && <p class="more"><button type="button" class="link" onClick={() => setAll(!all)}>{all ? "Show fewer" : `Show all ${incidents.length}`}</button></p>}
    </>
  );
}

function Row({ incident, zone }: { incident: Incident; zone: string }) {
  const past = incident.resolved_at !== null;
  return (
    <li class="incident" data-incident={incident.incident_id} data-state={incident.state}>
      <a href={href("anomalies", { incident: incident.incident_id })}>
        <Severity incident={incident} />
        <span class="what">
          <b><bdi>{visible(headline(incident))}</bdi></b>
          <span class="muted small why"><bdi>{visible(incident.why ?? "")}</bdi></span>
        </span>
        <span class="state">
          <State incident={incident} />
          <span class="muted small">{moment(incident.began_at, zone)}{past && incident.resolved_at && `, for ${lasted(incident)}`}</span>
        </span>
      </a>
    </li>
  );
}

export function Severity({ incident }: { incident: Incident }) {
  const { severity } = incident;
  const over = !isOpen(incident);
  return <span class={`tag severity ${over ? "" : severity}`}>{severity}</span>;
}

export function State({ incident }: { incident: Incident }) {
  return (
    <span class="tools small">
      <span class="tag">{STATES[incident.state] ?? incident.state}</span>
      {incident.flapping && <span class="tag">flapping</span>}
    </span>
  );
}

/** How long it lasted, as the two moments have it. */
export function lasted(incident: Incident): string {
  return seconds((Date.parse(incident.resolved_at ?? incident.changed_at) - Date.parse(incident.began_at)) / 1000);
}

/** What came and what was expected, of the gravest moment. */
export function figures(incident: Incident): string {
  const unit = incident.unit ?? "";
  const [value, expected, low, high] = [incident.value, incident.expected, incident.low, incident.high].map((each) => (each === null ? "" : figure(unit, each)));
  if (!value || (!expected && (!low || low === high))) return ""; // alone it says nothing: why it is one has it
  return value + (expected ? ` where ${expected} was expected` : "") + (low && high && low !== high ? `; ${low} to ${high} is usual` : "");
}
