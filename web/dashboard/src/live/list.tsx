// The list, newest first: at most 500 rows. One row is in the tab order; arrows, j and k move.

import { Component } from "preact";
import { useCallback, useState } from "preact/hooks";
import { useRange } from "../shell/range";
import { clock, count, duration, statusClass, visible } from "../text";
import { type Item, MOST, isGap } from "./model";
import type { Row } from "./protocol";

interface Props {
  items: Item[];
  waiting: number;
  paused: boolean;
  filtered: boolean;
  answered: boolean;
  busy: boolean;
  onOpen: (row: Row) => void;
  onResume: () => void;
  onClear: () => void;
}

export function List(props: Props) {
  const [current, setCurrent] = useState("");
  const focus = useCallback((at: string) => setCurrent(at), []);
  const { items } = props;
  const { zone } = useRange();
  const known = items.some((item) => item.at === current);
  const entry = known ? current : items.find((item) => !isGap(item))?.at;
  return (
    <section class="card list" id="list" aria-label="Interactions, newest first" tabindex={-1}>
      {props.paused && props.waiting > 0 && (
        <button type="button" class="pill" onClick={props.onResume}>{count(props.waiting)} new</button>
      )}
      <div class="scroll" role="table" aria-label="Interactions" aria-rowcount={-1}
        onKeyDown={move}>
        <div role="rowgroup" class="heads">
          <div role="row" class="row head">
            <span role="columnheader" title={`When it happened, ${zone}`}>Time</span>
            <span role="columnheader">Type</span>
            <span role="columnheader">What</span>
            <span role="columnheader" class="right">Status</span>
            <span role="columnheader" class="right">Took</span>
            <span role="columnheader" class="user">Who</span>
          </div>
        </div>
        <div role="rowgroup" class={props.busy ? "rows" : "rows calm"}>
          {items.map((item) => (
            <RowView key={item.at} item={item} entry={item.at === entry} zone={zone} onOpen={props.onOpen} onFocus={focus} />
          ))}
        </div>
        {items.length === 0 && (
          <div class="nothing muted">
            {!props.answered ? "Connecting…" : props.filtered ? (
              <>Nothing matches yet. New ones appear here. <button type="button" class="link" onClick={props.onClear}>Clear the filters</button></>
            ) : "Waiting for the next interaction…"}
          </div>
        )}
        {items.length >= MOST && <p class="nothing muted">The newest {MOST} are shown; the lake has them all.</p>}
      </div>
    </section>
  );
}

interface RowProps {
  item: Item;
  entry: boolean;
  zone: string;
  onOpen: (row: Row) => void;
  onFocus: (at: string) => void;
}

/** One row; it is drawn once, and again only when it enters or leaves the tab order. */
class RowView extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    return next.item !== this.props.item || next.entry !== this.props.entry || next.zone !== this.props.zone;
  }

  render({ item, entry, zone, onOpen, onFocus }: RowProps) {
    if (isGap(item)) {
      const why = item.why === "slow" ? "this browser was slower than the traffic" : "more came at once than a list can show";
      return (
        <div role="row" class="gap">
          <span role="cell">{count(item.gap)} skipped: {why}</span>
        </div>
      );
    }
    const what = visible(item.what);
    return (
      <div role="row" class={`row ${item.error || (item.status ?? 0) >= 500 ? "failed" : ""}`}>
        <span role="cell" class="time" title={visible(item.time ?? "")}>{clock(item.time, zone)}</span>
        <span role="cell" class="type"><bdi>{visible(item.type)}</bdi></span>
        <span role="cell" class="what">
          <button type="button" class="open" tabindex={entry ? 0 : -1} title={what}
            onClick={() => onOpen(item)} onFocus={() => onFocus(item.at)}>
            {item.method && <b class="method">{visible(item.method)} </b>}
            <bdi>{what || visible(item.type)}</bdi>
          </button>
        </span>
        <span role="cell" class={`right state ${statusClass(item.status)}`}>{item.status ?? ""}</span>
        <span role="cell" class="right took">{item.ms === undefined ? "" : duration(item.ms)}</span>
        <span role="cell" class="user"><bdi>{visible(item.user ?? "")}</bdi></span>
      </div>
    );
  }
}

/** Keys within the list move the focus from row to row. */
function move(event: KeyboardEvent & { currentTarget: HTMLElement }) {
  const buttons = [...event.currentTarget.querySelectorAll<HTMLButtonElement>(".open")];
  const here = buttons.indexOf(document.activeElement as HTMLButtonElement);
  if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const places: Record<string, number> = {
    ArrowDown: here + 1, j: here + 1, ArrowUp: here - 1, k: here - 1,
    PageDown: here + 12, PageUp: here - 12, Home: 0, End: buttons.length - 1,
  };
  const place = places[event.key];
  if (place === undefined) return;
  event.preventDefault();
  buttons[Math.max(0, Math.min(place, buttons.length - 1))]?.focus();
}
