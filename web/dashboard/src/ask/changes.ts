// When there is something new: one stream for all windows of the browser, while somebody wants to know.

import { at } from "../paths";
import { Shared } from "./shared";
import type { Link } from "./stream";

type Listener = () => void;

const listeners = new Set<Listener>();
const links = new Set<(link: Link) => void>();
let stream: Shared | null = null;
let link: Link = "connecting";
let timer = 0;
let allowed = true;
let lost = false;

const PARTNERS_MS = 60_000;

/** Partners hear of no changes: their page asks anew now and then. To be called before anybody listens. */
export function hearChanges(may: boolean): void {
  if (may === allowed) return;
  close();
  allowed = may;
  if (listeners.size) open();
}

/** Be told of every change, and when the connection is lost: who asks then says so. Call what it returns to end that. */
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

/** A browser has few connections to one server: a tab that nobody sees holds none, and catches up when it is seen. */
document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else if (listeners.size) {
    open();
    tell();
  }
});

function tell(): void {
  for (const each of [...listeners]) each();
}

function open(): void {
  if (!allowed) timer ||= window.setInterval(tell, PARTNERS_MS);
  if (stream || !allowed) return;
  stream = new Shared(at("live", "/changes"), {
    link: (now) => {
      link = now;
      for (const each of [...links]) each(now);
      if (now === "reconnecting" ? !lost : lost && now === "live") tell();
      if (now === "reconnecting" || now === "live") lost = now === "reconnecting";
    },
    event: (name) => {
      if (name === "changed") tell();
    },
  });
  stream.start();
}

function close(): void {
  stream?.stop();
  stream = null;
  clearInterval(timer);
  timer = 0;
}
