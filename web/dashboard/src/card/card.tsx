// A card: a title, what it shows, and the same four states everywhere: loading, empty, refused, stale.
// Its menu has the table, CSV, a picture, the link, and how it is computed.

import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer } from "../ask/answer";
import { useLost } from "../ask/lost";
import { partnerOf, useMe } from "../ask/person";
import type { Data, Question } from "../ask/question";
import { Table } from "../chart/table";
import { visible } from "../text";
import { ago } from "../unit";
import { Copy, copied } from "./copy";
import { Explain } from "./explain";
import { csv, picture, save } from "./file";
import { type Item, Menu } from "./menu";

interface Props<T> {
  /** Of this card on its page: it stands in links to it. */
  id: string;
  title: string;
  /** Beside the title: a unit, what is meant. */
  note?: ComponentChildren;
  /** In words, what is shown and how it is computed. */
  definition: string;
  data: Data<T>;
  /** Questions whose answers are shown; `data` alone when it is one. */
  questions?: Question[];
  /** The table of it; by default the answer of a question. Null: there is none. */
  table?: Pick<Answer, "columns" | "rows"> | null;
  /** Whether there is nothing to show; by default: an answer without rows. */
  empty?: boolean;
  /** What is said then. */
  hint?: ComponentChildren;
  /** Right of the title. */
  tools?: ComponentChildren;
  class?: string;
  zone?: string;
  /** How tall it will be, in pixels, so that nothing below it jumps; on a telephone, where that is other, the second. */
  tall?: number | [number, number];
  children: (value: T) => ComponentChildren;
}

export function Card<T>(props: Props<T>) {
  const { id, title, data } = props;
  const [tabled, setTabled] = useState(false);
  const [explained, setExplained] = useState(false);
  const [said, setSaid] = useState("");
  const body = useRef<HTMLDivElement>(null);
  const questions = props.questions ?? (isQuestion(data) ? [data] : []);
  const table = props.table === undefined ? tableOf(data.value) : props.table;
  const empty = props.empty ?? (table !== null && table.rows.length === 0);
  const partner = partnerOf(useMe());

  const items: Item[] = [];
  if (table && !empty) {
    items.push({ label: "Show as table", checked: tabled, act: () => setTabled(!tabled) });
    items.push({ label: "Download CSV", act: () => save(`${id}.csv`, new Blob([csv(table.columns, table.rows)], { type: "text/csv" })) });
  }
  if (data.value !== null && !empty && !tabled) {
    items.push({ label: "Download PNG", act: async () => {
      const made = body.current && (await picture(body.current, title));
      if (made) save(`${id}.png`, made);
      else setSaid("There is no drawing here: take the table.");
    } });
  }
  items.push({ label: "Copy link", act: async () => {
    const address = new URL(location.href);
    address.hash = id;
    setSaid((await copied(address.href)) ? "Link copied." : address.href);
  } });
  if (questions.length || props.definition) items.push({ label: "How is this computed?", act: () => setExplained(true) });

  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), 4000);
    return () => clearTimeout(timer);
  }, [said]);

  return (
    <section class={`card ${props.class ?? ""}`} id={id} aria-label={title} aria-busy={data.busy} data-card={id}>
      <div class="cardhead">
        <h2>{title}</h2>
        {props.note && <span class="muted small when">{props.note}</span>}
        <span class="space" />
        {props.tools && <div class="cardtools">{props.tools}</div>}
        <Menu label={`More of ${title}`} items={items} class="icon"><Dots /></Menu>
      </div>
      <span class="sr" role="status">{said}</span>
      {said && <p class="said" aria-hidden="true">{said}</p>}
      <div class={`cardbody ${data.busy && data.old ? "busy" : ""}`} ref={body}>
        <State data={data} empty={empty} hint={props.hint} tall={props.tall}>
          <Guard key={tabled ? "table" : "chart"}>
            {data.value !== null && (tabled && table
              ? <Table columns={table.columns} rows={table.rows} label={title} zone={props.zone ?? "UTC"} />
              : props.children(data.value))}
          </Guard>
        </State>
      </div>
      {explained && <Explain title={title} definition={props.definition} questions={partner ? questions.slice(0, 4) : questions}
        onClose={() => setExplained(false)} />}
    </section>
  );
}

function isQuestion(data: Data<unknown>): data is Question {
  return "kind" in data;
}

function tableOf(value: unknown): Pick<Answer, "columns" | "rows"> | null {
  const found = value as Partial<Answer> | null;
  return found && Array.isArray(found.columns) && Array.isArray(found.rows) ? { columns: found.columns, rows: found.rows } : null;
}

function Dots() {
  return (
    <svg viewBox="0 0 16 16" class="glyph" aria-hidden="true">
      <circle cx="3" cy="8" r="1.4" /><circle cx="8" cy="8" r="1.4" /><circle cx="13" cy="8" r="1.4" />
    </svg>
  );
}

/** One of the four states, or what is shown. */
export function State(props: { data: Data<unknown>; empty: boolean; hint?: ComponentChildren; tall?: Props<unknown>["tall"]; children: ComponentChildren }) {
  const { value, refused, at, again } = props.data;
  const lost = useLost();
  if (value === null && refused) {
    return (
      <div class="nothing" role="alert">
        <p class="bad">{visible(refused.message)}</p>
        <button type="button" class="button" onClick={again}>Try again</button>
      </div>
    );
  }
  if (value === null) return <Waiting tall={props.tall} />;
  return (
    <>
      {(refused || lost > 0) && <Stale at={Math.max(at, lost)} why={lost ? AWAY : refused?.message ?? ""} />}
      {props.empty ? <div class="nothing muted">{props.hint ?? <Nothing />}</div> : props.children}
    </>
  );
}

/** Where something will be that is not there yet, and as tall. */
export function Waiting({ tall = 120 }: { tall?: Props<unknown>["tall"] }) {
  const [wide, narrow] = typeof tall === "number" ? [tall, tall] : tall;
  return (
    <div class="waiting" role="status" style={{ "--tall": `${wide}px`, "--tall-narrow": `${narrow}px` }}>
      <span class="sr">Loading…</span><span class="shimmer" aria-hidden="true" />
    </div>
  );
}

const AWAY = "the connection to the server is lost.";

/** That figures are old, how old, and why there are no newer ones; `at` is until when they were known to hold. */
export function Stale({ at, why }: { at: number; why: string }) {
  return <p class="stale" role="status">From {ago(at, Date.now())}: {visible(why)}</p>;
}

const FIRST = "lakeward record signed_up plan=pro";

/** What is said where nothing came: how to send something. */
export function Nothing(props: { snippet?: string; words?: string }) {
  const snippet = props.snippet ?? FIRST;
  return (
    <div class="none">
      <p>{props.words ?? "Nothing in this range. Send your first event:"}</p>
      <div class="snippet"><pre tabindex={0} aria-label="Example"><code>{snippet}</code></pre><Copy text={snippet} /></div>
    </div>
  );
}

/** A card that cannot be drawn is a sentence, and the page around it stays. */
class Guard extends Component<{ children: ComponentChildren }, { broken: boolean }> {
  override state = { broken: false };

  static override getDerivedStateFromError() {
    return { broken: true };
  }

  override componentDidUpdate(before: { children: ComponentChildren }) {
    if (this.state.broken && before.children !== this.props.children) this.setState({ broken: false });
  }

  render() {
    if (!this.state.broken) return this.props.children;
    return <div class="nothing bad" role="alert">This could not be drawn. Its menu has the table.</div>;
  }
}
