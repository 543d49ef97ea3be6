// Types or routes of the last hour, the largest first; choosing one filters everything.

import { brief, count, duration, percent, visible } from "../text";
import type { Line } from "./protocol";

interface Props {
  title: string;
  lines: Line[];
  chosen: string;
  timed?: boolean;
  onChoose: (name: string) => void;
}

export function Breakdown({ title, lines, chosen, timed = false, onChoose }: Props) {
  return (
    <section class="card breakdown" aria-label={`${title} of the last hour`}>
      <div class="cardhead">
        <h2>{title}</h2>
        <span class="muted small">{timed ? "p95 · count" : "count"}</span>
      </div>
      {lines.length === 0 && <p class="muted small">None in the last hour.</p>}
      <ul>
        {lines.map((line) => (
          <li key={line.name}>
            <button type="button" class="measure" aria-pressed={chosen === line.name} disabled={line.name === "(other)"}
              title={`${visible(line.name)}: ${count(line.count)}, ${count(line.errors)} failed`} onClick={() => onChoose(line.name)}>
              <span class="fill" style={{ width: `${(line.share * 100).toFixed(1)}%` }} aria-hidden="true" />
              <span class="name"><bdi>{visible(line.name)}</bdi></span>
              {line.errors > 0 && <span class="errors">{percent(line.errors / line.count)}<span class="sr"> failed</span></span>}
              {timed && <span class="p95">{duration(line.p95)}</span>}
              <span class="number">{brief(line.count)}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
