// Whether the data can be trusted, in one line that leads to the Data page.

import { useLost } from "../ask/lost";
import { href } from "../shell/place";
import { count, visible } from "../text";
import { ago, seconds } from "../unit";
import type { Overview } from "./said";

export function Health({ said }: { said: Overview }) {
  const { health } = said;
  const lost = useLost();
  return (
    <p class="health card" data-ok={health.ok} role="status">
      <span class={`dot ${health.ok ? "ok" : "wrong"}`} aria-hidden="true" />
      {lost > 0 && <span class="stale">From {ago(lost, Date.now())}: the connection to the server is lost.</span>}
      <b>{health.ok ? "The data is whole." : visible(health.sentence)}</b>
      <span class="muted">{health.last_at ? `Last record ${ago(Date.parse(health.last_at), Date.now())}` : "Nothing came yet"}</span>
      {health.lag_seconds > 2 && <span class="warn">Keeper {seconds(health.lag_seconds)} behind</span>}
      {health.waiting > 0 && <span class="muted">{count(health.waiting)} on their way to a store</span>}
      {health.refused > 0 && (
        <a href={href("data")} class="warn">{count(health.refused)}{health.refused_is_least ? " or more" : ""} refused since yesterday</a>
      )}
      <a class="more-of" href={href("data")}>State of the data</a>
    </p>
  );
}
