// A ranked list with bars: names and what they amount to. Choosing one filters the page.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Answer, number, place, text } from "../ask/answer";
import { visible } from "../text";
import { figure } from "../unit";

interface Props {
  answer: Answer;
  /** Column of the names. */
  name: string;
  /** Column that the bars are as long as. */
  value: string;
  /** Further columns, shown as numbers before the value. */
  more?: string[];
  /** What a name is called; by default itself. */
  title?: (name: string | null) => ComponentChildren;
  /** What null is called. */
  none?: string;
  chosen?: string;
  onChoose?: (name: string) => void;
  most?: number;
  label: string;
  /** What columns are called, where that is not their name. */
  titles?: Readonly<Record<string, string>>;
}

export function Bars({ answer, name, value, more = [], title, none = "(none)", chosen = "", onChoose, most = 10, label, titles = {} }: Props) {
  const [all, setAll] = useState(false);
  const at = place(answer, name);
  const by = place(answer, value);
  const unit = answer.columns[by]?.unit ?? "";
  const longest = Math.max(0, ...answer.rows.map((row) => number(row, by) ?? 0)) || 1;
  const rows = all ? answer.rows : answer.rows.slice(0, most);
  return (
    <div class="breakdown">
      <ul class="ranked" style={{ "--numbers": String(more.length + 1) }} aria-label={label}>
        {more.length > 0 && (
          <li class="over muted small">
            <span />{[...more, value].map((column) => <span key={column}>{titles[column] ?? column.replaceAll("_", " ")}</span>)}
          </li>
        )}
        {rows.map((row) => {
          const found = text(row, at);
          const amount = number(row, by);
          const inside = (
            <>
              <span class="fill" style={{ width: `${((Math.max(0, amount ?? 0) / longest) * 100).toFixed(1)}%` }} aria-hidden="true" />
              <span class="name"><bdi>{title ? title(found) : found === null || found === "" ? none : visible(found)}</bdi></span>
              {more.map((column) => <span key={column} class="p95">{figure(answer.columns[place(answer, column)]?.unit ?? "", number(row, place(answer, column)))}</span>)}
              <span class="number" title={figure(unit, amount, false)}>{figure(unit, amount)}</span>
            </>
          );
          return (
            <li key={found ?? ""}>
              {onChoose && found !== null
                ? <button type="button" class="measure" title={visible(found)} aria-pressed={chosen === found} onClick={() => onChoose(chosen === found ? "" : found)}>{inside}</button>
                : <div class="measure" title={visible(found ?? none)}>{inside}</div>}
            </li>
          );
        })}
      </ul>
      {answer.rows.length > most && (
        <button type="button" class="link small" onClick={() => setAll(!all)}>{all ? "Show fewer" : `Show all ${answer.rows.length}`}</button>
      )}
    </div>
  );
}
