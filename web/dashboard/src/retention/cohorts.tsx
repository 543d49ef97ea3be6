// Cohorts by period as a table of heat: the colour says at a glance what the number says exactly. What
// is not over yet is marked.

import { type Answer, type Cells, number, place, text } from "../ask/answer";
import { count, percent, visible } from "../text";
import { day } from "../unit";
import type { Grain } from "./back";

interface Row {
  segment: string | null;
  cohort: string;
  size: number;
  cells: Map<number, Cells>;
}

export function Cohorts({ answer, by, grain, people }: { answer: Answer; by: string; grain: Grain; people: string }) {
  const rows = rowsOf(answer, by);
  const [share, returned, complete] = [place(answer, "share"), place(answer, "returned"), place(answer, "complete")];
  const most = Math.max(0, ...answer.rows.map((row) => number(row, place(answer, "period")) ?? 0));
  const periods = Array.from({ length: most + 1 }, (_, n) => n);
  return (
    <div class="tablebox" tabindex={0} role="group" aria-label="Cohorts, table">
      <table class="table cohorts">
        <thead>
          <tr>
            {by && <th scope="col" class="head">{visible(by)}</th>}
            <th scope="col" class="head">{grain}</th>
            <th scope="col" class="head right">{people}</th>
            {periods.map((n) => <th key={n} scope="col" class="head right">{n === 0 ? "same" : `+${n}`}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.segment}|${row.cohort}`}>
              {by && <th scope="row"><bdi>{visible(row.segment ?? "(none)")}</bdi></th>}
              <th scope="row">{day(row.cohort)}</th>
              <td class="right">{count(row.size)}</td>
              {periods.map((n) => {
                const cell = row.cells.get(n);
                const value = number(cell, share);
                if (!cell || value === null) return <td key={n} />;
                const open = cell[complete] === false;
                return (
                  <td key={n} class={`right heat ${open ? "open" : ""}`} style={{ "--share": String(Math.min(1, value)) }}
                    title={`${count(number(cell, returned) ?? 0)} of ${count(row.size)} ${people}${open ? ", so far" : ""}`}>
                    {percent(value)}{open && <><span aria-hidden="true">*</span><span class="sr"> so far</span></>}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted small foot">* this {grain} is not over yet.</p>
    </div>
  );
}

function rowsOf(answer: Answer, by: string): Row[] {
  const [cohort, period, size] = ["cohort", "period", "size"].map((name) => place(answer, name));
  const found = new Map<string, Row>();
  for (const cells of answer.rows) {
    const segment = by ? text(cells, place(answer, by)) : null;
    const began = text(cells, cohort ?? -1) ?? "";
    const key = `${segment}|${began}`;
    let row = found.get(key);
    if (!row) found.set(key, (row = { segment, cohort: began, size: number(cells, size ?? -1) ?? 0, cells: new Map() }));
    row.cells.set(number(cells, period ?? -1) ?? -1, cells);
  }
  return [...found.values()];
}
