// The types that the lake holds, and how full the fields of the chosen one are.

import { type Value, place } from "../ask/answer";
import { type Question, useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import type { Range } from "../shell/range";
import { useQuery } from "../shell/place";
import { visible } from "../text";
import { figure } from "../unit";

/** The chosen type: that of the address, else the first of the list. */
export function useType(types: Question): [string, (type: string) => void] {
  const [chosen, choose] = useQuery("type");
  const at = types.value ? place(types.value, "interaction_type") : -1;
  const first = types.value?.rows[0]?.[at];
  return [chosen || (typeof first === "string" ? first : ""), choose];
}

export function Types({ types, range, chosen, onChoose }: { types: Question; range: Range; chosen: string; onChoose: (type: string) => void }) {
  return (
    <Card id="types" tall={498} title="Schemas" note={range.label} data={types} zone={range.zone}
      definition="Every interaction type that came in the range. The catalog's own types are checked at the door; others are custom and welcome. Two versions mean that apps of two releases of Lakeward write.">
      {(answer) => (
        <Table columns={answer.columns} rows={answer.rows} label="Types" zone={range.zone} most={50}
          only={["interaction_type", "known", "interactions", "first_at", "last_at", "services", "schema_version"]}
          titles={{ interaction_type: "type", first_at: "first", last_at: "last", schema_version: "version" }}
          cells={{
            interaction_type: (value) => <Name value={value} chosen={chosen} onChoose={onChoose} />,
            known: (value) => <span class="tag">{value === true ? "known" : "custom"}</span>,
            schema_version: (value, row) => <Versions newest={value} oldest={row[place(answer, "schema_version_least")] ?? null} />,
          }} />
      )}
    </Card>
  );
}

function Name({ value, chosen, onChoose }: { value: Value; chosen: string; onChoose: (type: string) => void }) {
  if (typeof value !== "string") return <>–</>;
  return (
    <button type="button" class="link" aria-pressed={value === chosen} onClick={() => onChoose(value)}>
      <bdi>{visible(value)}</bdi>
    </button>
  );
}

function Versions({ newest, oldest }: { newest: Value; oldest: Value }) {
  const two = newest !== oldest && oldest !== null;
  return <span class={two ? "warn" : ""}>{two ? `${String(oldest)} to ${String(newest)}` : String(newest ?? "–")}</span>;
}

export function Fields({ type, range }: { type: string; range: Range }) {
  const fields = useQuestion("data_fields", type ? { event: type } : null, range);
  return (
    <Card id="fields" tall={690} title="Fields" note={type ? <bdi>{visible(type)}</bdi> : ""} data={fields} zone={range.zone}
      definition="How many interactions of the type have each field. Required ones are never missing: the type is refused without them.">
      {(answer) => (
        <Table columns={answer.columns} rows={answer.rows} label={`Fields of ${type}`} only={["field", "present", "null_rate"]} titles={{ null_rate: "missing" }}
          cells={{
            field: (value, row) => <><code>{visible(String(value))}</code>{row[place(answer, "required")] === true && <span class="tag">required</span>}</>,
            null_rate: (value) => typeof value === "number" ? <span class="lacking"><span aria-hidden="true"><span style={{ width: `${value * 100}%` }} /></span>{figure("0 to 1", value)}</span> : "–",
          }} />
      )}
    </Card>
  );
}
