// Who calls: users, programs, services or partners.

import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { text } from "../ask/answer";
import { Table } from "../chart/table";
import { setQuery, useQuery } from "../shell/place";
import { visible } from "../text";
import type { Shown } from "./page";

const BY: Readonly<Record<string, string>> = {
  user_id: "User", browser: "Program", service: "Service", partner_id: "Partner", user_type: "Kind of user",
};

export function Consumers({ range, where }: Shown) {
  const [named] = useQuery("by", "user_id");
  const by = named in BY ? named : "user_id";
  const [consumer] = useQuery("consumer");
  const found = useQuestion("api_health", { by: [by], where, limit: 100 }, { ...range, compare: "" });
  return (
    <Card id="consumers" tall={421} title="Consumers" data={found} zone={range.zone} hint={<p>No calls in this range.</p>}
      definition="Who called, those with the most calls first: users as the app names them, programs by what their user agent says, services and partners. The share that failed (5xx), and the response time of 95 of 100."
      tools={(
        <select class="button" aria-label="Consumers by" value={by}
          onChange={(event) => setQuery({ by: event.currentTarget.value === "user_id" ? null : event.currentTarget.value, consumer: null })}>
          {Object.entries(BY).map(([field, name]) => <option key={field} value={field}>{name}</option>)}
        </select>
      )}>
      {(answer) => (
        <Table columns={answer.columns} rows={answer.rows} label="Consumers" zone={range.zone} most={10} sort="-calls"
          only={[by, "calls", "error_rate", "p95"]} titles={{ [by]: (BY[by] ?? by).toLowerCase(), error_rate: "failed" }}
          cells={{
            [by]: (value) => {
              const name = text([value], 0);
              if (name === null) return <span class="muted">not known</span>;
              return (
                <button type="button" class="link route" aria-pressed={consumer === name} onClick={() => setQuery({ consumer: consumer === name ? null : name })}>
                  <bdi>{visible(name)}</bdi>
                </button>
              );
            },
          }} />
      )}
    </Card>
  );
}
