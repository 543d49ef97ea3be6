/**
 * The wire: one batch to the server, and what is to be done next.
 *
 *     POST {host}/v1/interactions   Authorization: Bearer lwk_…
 *     {"sent_at":"…Z","batch":[{…},{…}]}
 */

/** Nothing is left to do: the batch is durable, or will never be taken. */
export const DONE = 0;
/** It came as too large: in halves it may pass. */
export const HALVE = -1;
/** Try again in a while; any number above is one of milliseconds that the server asked for. */
export const AGAIN = 1;

const SMALL = 1024; // compressing less costs more than it saves
const QUOTA = 6e4; // of the 64 KiB that a page may have under way when it goes

export interface Wire {
  post(batch: readonly string[]): Promise<number>;
  /** Hand a batch to the browser when the page goes; whether it took it. */
  beacon(batch: readonly string[]): boolean;
  /** Batches that were to be sent, and that the browser does not have yet. */
  back(): readonly string[];
}

export function wire(url: string, key: string | undefined, debug?: boolean): Wire {
  const warn = (...what: unknown[]): void => {
    if (debug) console.warn("lakeward:", ...what);
  };
  const send = fetch; // ours, should the page's be replaced
  let packing: readonly string[] = [];

  const body = (batch: readonly string[]): Blob =>
    new Blob([`{"sent_at":"${new Date().toISOString()}","batch":[${batch}]}`], {
      type: "text/plain", // of the kinds that a beacon may have
    });

  return {
    async post(batch) {
      let content = body(batch);
      if (content.size > SMALL && self.CompressionStream) {
        packing = batch;
        const packed = content.stream().pipeThrough(new CompressionStream("gzip"));
        content = await new Response(packed).blob();
        if (packing != batch) return DONE; // the page was hidden meanwhile, and it went another way
        packing = [];
      }
      try {
        const answer = await send(url, {
          method: "POST",
          body: content,
          keepalive: content.size < QUOTA, // outlives the page
          headers: key ? { Authorization: "Bearer " + key } : {},
        });
        const { status, headers } = answer;
        if (answer.ok) {
          if (debug) warn("rejected", (await answer.json()).rejected);
          return DONE;
        }
        warn("status", status);
        if (status == 413) return HALVE;
        if (status < 500 && status != 408 && status != 429) return DONE;
        const after = headers.get("retry-after");
        return after ? Math.max(+after * 1e3 || Date.parse(after) - Date.now(), AGAIN) : AGAIN;
      } catch {
        return AGAIN; // no network
      }
    },
    beacon: (batch) =>
      navigator.sendBeacon(key ? `${url}?key=${encodeURIComponent(key)}` : url, body(batch)),
    back() {
      const batch = packing;
      packing = [];
      return batch;
    },
  };
}
