// Uploads of this window: they go on while another page is looked at, and whoever closes the window
// is asked first.

import { useEffect, useReducer } from "preact/hooks";
import { Refused, refusal, tell } from "../ask/client";
import { headers } from "../ask/key";
import { at } from "../paths";
import { type Sent, Sender, type Wire } from "./tus";

export interface Sending {
  key: number;
  partner: string;
  title: string;
  size: number;
  sender: Sender;
}

const TUS = { "Tus-Resumable": "1.0.0" };
const OVER = "This upload is over, or was taken back: send the file anew.";
const all = new Map<number, Sending>();
const listeners = new Set<(ended: boolean) => void>();
let keys = 0;

/** Those of a partner, the newest first. `onEnd` hears when one is whole or taken back. */
export function useSending(partner: string, onEnd: () => void): Sending[] {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const hear = (ended: boolean) => {
      redraw(0);
      if (ended) onEnd();
    };
    listeners.add(hear);
    return () => void listeners.delete(hear);
  }, [onEnd]);
  return [...all.values()].filter((one) => one.partner === partner).reverse();
}

/** Send a file; with an id, go on with the upload that it belongs to. */
export function send(partner: string, file: File, title: string, id = ""): void {
  const key = (keys += 1);
  const hear = (state: Sent) => {
    const ended = state.phase === "done" || state.phase === "cancelled";
    if (ended) all.delete(key);
    tellAll(ended);
  };
  const sender = new Sender(file, wireOf(partner, file, title), hear, id);
  all.set(key, { key, partner, title, size: file.size, sender });
  void sender.go();
}

/** Forget one that the server refused. */
export function forget(key: number): void {
  all.delete(key);
  tellAll(false);
}

/** Take back an upload that no window sends. */
export async function takeBack(id: string): Promise<void> {
  await asked("DELETE", id);
}

function tellAll(ended: boolean): void {
  const busy = [...all.values()].some(({ sender }) => sender.state.phase === "sending" || sender.state.phase === "waiting");
  if (busy) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
  for (const each of [...listeners]) each(ended);
}

function ask(event: Event): void {
  event.preventDefault();
}

function wireOf(partner: string, file: File, title: string): Wire {
  return {
    begin: async () => {
      const body = { title, file_name: file.name, size_bytes: file.size };
      const told = await tell<{ demo_id: string }>("partners", `/${encodeURIComponent(partner)}/demos`, { body });
      if (!told.value) throw new Refused(0, "broken", "The answer could not be read.");
      return told.value.demo_id;
    },
    offset: async (id, signal) => offsetOf((await asked("HEAD", id, signal)).headers.get("Upload-Offset")),
    piece,
    end: takeBack,
  };
}

async function asked(method: "HEAD" | "DELETE", id: string, signal?: AbortSignal): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(at("uploads", `/${encodeURIComponent(id)}`), { method, headers: headers(TUS), cache: "no-store", ...(signal ? { signal } : {}) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "away", "The server does not answer.");
  }
  if (answer.ok) return answer;
  const refused = await refusal(answer);
  // An answer to HEAD has no sentence.
  throw method === "HEAD" && (answer.status === 404 || answer.status === 410) ? new Refused(answer.status, refused.code, OVER) : refused;
}

/** By XMLHttpRequest, as fetch does not tell how much has left. */
function piece(id: string, offset: number, content: Blob, sent: (bytes: number) => void, signal: AbortSignal): Promise<number> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const away = () => fail(new Refused(0, "away", "The connection was interrupted."));
    request.open("PATCH", at("uploads", `/${encodeURIComponent(id)}`));
    const said = headers({ ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" });
    for (const [name, value] of Object.entries(said)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => sent(event.loaded);
    request.onload = () => {
      const { status } = request;
      if (status === 204) return void whole(done, fail, request);
      const after = request.getResponseHeader("Retry-After");
      void refusal(new Response(request.responseText, { status, headers: after ? { "Retry-After": after } : {} })).then(fail, fail);
    };
    request.onerror = away;
    request.onabort = away;
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) away();
    else request.send(content);
  });
}

function whole(done: (offset: number) => void, fail: (error: unknown) => void, request: XMLHttpRequest): void {
  try {
    done(offsetOf(request.getResponseHeader("Upload-Offset")));
  } catch (error) {
    fail(error);
  }
}

function offsetOf(text: string | null): number {
  if (!text || !/^\d+$/.test(text)) throw new Refused(502, "broken", "The answer could not be read.");
  return Number(text);
}
