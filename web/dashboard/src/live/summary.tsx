// Today's summary, where the server has one.

import { useEffect, useState } from "preact/hooks";
import { headers } from "../key";
import { brief, count, duration, percent } from "../text";

const AGAIN_MS = 60_000;

type Json = Record<string, unknown>;

export function Summary(props: { again: number }) {
  const [summary, setSummary] = useState<Json | null>(null);
  useEffect(() => {
    let left = false;
    const load = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch("/v1/summary?date=today", { headers: headers(), cache: "no-store" });
        const found = answer.status === 200 ? ((await answer.json()) as Json) : null;
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

  const facts: [string, string | null][] = [
    ["Interactions", shown(pick(summary, "total", "interactions", "records", "count"), count)],
    ["API calls", shown(pick(summary, "api_calls", "calls"), count)],
    ["Failed", shown(pick(summary, "error_rate", "error_share"), percent)],
    ["p50", shown(pick(summary, "p50", "p50_ms"), duration)],
    ["p95", shown(pick(summary, "p95", "p95_ms"), duration)],
    ["p99", shown(pick(summary, "p99", "p99_ms"), duration)],
    ["Users", shown(pick(summary, "users", "unique_users"), brief)],
    ["Sessions", shown(pick(summary, "sessions", "unique_sessions"), brief)],
  ];
  return (
    <section class="card today" aria-label="Today">
      <h2>Today <span class="muted small">UTC</span></h2>
      <dl>
        {facts.map(([name, value]) => value !== null && (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** The first of `names` that is a number, on top or one level down. */
function pick(summary: Json, ...names: string[]): number | null {
  const places = [summary, ...Object.values(summary).filter((v): v is Json => typeof v === "object" && v !== null && !Array.isArray(v))];
  for (const place of places) {
    for (const name of names) if (typeof place[name] === "number") return place[name];
  }
  return null;
}

function shown(value: number | null, text: (n: number) => string): string | null {
  return value === null ? null : text(value);
}
