// What the page says about itself: connecting, live, paused, reconnecting, waiting, empty, needs a key, failed.

import { count, visible } from "../text";
import { Copy } from "../card/copy";
import type { Link } from "../ask/stream";

const WORDS: Record<Link, string> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  queued: "Waiting",
  key: "Needs a login",
  error: "Stopped",
};

export function Status(props: { link: Link; paused: boolean; rate: number }) {
  const state = props.paused && props.link === "live" ? "paused" : props.link;
  const rate = props.rate >= 10 ? count(props.rate) : props.rate.toFixed(1);
  return (
    <div class={`status ${state}`}>
      <span class="dot" aria-hidden="true" />
      <span role="status">{state === "paused" ? "Paused" : WORDS[props.link]}</span>
      {props.link === "live" && <span class="rate" title="Matching interactions a second, over ten seconds">{rate}/s</span>}
    </div>
  );
}

export function Problem(props: { message: string; onClear: () => void }) {
  return (
    <section class="card centre" role="alert">
      <h2>The server would not answer that</h2>
      <p>{visible(props.message)}</p>
      <button type="button" class="button strong" onClick={props.onClear}>Clear the filters</button>
    </section>
  );
}

const SNIPPET = `from lakeward import Collector

collector = Collector.from_env()
collector.record("signed_up", user_id="u-1", plan="pro")`;

export function Empty() {
  return (
    <section class="card centre empty" id="list">
      <h2>Send your first event</h2>
      <p class="muted">Nothing has arrived in the last hour. Run this beside the lake and watch it appear here.</p>
      <div class="snippet">
        <pre tabindex={0} aria-label="Example"><code>{SNIPPET}</code></pre>
        <Copy text={SNIPPET} />
      </div>
      <p class="muted">Or in a shell: <code>lakeward record signed_up plan=pro</code></p>
    </section>
  );
}
