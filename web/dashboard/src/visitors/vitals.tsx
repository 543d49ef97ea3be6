// Web vitals: how quick and steady pages were, over all and page by page.

import { type Answer, number, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { count, duration, percent } from "../text";
import { narrow } from "./filter";
import type { Shown } from "./page";
import { Tabs, useTab } from "./tabs";
import { visible } from "../text";

const MEANT: Readonly<Record<string, string>> = {
  LCP: "Largest contentful paint: when most of the page was there.",
  INP: "Interaction to next paint: how long the page took to react.",
  CLS: "Cumulative layout shift: how much moved by itself.",
  FCP: "First contentful paint: when anything was there.",
  TTFB: "Time to first byte: when the server began to answer.",
};
const DEFINITION = "Percentile 75 of each web vital, by nearest rank, of page loads whose browser told it: three of four loads were as good or better. "
  + "Good, needs improvement and poor are by the thresholds that web.dev publishes; of several reports of one load the last holds.";

export function Vitals({ range, where }: Shown) {
  const vitals = useQuestion("web_vitals", { where }, range);
  return (
    <Card id="vitals" tall={[163, 698]} title="Web vitals" note="percentile 75" data={vitals} zone={range.zone} definition={DEFINITION} hint={<p>No browser told of it in this range.</p>} class="wide">
      {(answer) => (
        <ul class="vitals">
          {answer.rows.map((row) => <Vital key={text(row, place(answer, "vital"))} answer={answer} row={row} />)}
        </ul>
      )}
    </Card>
  );
}

function Vital({ answer, row }: { answer: Answer; row: Answer["rows"][number] }) {
  const value = (name: string) => number(row, place(answer, name));
  const name = text(row, place(answer, "vital")) ?? "";
  const rating = text(row, place(answer, "rating")) ?? "";
  const shares = [["good", "good"], ["needs improvement", "needs_improvement"], ["poor", "poor"]] as const;
  return (
    <li class={`vital ${rating}`}>
      <h3><abbr title={MEANT[name]}>{name}</abbr></h3>
      <p class="amount" data-vital={name} data-value={value("p75") ?? ""}>{measure(name, value("p75"))}</p>
      <p class={`rating ${rating}`}>{rating.replace("-", " ")}</p>
      <span class="split" aria-hidden="true">
        {shares.map(([, key]) => <i key={key} class={key} style={{ flexGrow: value(key) ?? 0 }} />)}
      </span>
      <p class="small muted">{shares.map(([label, key]) => `${percent(value(`${key}_share`) ?? 0)} ${label}`).join(" · ")}</p>
      <p class="small muted">good up to {measure(name, value("good_up_to"))} · {count(value("measured") ?? 0)} loads</p>
    </li>
  );
}

function measure(name: string, value: number | null): string {
  return value === null ? "–" : name === "CLS" ? String(Number(value.toFixed(3))) : duration(value);
}

const VITALS = { LCP: "LCP", INP: "INP", CLS: "CLS", FCP: "FCP", TTFB: "TTFB" };
const ONLY = ["path", "measured", "p75", "rating", "good_share", "poor_share"];

export function SlowPages({ range, where }: Shown) {
  const vital = useTab("vital", VITALS);
  const named = { field: "properties.name", values: [vital] };
  const pages = useQuestion("web_vitals", { where: where ? { all: [where, named] } : named, by: ["path"] }, range);
  return (
    <Card id="slow" tall={498} title="Web vitals by page" data={pages} zone={range.zone} definition={`${DEFINITION} Each page by itself.`} hint={<p>No browser told of {vital} in this range.</p>}
      class="wide" tools={<Tabs name="vital" label="Which vital" tabs={VITALS} />}>
      {(answer) => (
        <Table columns={answer.columns} rows={answer.rows} only={ONLY} label={`${vital} by page`} zone={range.zone} sort="-measured" most={20}
          titles={{ measured: "loads", p75: `${vital}, percentile 75`, good_share: "good", poor_share: "poor" }}
          cells={{
            path: (path) => (typeof path === "string"
              ? <button type="button" class="link" onClick={() => narrow("path", path)}><bdi>{visible(path)}</bdi></button> : "(no path)"),
            p75: (value) => measure(vital, typeof value === "number" ? value : null),
            rating: (rating) => <span class={`rating ${String(rating)}`}>{String(rating).replace("-", " ")}</span>,
          }} />
      )}
    </Card>
  );
}
