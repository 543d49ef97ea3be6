/** Words and addresses as they may leave the page. */

import { options } from "./settings.ts";

/** An event's name as an interaction type: `Order Completed` becomes `order_completed`. */
export const typeOf = (name: string): string => {
  const slug = name
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9_.:-]+/g, "_")
    .slice(0, 64)
    .replace(/^[_.:-]+|[_.:-]+$/g, "");
  return /^[a-z]/.test(slug) ? slug : ("event" + (slug && "_") + slug).slice(0, 64);
};

/** `text` for a field that holds at most `most` characters; undefined for none. */
export const cut = (text: unknown, most = 200): string | undefined =>
  text ? String(text).slice(0, most) : undefined;

export const { round } = Math;

/** Whole milliseconds of the page. */
export const clock = (): number => round(performance.now());

/**
 * An address without what may be secret in it: no user, no fragment, and of the query only the
 * campaign and what the app names. Of `mailto:` and the like only the scheme is left.
 */
export const clean = (address?: string | null): string | undefined => {
  if (!address) return;
  const url = new URL(address, document.baseURI);
  const query = url.searchParams;
  for (const name of [...query.keys()]) {
    if (!/^utm_/.test(name) && !options.query?.includes(name)) query.delete(name);
  }
  return /^http/.test(url.protocol)
    ? cut(url.origin + url.pathname + url.search, 2e3)
    : url.protocol;
};
