// Today's summary, where the server has one.

import { useEffect, useState } from "preact/hooks";
import { headers } from "../ask/key";
import { at } from "../paths";
import { brief, count, duration } from "../text";

const AGAIN_MS = 60_000;

/** The part of `GET /v1/summary` that is shown: see docs/summary.md. */
type Day = {
  interactions: number;
  users: number;
  sessions: number;
  api_calls: {
    calls: number;
    client_errors: number;
    server_errors: number;
    latency: { p50: number | null; p95: number | null; p99: number | null };
  };
};

export function Summary(props: { again: number }) {
  const [summary, setSummary] = useState<Day | null | undefined>(undefined); // undefined: not yet heard
  useEffect(() => {
    let left = false;
    const load = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch(at("summary", "?date=today"), { headers: headers(), cache: "no-store" });
        const found = answer.status === 200 ? ((await answer.json()) as Day) : null;
        if (!left) setSummary(found);
      } catch {
        // The stream says that the server is away; what is shown stays where it is.
      }
    };
    void load();
    const timer = setInterval(load, AGAIN_MS);
    return () => {
      left = true;
      clearInterval(timer);
    };
  }, [props.again]);
  if (summary === null) return null;

  const api = summary?.api_calls;
  const took = (["p50", "p95", "p99"] as const).filter((name) => !summary || api?.latency[name] !== null);
  const facts: [string, string][] = [
    ["Interactions", known(summary?.interactions, count)],
    ["Users", known(summary?.users, brief)],
    ["Sessions", known(summary?.sessions, brief)],
    ["API calls", known(api?.calls, count)],
    ["4xx", known(api?.client_errors, count)],
    ["5xx", known(api?.server_errors, count)],
    ...took.map((name): [string, string] => [`API ${name}`, duration(api?.latency[name])]),
  ];
  return (
    <section class="card today" aria-label="Received today" title="All that came in since midnight UTC, by time of receipt, of everybody: programs and the team's own, too. Overview counts what happened in the day of the chosen zone.">
      <h2>Received today <span class="muted small">UTC</span></h2>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function known(n: number | undefined, write: (n: number) => string): string {
  return n === undefined ? "–" : write(n);
}
