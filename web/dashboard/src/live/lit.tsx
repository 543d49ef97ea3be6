// Routes that light up: how often each was called in the last ten seconds. A place keeps its height,
// so that nothing jumps while routes come and go.

import { count, visible } from "../text";
import type { Lit } from "./protocol";

const PLACES = 6;

interface Props {
  lit: Lit[];
  chosen: string;
  onChoose: (route: string) => void;
}

export function Lights({ lit, chosen, onChoose }: Props) {
  const shown = lit.slice(0, PLACES);
  return (
    <section class="card breakdown lights" aria-label="Routes of the last ten seconds">
      <div class="cardhead">
        <h2>Lighting up</h2>
        <span class="muted small">a second, over ten</span>
      </div>
      <ul>
        {shown.map((each) => (
          <li key={each.route}>
            <button type="button" class={`measure ${each.errors ? "hurt" : ""}`} aria-pressed={chosen === each.route} disabled={each.route === "(other)"}
              title={`${visible(each.route)}: ${each.rate}/s, ${count(each.errors)} failed`} onClick={() => onChoose(each.route)}>
              <span class="fill" style={{ width: `${(each.share * 100).toFixed(1)}%` }} aria-hidden="true" />
              <span class="name"><bdi>{visible(each.route)}</bdi></span>
              {each.errors > 0 && <span class="errors">{count(each.errors)} failed</span>}
              <span class="number">{each.rate >= 10 ? count(each.rate) : each.rate.toFixed(1)}/s</span>
            </button>
          </li>
        ))}
        {Array.from({ length: PLACES - shown.length }, (_, n) => (
          <li key={n} class="measure free muted">{n === 0 && shown.length === 0 ? "Quiet for ten seconds." : ""}</li>
        ))}
      </ul>
    </section>
  );
}
