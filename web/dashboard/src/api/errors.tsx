// What went wrong: statuses, groups of errors, the newest failures and the slowest calls.

import { type Cells, type Value, text } from "../ask/answer";
import { type Question, useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Bars } from "../chart/bars";
import { Table } from "../chart/table";
import { visible } from "../text";
import type { Shown } from "./page";

const FAILED: Value = { any: [{ field: "response_status", op: "at_least", values: [500] }, { field: "error_type", op: "known" }] };

function both(where: Value | undefined, more: Value): Value {
  return where === undefined ? more : { all: [where, more] };
}

export function Statuses({ range, where }: Shown) {
  const found = useQuestion("api_health", { by: ["response_status"], where, limit: 50 }, { ...range, compare: "" });
  return (
    <Card id="statuses" tall={178} title="Statuses" data={found} zone={range.zone} hint={<p>No calls in this range.</p>}
      definition="How many calls were answered with each HTTP status; without one where the client had gone.">
      {(answer) => (
        <Bars answer={answer} name="response_status" value="calls" label="Statuses"
          title={(status) => <span class={`code code-${status?.[0] ?? "none"}`}>{status ?? "client gone"}</span>} />
      )}
    </Card>
  );
}

export function Errors({ range, where }: Shown) {
  const by = ["error_type", "response_status", "method", "route"];
  const found = useQuestion("api_health", { by, where: both(where, FAILED), limit: 200 }, { ...range, compare: "" });
  return (
    <Card id="errors" tall={62} title="Errors" data={found} zone={range.zone} hint={<p>Nothing failed in this range.</p>}
      definition="Calls that failed (5xx) or name an error, put together by the error's class, status and route; the most frequent first.">
      {(answer) => (
        <Table columns={answer.columns} rows={answer.rows} label="Errors" zone={range.zone} only={["error_type", "route", "response_status", "calls"]}
          titles={{ response_status: "status", error_type: "error" }} sort="-calls" most={20} />
      )}
    </Card>
  );
}

interface Listed extends Shown {
  onOpen: (id: string) => void;
}

export function Failures({ range, where, onOpen }: Listed) {
  const found = useQuestion("api_failures", { where, limit: 50 }, { ...range, compare: "" });
  return (
    <Calls id="failures" title="Newest failures" found={found} zone={range.zone} onOpen={onOpen} none="Nothing failed in this range."
      definition="The newest calls that failed: answered with 5xx, or without an answer and with an error. Choose one to see its whole record."
      only={["route", "at", "status", "error_type", "consumer"]} sort="-at" />
  );
}

export function Slowest({ range, where, onOpen }: Listed) {
  const found = useQuestion("api_slowest", { where, limit: 50 }, { ...range, compare: "" });
  return (
    <Calls id="slowest" title="Slowest calls" found={found} zone={range.zone} onOpen={onOpen} none="No call of this range has a response time."
      definition="The calls that took longest. Choose one to see its whole record."
      only={["route", "response_time_ms", "at", "status", "consumer"]} sort="-response_time_ms" />
  );
}

interface CallsProps {
  id: string;
  title: string;
  definition: string;
  found: Question;
  zone: string;
  only: string[];
  sort: string;
  none: string;
  onOpen: (id: string) => void;
}

function Calls({ id, title, definition, found, zone, only, sort, none, onOpen }: CallsProps) {
  return (
    <Card id={id} tall={425} title={title} data={found} zone={zone} hint={<p>{none}</p>} definition={definition}>
      {(answer) => {
        const record = answer.columns.findIndex((column) => column.name === "interaction_id");
        const path = answer.columns.findIndex((column) => column.name === "path");
        const open = (_: Value, row: Cells) => (
          <button type="button" class="link route" onClick={() => onOpen(text(row, record) ?? "")}>
            <bdi>{visible(text(row, answer.columns.findIndex((column) => column.name === "route")) ?? text(row, path) ?? "record")}</bdi>
          </button>
        );
        return (
          <Table columns={answer.columns} rows={answer.rows} label={title} zone={zone} only={only} sort={sort} most={10}
            titles={{ response_time_ms: "time", error_type: "error" }} cells={{ route: open }} />
        );
      }}
    </Card>
  );
}
