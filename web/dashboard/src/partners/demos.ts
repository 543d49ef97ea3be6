// Demos of a partner as `/api/partners/{id}/demos` and `/api/demos/{id}` tell them (docs/uploads.md),
// and what of that is said in words. What is not known has no words of its own: null, for the page to say so.

import { count, percent, visible } from "../text";
import { bytes } from "../unit";

export type Kind = "video" | "audio" | "slides" | "document" | "text" | "captions";
export type DemoState = "uploading" | "received" | "processing" | "awaiting_transcript" | "completed" | "refused" | "failed";

export interface Measures {
  words?: number;
  words_per_minute?: number;
  speech_seconds?: number;
  silence_share?: number;
  topics?: string[];
}

export interface Segment {
  text: string;
  start?: number;
  end?: number;
  page?: number;
}

export interface Transcript {
  source: string;
  language: string | null;
  /** Whether somebody gave one at some time. */
  given: boolean;
  segments: Segment[];
}

export interface Demo {
  demo_id: string;
  partner_id: string;
  state: DemoState;
  reason?: string;
  title: string;
  file_name: string;
  size_bytes: number;
  /** Of an upload: how many bytes are safe. */
  received?: number;
  probe?: { kind: Kind; media_type: string; duration_seconds?: number; pages?: number; subtitles?: boolean };
  measures?: Measures;
  progress?: { step: string; percent: number; message: string };
  /** The second of each picture. */
  thumbnails?: number[];
  /** For the team alone. */
  reviews?: { count: number; scores: Readonly<Record<string, number>> };
  updated_at?: string;
  transcript?: Transcript;
}

export interface Demos {
  demos: Demo[];
  may_add: boolean;
}

/** What a demo is rated by, and the question that stands behind it. */
export const RATED: Readonly<Record<string, string>> = {
  clarity: "Does one understand it?",
  relevance: "Does it show what the CEO says that the company offers?",
  proof: "Does it show that this works?",
};

const KINDS: Readonly<Record<Kind, string>> = { video: "Video", audio: "Sound", slides: "Slides", document: "Document", text: "Text", captions: "Captions" };
const STATES: Readonly<Record<DemoState, string>> = {
  uploading: "on its way", received: "received", processing: "being looked into", awaiting_transcript: "awaiting transcript",
  completed: "completed", refused: "refused", failed: "failed",
};
const MOVING: ReadonlySet<DemoState> = new Set(["uploading", "received", "processing"]);

/** Whether it changes by itself, so that it is worth asking again: one that was given a transcript keeps its state until that is read. */
export function isMoving({ state, progress }: Pick<Demo, "state" | "progress">): boolean {
  return MOVING.has(state) || (progress !== undefined && progress.step !== "done");
}

export function stateOf(state: DemoState): string {
  return STATES[state] ?? visible(state);
}

export function kindOf(demo: Demo): string | null {
  return demo.probe ? (KINDS[demo.probe.kind] ?? visible(demo.probe.kind)) : null;
}

/** Whether it is seen or heard, and not read. */
export function isMedia(demo: Demo): boolean {
  return demo.probe?.kind === "video" || demo.probe?.kind === "audio";
}

/** `3:05`, `1:00:00`. */
export function time(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** How long or how many pages. */
export function lengthOf(demo: Demo): string | null {
  const { duration_seconds, pages } = demo.probe ?? {};
  if (duration_seconds !== undefined) return time(Math.round(duration_seconds));
  return pages === undefined ? null : `${count(pages)} ${pages === 1 ? "page" : "pages"}`;
}

/** Where in a demo a piece of its transcript is; null where nobody knows. */
export function placeOf(segment: Segment): string | null {
  if (segment.page !== undefined) return `page ${count(segment.page)}`;
  if (segment.start === undefined) return null;
  return segment.end === undefined ? time(segment.start) : `${time(segment.start)}–${time(segment.end)}`;
}

export interface Bar {
  /** 0 to 1. */
  share: number;
  text: string;
}

/** How far something on its way is, in bytes that have come or in parts of the work; null for what is over. */
export function barOf(demo: Demo): Bar | null {
  if (demo.state === "uploading") return sent(demo.received ?? 0, demo.size_bytes);
  if (!isMoving(demo)) return null;
  const part = demo.progress?.percent ?? 0;
  return { share: part / 100, text: `${count(part)}%${demo.progress?.message ? `, ${visible(demo.progress.message)}` : ""}` };
}

export function sent(bytes_: number, size: number): Bar {
  const share = size ? Math.min(bytes_ / size, 1) : 1;
  return { share, text: `${bytes(bytes_)} of ${bytes(size)}, ${percent(share)}` };
}

/** A reason as a sentence. */
export function sentence(text: string): string {
  const said = visible(text.trim());
  if (!said) return "";
  return said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".");
}

/** Who made the transcript. A given one of a film that has captions itself cannot be told from those. */
export function madeBy(demo: Demo, { source, given }: Transcript): string {
  if (source === "whisper") return "heard by a model on this machine";
  if (source === "transcribe") return "heard by Amazon Transcribe";
  if (source === "document") return "the text of the file";
  if (source !== "webvtt" && source !== "srt") return visible(source);
  if (!isMedia(demo)) return "the captions of the file";
  if (!demo.probe?.subtitles) return "as it was given";
  return given ? "as it was given, or the captions in the file" : "the captions in the file";
}

/** Why there is no transcript to show. */
export function lacking(demo: Demo): string {
  if (isMoving(demo)) return "Not known yet.";
  if (demo.state === "awaiting_transcript") return "Awaiting transcript: nobody has transcribed it yet.";
  if (demo.state === "completed") return "No words were found in it.";
  return `None: the demo ${demo.state === "failed" ? "failed" : "was refused"}.`;
}

/** Ratings in words, `clarity 8, proof 6.5`. */
export function ratingOf(scores: Readonly<Record<string, number>>): string {
  return Object.keys(RATED).filter((name) => scores[name] !== undefined).map((name) => `${name} ${Number((scores[name] as number).toFixed(1))}`).join(", ");
}

/** The type under which a file of captions is sent. */
export function captionsOf(name: string): string {
  return /\.srt$/i.test(name) ? "application/x-subrip" : "text/vtt";
}
