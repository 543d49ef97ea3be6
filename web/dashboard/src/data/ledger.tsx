// The ledger as an equation: everything offered, and where each of it is. The server adds up.

import type { Data } from "../ask/question";
import { Card } from "../card/card";
import { count, visible } from "../text";
import { type Left, type State, type Term, termsOf } from "./state";

const ALWAYS = new Set(["offered", "delivered", "quarantined", "waiting"]);
const TITLES: Readonly<Record<string, string>> = { quarantined: "set aside", in_flight: "in flight" };
const WORSE = new Set(["dropped", "vanished"]);

export function Ledger({ data }: { data: Data<State> }) {
  return (
    <Card id="ledger" tall={[154, 256]} class="whole" title="The ledger" data={data} empty={false} table={data.value && termsOf(data.value)}
      note="since the lake began"
      definition="Everything that was ever offered must be in one of these places. The server proves it from the files: what rings counted, what the ledger acknowledged and what stands in the log. Nothing is lost in silence: whatever was left out has a reason and a count.">
      {(state) => <Equation ledger={state.ledger} />}
    </Card>
  );
}

function Equation({ ledger }: { ledger: State["ledger"] }) {
  const shown = (term: Term) => term.n !== 0 || ALWAYS.has(term.name);
  const none = ledger.places.filter((term) => !shown(term));
  return (
    <>
      <p class={`verdict ${ledger.ok ? "good" : "bad"}`} role="status" data-ledger={ledger.ok ? "ok" : "red"}>
        <span aria-hidden="true">{ledger.ok ? "✓" : "✗"}</span> {visible(ledger.sentence)}
      </p>
      <dl class="equation">
        {ledger.offered.filter(shown).map((term, n) => <Place key={term.name} term={term} sign={n ? "+" : ""} />)}
        {ledger.places.filter(shown).map((term, n) => <Place key={term.name} term={term} sign={n ? "+" : "="} />)}
      </dl>
      {none.length > 0 && <p class="muted small">Nothing {none.map((term) => TITLES[term.name] ?? term.name).join(", ")}.</p>}
      {ledger.reasons.length > 0 && <Reasons reasons={ledger.reasons} />}
    </>
  );
}

function Place({ term, sign }: { term: Term; sign: string }) {
  return (
    <div title={term.doc} class={WORSE.has(term.name) && term.n ? "worse" : ""}>
      <dt>{TITLES[term.name] ?? term.name}</dt>
      <dd data-term={term.name} data-value={term.n}>
        {sign && <span class="sign"><span aria-hidden="true">{sign}</span><span class="sr">{sign === "=" ? "equals" : "plus"}</span></span>}
        {count(term.n)}
      </dd>
    </div>
  );
}

function Reasons({ reasons }: { reasons: Left[] }) {
  return (
    <section class="reasons">
      <h3>Left out, and why</h3>
      <dl>
        {reasons.map((each) => (
          <div key={each.reason}>
            <dt><code>{each.reason}</code> {each.term !== each.reason && <span class="muted">{each.term}</span>}</dt>
            <dd><b>{count(each.n)}</b> <span class="muted">{each.doc}</span></dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
