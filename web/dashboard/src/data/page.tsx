// The state of the data: where everything offered is, who is behind, what was set aside, what there
// is, and what it takes of the disk.

import { useData, useQuestion } from "../ask/question";
import { useRange } from "../shell/range";
import { Fresh, Followers } from "./lag";
import { Ledger } from "./ledger";
import { Quality } from "./quality";
import { Refused } from "./refused";
import type { State } from "./state";
import { Disk } from "./storage";
import { Fields, Types, useType } from "./types";
import "./data.css";

export default function Page() {
  const range = { ...useRange(), compare: "" as const };
  const state = useData<State>("data", "");
  const types = useQuestion("data_types", {}, range);
  const [type, choose] = useType(types);
  return (
    <div class="data">
      <Ledger data={state} />
      <div class="pair">
        <Fresh data={state} />
        <Followers data={state} zone={range.zone} />
      </div>
      <div class="pair"><Disk /></div>
      <div class="pair uneven"><Refused range={range} /></div>
      <Types types={types} range={range} chosen={type} onChoose={choose} />
      {(type || (types.value === null && !types.refused)) && (
        <div class="pair">
          <Fields type={type} range={range} />
          <div class="stack"><Quality type={type} range={range} /></div>
        </div>
      )}
    </div>
  );
}
