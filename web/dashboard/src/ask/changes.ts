// When there is something new: one stream for all of a page, opened while somebody wants to know.

import { at } from "../paths";
import { type Link, Stream } from "./stream";

type Listener = () => void;

const listeners = new Set<Listener>();
const links = new Set<(link: Link) => void>();
let stream: Stream | null = null;
let link: Link = "connecting";
let allowed = true;

/** Partners hear of no changes: their page asks anew now and then. */
export function hearChanges(may: boolean): void {
  allowed = may;
  if (!may) close();
  else if (listeners.size) open();
}

/** Be told of every change, and once the connection is back; call what it returns to end that. */
export function onChange(listener: Listener): () => void {
  listeners.add(listener);
  open();
  return () => {
    listeners.delete(listener);
    if (!listeners.size) close();
  };
}

/** How the connection is, from now on. */
export function onLink(listener: (link: Link) => void): () => void {
  links.add(listener);
  listener(link);
  return () => void links.delete(listener);
}

function open(): void {
  if (stream || !allowed) return;
  stream = new Stream(at("live", "/changes"), {
    link: (now) => {
      link = now;
      for (const each of [...links]) each(now);
    },
    event: (name) => {
      if (name === "changed") for (const each of [...listeners]) each();
    },
  });
  stream.start();
}

function close(): void {
  stream?.stop();
  stream = null;
}
