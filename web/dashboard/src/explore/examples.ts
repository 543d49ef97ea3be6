// Queries that any lake answers.

export interface Example {
  title: string;
  sql: string;
}

export const EXAMPLES: readonly Example[] = [
  {
    title: "What came, by day and type",
    sql: `SELECT event_date, interaction_type, count(*) AS interactions
FROM interactions
WHERE event_date >= current_date - 28
GROUP BY ALL
ORDER BY event_date, interactions DESC`,
  },
  {
    title: "The newest interactions",
    sql: `SELECT timestamp, interaction_type, coalesce(route, path) AS place, user_id
FROM interactions
WHERE event_date >= current_date - 7
ORDER BY timestamp DESC
LIMIT 100`,
  },
  {
    title: "Routes: calls, errors, time",
    sql: `SELECT method, route, count(*) AS calls,
  count(*) FILTER (response_status >= 500) AS failed,
  quantile_disc(response_time_ms, 0.95) AS p95_ms
FROM api_call
WHERE event_date >= current_date - 7
GROUP BY ALL
ORDER BY calls DESC`,
  },
  {
    title: "Who came before logging in",
    sql: `SELECT person, min(timestamp) AS came, count(*) AS interactions
FROM stitched
WHERE event_date >= current_date - 28 AND NOT coalesce(bot, false)
GROUP BY person
ORDER BY interactions DESC
LIMIT 100`,
  },
  {
    title: "What became of matches",
    sql: `SELECT partner_id, count(*) AS matches, count(booked_at) AS booked, sum(deals) AS deals
FROM matches
GROUP BY ALL
ORDER BY matches DESC`,
  },
  {
    title: "Cost of AI by model",
    sql: `SELECT date_trunc('day', started_at) AS day, model, count(*) AS turns, sum(cost_usd) AS usd
FROM ai_turns
GROUP BY ALL
ORDER BY day, usd DESC`,
  },
  { title: "Columns and their types", sql: "DESCRIBE interactions" },
];
