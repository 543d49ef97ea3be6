/**
 * Page views: loaded, reached inside a single-page app, back from the browser's cache. Not a page
 * that is prepared and not seen: the SDK starts when it is.
 */

import { attempt } from "./attempt.ts";
import { clean, emit, end, ends, enter, on, view } from "./events.ts";
import { idOf } from "./ids.ts";
import type { Fields } from "./options.ts";
import { cut } from "./words.ts";

/** An app's router sets the title after the address. */
const TITLE_MS = 300;

let pending: (() => void) | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Another view begins, after what was held back of the last one. */
export function open(navigation?: string, silent?: boolean, properties?: Fields): void {
  end(true);
  const now = Date.now();
  const id = idOf(now);
  const opened = {
    id,
    place: {
      url: clean(location.href),
      path: location.pathname,
      referrer: view ? view.place.url : clean(document.referrer),
    },
  };
  enter(opened);
  if (silent) return;
  pending = () => {
    const fields = { view_id: id, navigation, properties, ...described() };
    emit("page_view", fields, true, now, id, opened);
  };
  if (navigation == "spa") timer = setTimeout(settle, TITLE_MS);
  else settle();
}

function settle(): void {
  clearTimeout(timer);
  if (pending) attempt(pending);
  pending = undefined;
}

/** How the document was reached. */
export function arrival(): string {
  const [entry] = performance.getEntriesByType("navigation");
  const { type, activationStart } = (entry || {}) as { type?: string; activationStart?: number };
  return activationStart
    ? "prerender"
    : /^[rb]/.test(type!) // reload, back_forward
      ? type!
      : "load";
}

/** Hear of every move inside a single-page app. */
export function follow(): void {
  const moved = (): void => {
    if (clean(location.href) != view!.place.url) open("spa");
  };
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...args) {
      original.apply(this, args);
      attempt(moved);
    };
  }
  on("popstate", moved);
}

function described(): Fields {
  const fields: Fields = {
    title: cut(document.title),
    language: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    screen_width: screen.width,
    screen_height: screen.height,
    viewport_width: innerWidth,
    viewport_height: innerHeight,
  };
  new URLSearchParams(location.search).forEach((value, name) => {
    if (/^utm_(source|medium|campaign|term|content)$/.test(name)) fields[name] = cut(value);
  });
  return fields;
}

ends(settle);
