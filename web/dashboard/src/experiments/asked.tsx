// How an experiment is judged: as its flag plans, or as the reader says.

import { useState } from "preact/hooks";
import { setQuery } from "../shell/place";
import type { Told } from "./report";

/** In the address a metric is a line, as its words may hold any other sign. */
export function Asked({ query, told }: { query: URLSearchParams; told: Told | null }) {
  const [open, setOpen] = useState(false);
  const planned = (role: "metric" | "guardrail") => (told?.report.metrics ?? []).filter((each) => each.role === role).map((each) => (each.better === "lower" ? `lower:${each.metric}` : each.metric)).join("\n");
  const said = query.has("decides") || query.has("guards") || query.has("within") || query.has("fixed") || query.has("split");
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const word = (name: string) => String(form.get(name) ?? "").replaceAll("\r", "").trim() || null;
    setQuery({ decides: word("decides"), guards: word("guards"), within: word("within"), split: word("split"), fixed: form.get("fixed") ? "1" : null, metric: null });
    setOpen(false);
  };
  const clear = () => setQuery({ decides: null, guards: null, within: null, split: null, fixed: null, metric: null });
  return (
    <section class="asking" aria-label="How it is judged">
      <div class="tools">
        <span class="muted small">{said ? "Judged as you say." : "Judged as its flag plans."}</span>
        <button type="button" class="button" aria-expanded={open} onClick={() => setOpen(!open)}>Judge it otherwise</button>
        {said && <button type="button" class="button" onClick={clear}>As planned</button>}
      </div>
      {open && (
        <form class="card builder asked" onSubmit={submit}>
          <div class="two">
            <label class="field"><span>Metrics that decide, one a line</span>
              <textarea name="decides" rows={3} maxlength={4000} spellcheck={false} placeholder="demo_booking">{query.get("decides") ?? planned("metric")}</textarea></label>
            <label class="field"><span>Guardrails, one a line</span>
              <textarea name="guards" rows={3} maxlength={4000} spellcheck={false} placeholder="lower:p90:response_time_ms:api_call">{query.get("guards") ?? planned("guardrail")}</textarea></label>
          </div>
          <div class="options-row">
            <label class="inlinefield"><span>Days that count after exposure</span><input class="pick" type="number" name="within" min={0.1} max={3650} step="any" value={query.get("within") ?? ""} placeholder="14" /></label>
            <label class="inlinefield"><span>Split</span><input class="pick" type="text" name="split" maxlength={200} value={query.get("split") ?? ""} placeholder="50/50" /></label>
            <label class="inlinefield"><input type="checkbox" name="fixed" checked={query.get("fixed") === "1"} /><span>Look once, at the end (narrower intervals)</span></label>
          </div>
          <button type="submit" class="button strong">Judge</button>
        </form>
      )}
    </section>
  );
}
