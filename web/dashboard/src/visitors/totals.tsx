// How many came, how much they looked at, how long they stayed; and the same over the range.

import { type Answer, changed, single } from "../ask/answer";
import { useData, useQuestion } from "../ask/question";
import { Card, Nothing } from "../card/card";
import { Figures } from "../chart/figures";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import type { HourEvent } from "../live/protocol";
import { href } from "../shell/place";
import { COMPARES } from "../shell/range";
import { count } from "../text";
import type { Shown } from "./page";

const FIGURES = [
  { name: "visitors", label: "Visitors", better: "up" },
  { name: "views", label: "Views", better: "up" },
  { name: "sessions", label: "Sessions", better: "up" },
  { name: "views_per_session", label: "Views a session", better: "up" },
  { name: "bounce_share", label: "Bounced", better: "down" },
  { name: "median_seconds", label: "Stayed (median)", better: "up" },
] as const;

const MEANT = "Views of pages and screens, one view once however often it is told of. A session ends with half an hour without a view; "
  + "of a bounce there is only one. A visitor is the person, or the session of somebody who asked not to be known. Programs and the team's own traffic are left out.";

export function Totals({ range, where }: Shown) {
  const visits = useQuestion("visits", { where }, range);
  return (
    <Card id="totals" tall={[45, 143]} title="Visitors" note={range.label} data={visits} zone={range.zone} definition={MEANT} tools={<Now />}
      empty={visits.value !== null && !single(visits.value, "views")} hint={where ? <p>Nothing that fits in this range.</p> : <First />}>
      {(answer) => <Figures than={COMPARES[range.compare].toLowerCase()} figures={FIGURES.map((each) => ({ ...each, ...figureOf(answer, each.name) }))} />}
    </Card>
  );
}

function figureOf(answer: Answer, name: string) {
  const column = answer.columns.find((each) => each.name === name);
  return { value: single(answer, name), unit: column?.unit ?? "", doc: column?.doc ?? "", change: changed(answer, name) };
}

/** How many are there now, and the way to see them. */
function Now() {
  const { value } = useData<Pick<HourEvent, "online">>("live", "/hour");
  if (!value) return null;
  const { visitors, most } = value.online;
  return (
    <a class="now" href={href("live")} data-load="">
      <span class="dot" aria-hidden="true" /> {visitors > most ? `more than ${count(most)}` : count(visitors)} online now
    </a>
  );
}

const TAG = `<script src="${location.origin}/lakeward.js" defer></script>`;

function First() {
  return <Nothing words="Nobody came in this range. Put this into the pages to see who comes:" snippet={TAG} />;
}

const LINES = { visitors: "Visitors", views: "Views", sessions: "Sessions" };

export function Course({ range, where }: Shown) {
  const visits = useQuestion("visits", { where, grain: "auto" }, range);
  return (
    <Card id="course" tall={213} title="Visitors and views" data={visits} zone={range.zone} class="wide" hint={<p>Nobody came in this range.</p>}
      definition={`${MEANT} Each session is in the moment in which it began.`}>
      {(answer) => (
        <Series data={linesOf(answer, { values: Object.keys(LINES), labels: LINES })} zone={range.zone} kind="lines"
          label="Visitors, views and sessions" before={range.compare ? COMPARES[range.compare] : ""} />
      )}
    </Card>
  );
}
