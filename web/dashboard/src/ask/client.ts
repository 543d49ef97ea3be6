// Requests to the server: JSON in and out, and the sentence of what it refuses.

import { at } from "../paths";
import { headers } from "./key";

/** The server said no, or did not answer (status 0). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** Seconds after which to come again; 0 where it does not say. */
    readonly after = 0,
  ) {
    super(message);
  }
}

export interface Asked {
  body?: unknown;
  /** The type of a body that goes as it is, a file; without it a body is JSON. */
  kind?: string;
  etag?: string;
  signal?: AbortSignal;
  /** Whether the answer's own text is wanted: numbers of JSON stay as they were written. */
  text?: boolean;
}

export interface Told<T> {
  /** Null where nothing has changed since `etag`. */
  value: T | null;
  etag: string;
}

/** What a part of the server answers to GET, or to POST where there is a body; throws `Refused`. */
export async function tell<T>(part: string, rest: string, { body, kind, etag, signal, text }: Asked = {}): Promise<Told<T>> {
  const answer = await send(part, rest, { body, ...(kind ? { kind } : {}), ...(etag ? { etag } : {}), ...(signal ? { signal } : {}) });
  if (answer.status === 304) return { value: null, etag: etag ?? "" };
  return { value: (text ? await answer.text() : await answer.json()) as T, etag: answer.headers.get("ETag") ?? "" };
}

/** The same, and the whole response: for downloads. Whoever may read no more is told by `lakeward-shut`. */
export async function send(part: string, rest: string, { body, kind, etag, signal }: Asked = {}): Promise<Response> {
  const more: Record<string, string> = {};
  if (body !== undefined) more["Content-Type"] = kind ?? "application/json";
  if (etag) more["If-None-Match"] = etag;
  let answer: Response;
  try {
    answer = await fetch(at(part, rest), {
      method: body === undefined ? "GET" : "POST",
      headers: headers(more),
      cache: "no-store",
      ...(body === undefined ? {} : { body: kind ? (body as Blob) : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "away", "The server does not answer.");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw await refusal(answer);
}

/** What an answer refuses. */
export async function refusal(answer: Response): Promise<Refused> {
  if (answer.status === 401) dispatchEvent(new Event("lakeward-shut"));
  let said: { code?: string; message?: string } = {};
  try {
    said = (await answer.json()) as typeof said;
  } catch {
    // A proxy's page: the status has to do.
  }
  const after = Number(answer.headers.get("Retry-After")) || 0;
  return new Refused(answer.status, said.code ?? "", said.message ?? `The server answered ${answer.status}.`, after);
}
