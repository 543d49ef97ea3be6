// Rows and columns as a table that can be sorted; at most so many rows are drawn at a time.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Cells, Column, Value } from "../ask/answer";
import { visible } from "../text";
import { isNumeric, written } from "../unit";

interface Props {
  columns: readonly Column[];
  rows: readonly Cells[];
  label: string;
  zone?: string;
  /** Which columns, in which order; all by default. */
  only?: string[];
  titles?: Readonly<Record<string, string>>;
  /** How a cell is drawn, by column. */
  cells?: Readonly<Record<string, (value: Value, row: Cells) => ComponentChildren>>;
  /** Column that it is sorted by first; with `-` before it, the largest first. */
  sort?: string;
  most?: number;
}

const MOST_WHOLE = 16; // rows that need no scrolling of their own

export function Table({ columns, rows, label, zone = "UTC", only, titles = {}, cells = {}, sort = "", most = 200 }: Props) {
  const [by, setBy] = useState(sort);
  const [shown, setShown] = useState(most);
  const places = (only ?? columns.map((column) => column.name)).map((name) => columns.findIndex((column) => column.name === name)).filter((at) => at >= 0);
  const sorted = useMemo(() => {
    const at = columns.findIndex((column) => column.name === by.replace(/^-/, ""));
    return at < 0 ? rows : [...rows].sort((a, b) => compared(a[at], b[at], by.startsWith("-")));
  }, [columns, rows, by]);
  return (
    <div class={`tablebox ${Math.min(sorted.length, shown) > MOST_WHOLE ? "" : "short"}`} tabindex={0} role="group" aria-label={`${label}, table`}>
      <table class="table">
        <thead>
          <tr>
            {places.map((at) => {
              const column = columns[at] as Column;
              const down = by === `-${column.name}`;
              const here = down || by === column.name;
              return (
                <th key={column.name} scope="col" class={isNumeric(column) ? "right" : ""} aria-sort={here ? (down ? "descending" : "ascending") : "none"}>
                  <button type="button" class="sorter" title={visible(column.doc)}
                    onClick={() => setBy(here ? (down ? column.name : `-${column.name}`) : isNumeric(column) ? `-${column.name}` : column.name)}>
                    {visible(titles[column.name] ?? column.name.replaceAll("_", " "))}
                    <span class="arrow" aria-hidden="true">{here ? (down ? "↓" : "↑") : ""}</span>
                  </button>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, shown).map((row, n) => (
            <tr key={n}>
              {places.map((at) => {
                const column = columns[at] as Column;
                const draw = cells[column.name];
                return (
                  <td key={column.name} class={isNumeric(column) ? "right" : ""}>
                    {draw ? draw(row[at] ?? null, row) : <bdi>{written(column, row[at], zone)}</bdi>}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {sorted.length > shown && (
        <p class="more"><button type="button" class="link" onClick={() => setShown(shown + most)}>
          Show {Math.min(most, sorted.length - shown)} more of {sorted.length}
        </button></p>
      )}
    </div>
  );
}

/** Nothing comes last, whichever way it is sorted. */
function compared(a: Value | undefined, b: Value | undefined, down: boolean): number {
  const gone = (value: Value | undefined) => value === null || value === undefined;
  if (gone(a) || gone(b)) return Number(gone(a)) - Number(gone(b));
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  return down ? -order : order;
}
