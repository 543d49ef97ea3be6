// The start page: how today goes beside what is usual, what came of it, what is wrong, and whether
// the data can be trusted. A lake without anything shows how to send a first event instead.

import "./overview.css";
import { useData } from "../ask/question";
import { useRange } from "../shell/range";
import { State } from "../card/card";
import { Alerts } from "./alerts";
import { Health } from "./health";
import { Begin } from "./begin";
import { Pages, Routes } from "./most";
import type { Overview } from "./said";
import { Figures, Hours, Outcomes } from "./today";

export default function Page() {
  const range = useRange();
  const overview = useData<Overview>("overview", `?zone=${encodeURIComponent(range.zone)}`);
  const found = overview.value;
  if (found === null) return <section class="card"><State data={overview} empty={false}>{null}</State></section>;
  if (found.empty) return <Begin />;
  return (
    <div class="overview">
      <Health said={found} />
      <Hours data={overview} zone={range.zone} />
      <div class="grid">
        <Figures data={overview} />
        <Outcomes data={overview} />
      </div>
      <div class="grid three">
        <Alerts data={overview} />
        <Pages range={range} />
        <Routes range={range} />
      </div>
    </div>
  );
}
