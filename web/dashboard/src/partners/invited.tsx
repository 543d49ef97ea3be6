// Who was asked, and whether they answered: for the team alone, and never on paper.

import type { Column } from "../ask/answer";
import { useData } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { count, visible } from "../text";

interface Invited {
  counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  invitations?: Readonly<Record<string, string | number | null>>[];
}

const COLUMNS: Column[] = [
  { name: "name", kind: "text", unit: "", doc: "Who was asked." },
  { name: "form", kind: "text", unit: "", doc: "What for." },
  { name: "period", kind: "text", unit: "", doc: "The quarter that is asked about." },
  { name: "state", kind: "text", unit: "", doc: "Where it stands." },
  { name: "reason", kind: "text", unit: "", doc: "Why it was not sent or failed." },
  { name: "channel", kind: "text", unit: "", doc: "How they were asked." },
  { name: "sends", kind: "integer", unit: "", doc: "How often." },
  { name: "sent_at", kind: "time", unit: "", doc: "When the first one went out." },
  { name: "answered_at", kind: "time", unit: "", doc: "When they answered." },
];
const FORMS: Readonly<Record<string, string>> = { employee: "Employees", reference: "Customer references", quarterly: "Quarterly feedback" };
const TONES: Readonly<Record<string, string>> = { answered: "good", failed: "bad" };

export function InvitedCard({ partner, zone }: { partner: string; zone: string }) {
  const found = useData<Invited>("partners", `/${encodeURIComponent(partner)}/invitations`);
  const rows = (found.value?.invitations ?? []).map((one) => COLUMNS.map(({ name }) => one[name] ?? null));
  return (
    <Card id="invited" tall={90} class="wide unprinted" title="Invitations" note="not seen by the partner" data={found} zone={zone} table={{ columns: COLUMNS, rows }}
      empty={found.value !== null && !rows.length} hint="Nobody was invited."
      definition="Who was asked for an answer by a link of their own, by message or e-mail, and where that stands. The partner sees how many, never who answered.">
      {({ counts }) => (
        <>
          <ul class="counts small">
            {Object.entries(counts).map(([form, states]) => (
              <li key={form}>{FORMS[form] ?? visible(form)}: {Object.entries(states).map(([state, n]) => `${count(n)} ${visible(state)}`).join(", ")}</li>
            ))}
          </ul>
          <Table columns={COLUMNS} rows={rows} label="Invitations" zone={zone} only={["name", "form", "state", "reason", "sends", "sent_at", "answered_at"]} titles={{ sent_at: "sent", answered_at: "answered" }} most={50}
            cells={{ state: (value) => <span class={`tag ${TONES[String(value)] ?? ""}`}>{visible(String(value))}</span> }} />
        </>
      )}
    </Card>
  );
}
