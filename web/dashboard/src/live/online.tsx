// Who is there: how many now, minute by minute of the hour, and on which pages.

import { count, visible } from "../text";
import type { Online as People } from "./protocol";

const HEIGHT = 36;

export function Online({ people }: { people: People | null }) {
  const visitors = people?.visitors ?? 0;
  const minutes = people?.minutes ?? [];
  const most = Math.max(1, ...minutes);
  const more = people !== null && visitors > people.most;
  return (
    <section class="card online" aria-label="Online">
      <div class="cardhead">
        <h2 title="Visitors of the last five minutes: the user, else the anonymous visitor, else the session. Programs and the team's own traffic are left out.">Online</h2>
        <span class="muted small">last 5 minutes</span>
        <span class="space" />
        <strong class="figure" data-figure="online" data-value={people ? visitors : ""}>
          {people === null ? "–" : more ? `> ${count(people.most)}` : count(visitors)}
        </strong>
      </div>
      <svg class="minutes" viewBox={`0 0 240 ${HEIGHT}`} preserveAspectRatio="none" role="img"
        aria-label={`Visitors in each minute of the last hour, at most ${count(Math.max(0, ...minutes))}`}>
        {minutes.map((n, place) => {
          const tall = n ? Math.max(1.5, (n / most) * HEIGHT) : 0;
          return <rect key={place} x={place * 4} y={HEIGHT - tall} width={3} height={tall} />;
        })}
      </svg>
      <div class="breakdown">
        <ul aria-label="Pages that visitors are on">
          {(people?.pages ?? []).map((page) => (
            <li key={page.name}>
              <div class="measure" title={visible(page.name)}>
                <span class="fill" style={{ width: `${(page.share * 100).toFixed(1)}%` }} aria-hidden="true" />
                <span class="name"><bdi>{visible(page.name)}</bdi></span>
                <span class="number">{count(page.visitors)}</span>
              </div>
            </li>
          ))}
        </ul>
      </div>
      {people !== null && people.pages.length === 0 && <p class="muted small">Nobody is on a page.</p>}
    </section>
  );
}
