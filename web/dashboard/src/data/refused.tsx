// The quarantine: what was set aside, by day and by reason; each reason opens its examples.

import { useState } from "preact/hooks";
import { type Cells, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { Table } from "../chart/table";
import type { Range } from "../shell/range";
import { visible } from "../text";
import { Examples } from "./examples";

export interface Group {
  type: string;
  reason: string;
  follower: string;
}

const NONE = <p>Nothing was set aside in this range. What a type refuses would be kept here, with its reason.</p>;
const DEFINITION = "What its type refused at the door, and what a follower's place would not take. Nothing of it is lost: it stands in the quarantine, and comes back by a replay once its reason is gone.";

export function Refused({ range }: { range: Range }) {
  const groups = useQuestion("data_refused", { by: ["reason", "type", "follower"] }, range);
  const days = useQuestion("data_refused", { by: ["day"] }, range);
  const [open, setOpen] = useState<Group | null>(null);
  const again = () => {
    groups.again();
    days.again();
  };
  return (
    <>
      <Card id="refused" tall={109} title="Set aside" note={range.label} data={groups} zone={range.zone} definition={DEFINITION} hint={NONE}>
        {(answer) => (
          <Table columns={answer.columns} rows={answer.rows} label="What was set aside" zone={range.zone} sort="-refused" most={20}
            only={["reason", "refused", "brought_back", "type", "follower", "last_at"]}
            titles={{ refused: "set aside", brought_back: "brought back", last_at: "last" }}
            cells={{
              reason: (value, row) => (
                <button type="button" class="link reason" onClick={() => setOpen(groupOf(row, answer))}><bdi>{visible(String(value ?? ""))}</bdi></button>
              ),
              follower: (value) => value === null ? <span class="muted">the door</span> : <bdi>{visible(String(value))}</bdi>,
            }} />
        )}
      </Card>
      <Card id="refusals" tall={109} title="Set aside by day" note={range.label} data={days} zone={range.zone} definition={DEFINITION} hint={NONE}>
        {(answer) => (
          <Series data={linesOf(answer, { x: "day", values: ["refused", "brought_back"], labels: { refused: "set aside", brought_back: "brought back since" } })}
            zone={range.zone} kind="bars" height={160} label="Set aside by day" />
        )}
      </Card>
      {open && <Examples group={open} zone={range.zone} onClose={() => setOpen(null)} onReplayed={again} />}
    </>
  );
}

function groupOf(row: Cells, answer: Parameters<typeof place>[0]): Group {
  const of = (name: string) => text(row, place(answer, name)) ?? "";
  return { type: of("type"), reason: of("reason"), follower: of("follower") };
}
