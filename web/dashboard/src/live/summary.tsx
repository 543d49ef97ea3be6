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
  const [summary, setSummary] = useState<Day | null>(null);
  useEffect(() => {
    let left = false;
    const load = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch(at("summary", "?date=today"), { headers: headers(), cache: "no-store" });
        const found = answer.status === 200 ? ((await answer.json()) as Day) : null;
        if (!left) setSummary(found);
      } catch {
        // The stream says that the server is away; yesterday's news stays where it is.
      }
    };
    void load();
    const timer = setInterval(load, AGAIN_MS);
    return () => {
      left = true;
      clearInterval(timer);
    };
  }, [props.again]);
  if (!summary) return null;

  const { interactions, users, sessions, api_calls: api } = summary;
  const took = Object.entries(api.latency).filter(
    (entry): entry is [string, number] => /^p\d/.test(entry[0]) && entry[1] !== null,
  );
  const facts: [string, string][] = [
    ["Interactions", count(interactions)],
    ["API calls", count(api.calls)],
    ["4xx", count(api.client_errors)],
    ["5xx", count(api.server_errors)],
    ...took.map(([name, ms]): [string, string] => [name, duration(ms)]),
    ["Users", brief(users)],
    ["Sessions", brief(sessions)],
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
