/**
 * The wire: one batch to the server, and what is to be done next.
 *
 *     POST {host}/v1/interactions   Authorization: Bearer lwk_…
 *     {"sent_at":"…Z","batch":[{…},{…}]}
 */

import { options } from "./settings.ts";

/** Nothing is left to do: the batch is durable, or will never be taken. */
export const DONE = 0;
/** It came as too large: in halves it may pass. */
export const HALVE = -1;
/** Try again, at the earliest in so many ms; the server may ask for more. */
const AGAIN = 1;

const SMALL = 1024; // compressing less costs more than it saves

let url: string;
let send: typeof fetch;

export function connect(): void {
  const address = (options.host || location.origin) + "/" + (options.path || "v1/interactions");
  url = address.replace(/([^:])\/+/g, "$1/"); // however many slashes either has
  send = fetch; // the page's own, should it be replaced
}

/** A batch as a body, of a kind that a beacon may have. */
const body = (batch: readonly string[]): Blob =>
  new Blob([`{"sent_at":"${new Date().toISOString()}","batch":[${batch}]}`], {
    type: "text/plain",
  });

/** A batch as a body, compressed where that is worth it. */
export async function packed(batch: readonly string[]): Promise<Blob> {
  const plain = body(batch);
  return plain.size > SMALL && self.CompressionStream
    ? new Response(plain.stream().pipeThrough(new CompressionStream("gzip"))).blob()
    : plain;
}

export async function post(content: Blob): Promise<number> {
  try {
    const answer = await send(url, {
      method: "POST",
      body: content,
      keepalive: true, // outlives the page
      headers: options.key ? { Authorization: "Bearer " + options.key } : {},
    });
    const { status, headers } = answer;
    if (options.debug) console.warn("lakeward", status, await answer.text());
    if (status == 413) return HALVE;
    return /408|429|5../.test(status + "") ? +headers.get("retry-after")! * 1e3 || AGAIN : DONE;
  } catch {
    return AGAIN; // no network
  }
}

/** Hand a batch to the browser when the page goes; whether it took it. */
export const beacon = (batch: readonly string[]): boolean =>
  navigator.sendBeacon(url + "?key=" + (options.key || ""), body(batch));
