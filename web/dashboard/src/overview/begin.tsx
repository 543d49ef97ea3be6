// A lake without anything: how to send a first event. The page turns into the overview when it comes.

import { useState } from "preact/hooks";
import { Copy } from "../card/copy";
import { at } from "../paths";

const TRACKED = "signed_up";

export function Begin() {
  const ways = waysTo(location.origin);
  const [chosen, setChosen] = useState(0);
  const way = ways[chosen] ?? ways[0];
  return (
    <section class="card centre begin" aria-label="Send your first event">
      <h2>Send your first event</h2>
      <p class="muted">Nothing is in the lake yet. Send something in one of these ways; this page shows it as soon as it arrives.</p>
      <div class="tabs" role="tablist" aria-label="Ways to send">
        {ways.map((each, n) => (
          <button key={each.name} type="button" role="tab" id={`way-${n}`} aria-selected={n === chosen} aria-controls="way"
            tabindex={n === chosen ? 0 : -1} onClick={() => setChosen(n)}
            onKeyDown={(event) => {
              const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
              if (!step) return;
              const next = (n + step + ways.length) % ways.length;
              setChosen(next);
              document.getElementById(`way-${next}`)?.focus();
            }}>{each.name}</button>
        ))}
      </div>
      {way && (
        <div role="tabpanel" id="way" aria-labelledby={`way-${chosen}`} class="way">
          <div class="snippet"><pre tabindex={0} aria-label={`Example, ${way.name}`}><code>{way.text}</code></pre><Copy text={way.text} /></div>
          <p class="muted small">{way.note}</p>
        </div>
      )}
      <p class="waits" role="status"><span class="dot" aria-hidden="true" />Waiting for the first event…</p>
    </section>
  );
}

/** Snippets that work against this very server. */
function waysTo(origin: string) {
  const door = origin + at("interactions");
  const event = `{"interaction_type": "${TRACKED}", "user_id": "u1", "properties": {"plan": "pro"}}`;
  return [
    {
      name: "curl", note: "A server that asks for keys wants -H 'Authorization: Bearer lwk_…', too: make one under Settings.",
      text: `curl ${door} \\\n  -H 'Content-Type: application/json' \\\n  -d '${event}'`,
    },
    {
      name: "Python", note: "On a machine that holds the lake, `Collector.from_env()` records without HTTP; it is what the middleware uses.",
      text: `import json, urllib.request\n\nevent = ${event}\nurllib.request.urlopen(urllib.request.Request(\n    "${door}", json.dumps(event).encode(),\n    {"Content-Type": "application/json"}))`,
    },
    {
      name: "HTML", note: "Page views, clicks, forms and web vitals come by themselves. Away from this machine it wants a key for pages as data-key: make one under Settings.",
      text: `<script src="${origin}${at("sdk")}" defer></script>`,
    },
  ];
}
