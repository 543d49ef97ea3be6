// AI: what turns cost, how quick and how good they are, and what was said in them.

import { useQuestion } from "../ask/question";
import { useQuery } from "../shell/place";
import { useRange } from "../shell/range";
import { visible } from "../text";
import "./ai.css";
import { By } from "./by";
import { Errors } from "./errors";
import { Latency } from "./latency";
import { Ratings } from "./ratings";
import { Spend, Tokens } from "./spend";
import { Thread } from "./thread";
import { Threads } from "./threads";
import { FILTERS, type Only, useOnly } from "./only";

export default function Page() {
  const range = useRange();
  const only = useOnly();
  const [thread] = useQuery("thread");
  // An hour, a day … as the range has it: AI questions name what they are broken down by.
  const scope = { range, only, grain: range.grain };
  const totals = useQuestion("ai_cost", { only }, range);
  const overTime = useQuestion("ai_cost", { by: [range.grain], only }, range);
  return (
    <div class="aipage">
      <Chosen only={only} />
      <Spend {...scope} totals={totals} overTime={overTime} />
      <div class="grid thirds">
        <By {...scope} field="model" title="By model" />
        <By {...scope} field="feature" title="By feature" />
        <By {...scope} field="user" title="By user" />
      </div>
      <div class="grid">
        <Tokens {...scope} answer={overTime} />
        <Latency {...scope} />
        <Errors {...scope} />
        <Ratings {...scope} />
        <Threads {...scope} />
      </div>
      {thread && <Thread conversation={thread} zone={range.zone} />}
    </div>
  );
}

/** What the page is narrowed to, each with a way out. */
function Chosen({ only }: { only: Only }) {
  const chosen = FILTERS.filter((name) => only[name]);
  if (!chosen.length) return null;
  return (
    <p class="tools chosen">
      <span class="muted small">Only</span>
      {chosen.map((name) => <Filter key={name} name={name} value={only[name]?.[0] ?? ""} />)}
    </p>
  );
}

function Filter({ name, value }: { name: string; value: string }) {
  const [, choose] = useQuery(name);
  return (
    <button type="button" class="button filter" onClick={() => choose("")} aria-label={`Take away: ${name} ${visible(value)}`}>
      <span class="muted">{name}</span> <bdi>{visible(value)}</bdi> <span aria-hidden="true">×</span>
    </button>
  );
}
