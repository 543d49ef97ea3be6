/**
 * Page views: loaded, reached inside a single-page app, back from the browser's cache. Not a page
 * that is prepared and not seen: the SDK starts when it is.
 */

import { attempt } from "./attempt.ts";
import { emit, enter, on, view, type View } from "./events.ts";
import { idOf } from "./ids.ts";
import type { Fields } from "./options.ts";
import { off } from "./settings.ts";
import { clean, cut } from "./words.ts";

/** An app's router sets the title after the address. */
const TITLE_MS = 300;
const SPA = "spa";

const told: ((over: boolean) => void)[] = [];
let pending: (() => void) | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Another view begins, after what was held back of the last one. Without `navigation` the app says
 * so; else it is said only where the app does not. */
export const open = (navigation?: string, properties?: Fields): void => {
  end(true);
  const now = Date.now();
  const id = idOf(now);
  const inside = !navigation || navigation == SPA;
  const opened: View = {
    id,
    place: {
      url: clean(location.href),
      path: location.pathname,
      referrer: inside ? view!.place.url : clean(document.referrer),
    },
  };
  enter(opened);
  if (navigation && off("pages")) return;
  opened.shown = true;
  pending = () => {
    const fields = { view_id: id, navigation, properties, ...described() };
    emit("page_view", fields, opened, now, id);
  };
  if (navigation == SPA) timer = setTimeout(settle, TITLE_MS);
  else settle();
};

const settle = (): void => {
  clearTimeout(timer);
  pending?.();
  pending = undefined;
};

/** The page is hidden, or with `over` this view of it has ended. */
export const end = (over: boolean): void => {
  settle();
  told.forEach((tell) => attempt(() => tell(over)));
};

/** Be told of it. */
export const ends = (tell: (over: boolean) => void): unknown => told.push(tell);

/** How the document was reached. */
export const arrival = (): string => {
  type Entry = { type?: string; activationStart?: number };
  const [{ type, activationStart } = {}] = performance.getEntriesByType("navigation") as Entry[];
  return activationStart
    ? "prerender"
    : /^[rb]/.test(type!) // reload, back_forward
      ? type!
      : "load";
};

/** Hear of every move inside a single-page app. */
export const follow = (): void => {
  const moved = (): void => {
    if (clean(location.href) != view!.place.url) open(SPA);
  };
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...args) {
      original.apply(this, args);
      attempt(moved);
    };
  }
  on("popstate", moved);
};

/** What else is told of a view; the core leaves it at that. */
export const more: (() => Fields)[] = [];

const described = (): Fields => {
  const fields: Fields = { title: cut(document.title) };
  more.forEach((tell) => Object.assign(fields, tell()));
  new URLSearchParams(location.search).forEach((value, name) => {
    if (/^utm_/.test(name)) fields[name] = cut(value);
  });
  return fields;
};
