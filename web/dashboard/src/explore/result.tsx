// What a query was answered by: a table, a chart, files.

import { useState } from "preact/hooks";
import { Table } from "../chart/table";
import { count, visible } from "../text";
import { figure } from "../unit";
import { Drawing, first } from "./draw";
import { LIMIT, type Running } from "./run";

export function ResultCard({ running, sql }: { running: Running; sql: string }) {
  const { result, refused, busy, what } = running;
  const [drawn, setDrawn] = useState(false);
  const rows = result?.answer.rows.length ?? 0;
  const drawable = result !== null && rows > 0 && first(result.answer.columns) !== null;
  return (
    <section class="card" id="result" aria-label="Result" aria-busy={busy} data-card="result">
      <div class="cardhead">
        <h2>Result</h2>
        {result && (
          <span class="muted small when">
            {result.truncated ? `the first ${count(rows)} rows; LIMIT, group or download for others` : `${count(rows)} row${rows === 1 ? "" : "s"}`} in {figure("ms", result.answer.took_ms ?? null)}
          </span>
        )}
        <span class="space" />
        {result && <button type="button" class="button" aria-pressed={drawn} disabled={!drawable} onClick={() => setDrawn(!drawn)}>Chart</button>}
        {(["csv", "parquet"] as const).map((format) => (
          <button key={format} type="button" class="button" disabled={busy || !sql.trim()} onClick={() => running.download(sql, format)}
            title={`Run it without a limit and save the answer as ${format === "csv" ? "CSV" : "Parquet"}`}>
            {what === format ? "Saving…" : format === "csv" ? "CSV" : "Parquet"}
          </button>
        ))}
      </div>
      <div class={`cardbody ${what === "json" && result ? "busy" : ""}`}>
        {refused && <p class="note bad" role="alert">{visible(refused)}</p>}
        {what === "json" && !result && <div class="waiting"><span class="shimmer" aria-hidden="true" /></div>}
        {!result && !refused && !busy && <p class="nothing muted">Run the query to see its answer here: at most {count(LIMIT)} rows, or all of them as a file.</p>}
        {result && rows === 0 && <p class="nothing muted">The answer has no rows.</p>}
        {result && rows > 0 && (drawn && drawable
          ? <Drawing answer={result.answer} />
          : <Table columns={result.answer.columns} rows={result.answer.rows} label="Result" titles={plain(result.answer.columns)} most={100} />)}
      </div>
    </section>
  );
}

/** Columns of a query are called what the query calls them. */
function plain(columns: readonly { name: string }[]): Record<string, string> {
  return Object.fromEntries(columns.map((column) => [column.name, column.name]));
}
