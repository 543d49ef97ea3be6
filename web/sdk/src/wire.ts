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

export const connect = (): void => {
  const address = (options.host || location.origin) + "/" + (options.path || "v1/interactions");
  url = address.replace(/([^:])\/+/g, "$1/"); // however many slashes either has
  send = fetch; // the page's own, should it be replaced
};

/** A batch as text, which goes as `text/plain`: that a beacon may send without asking first. */
const body = (batch: readonly string[]): string =>
  `{"sent_at":"${new Date().toISOString()}","batch":[${batch}]}`;

/** A batch as a body, compressed where that is worth it. */
export const packed = async (batch: readonly string[]): Promise<string | Blob> => {
  const plain = body(batch);
  return plain.length > SMALL && self.CompressionStream
    ? new Response(new Response(plain).body!.pipeThrough(new CompressionStream("gzip"))).blob()
    : plain;
};

export const post = async (content: string | Blob): Promise<number> => {
  try {
    const answer = await send(url, {
      method: "POST",
      body: content,
      keepalive: true, // outlives the page
      headers: options.key ? { Authorization: "Bearer " + options.key } : {},
    });
    const { status, headers } = answer;
    if (options.debug) console.warn("lakeward", await answer.text());
    if (status == 413) return HALVE;
    return /408|429|5../.test(status + "") ? +headers.get("retry-after")! * 1e3 || AGAIN : DONE;
  } catch {
    return AGAIN; // no network
  }
};

/** Hand a batch to the browser when the page goes; whether it took it. */
export const beacon = (batch: readonly string[]): boolean =>
  navigator.sendBeacon(url + "?key=" + (options.key || ""), body(batch));
