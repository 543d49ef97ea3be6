// Where the reader is: a page and a query, both in the address, so that every view is a link.

import { useEffect, useState } from "preact/hooks";
import { at } from "../paths";
import { pageOf } from "./pages";

export interface Place {
  /** Name of the page as the address has it; empty at the root. */
  page: string;
  query: URLSearchParams;
}

type Changes = Readonly<Record<string, string | number | null | undefined>>;

/** What stays when one goes from page to page. */
const KEPT = ["range", "zone", "compare"];
const listeners = new Set<() => void>();

/** What a path is called below the dashboard's own; null outside of it. */
function nameOf(path: string): string | null {
  const root = at("page");
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length).replace(/^\/+|\/+$/g, "") : null;
}

function read(): Place {
  return { page: nameOf(location.pathname) ?? location.pathname, query: new URLSearchParams(location.search) };
}

let here = read();

function moved(): void {
  here = read();
  for (const listener of [...listeners]) listener();
}

/** The place now, outside of components. */
export function place(): Place {
  return here;
}

/** The place, drawn anew when it changes. */
export function usePlace(): Place {
  const [shown, setShown] = useState(here);
  useEffect(() => {
    const changed = () => setShown(here);
    listeners.add(changed);
    changed();
    return () => void listeners.delete(changed);
  }, []);
  return shown;
}

/** The address of a page; range, zone and comparison go along. */
export function href(page: string, query: Changes = {}): string {
  const asked = new URLSearchParams();
  for (const name of KEPT) {
    const value = here.query.get(name);
    if (value) asked.set(name, value);
  }
  return `${at("page")}/${page}${suffix(asked, query)}`;
}

function suffix(asked: URLSearchParams, changes: Changes): string {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") asked.delete(name);
    else asked.set(name, String(value));
  }
  const text = asked.toString();
  return text ? `?${text}` : "";
}

/** Go to an address of this dashboard. */
export function go(address: string): void {
  history.pushState(null, "", address);
  moved();
}

/** Change what stands in the query; null takes a name out. `replace` leaves no step in the history. */
export function setQuery(changes: Changes, replace = false): void {
  const address = location.pathname + suffix(new URLSearchParams(location.search), changes);
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  moved();
}

/** One name of the query, and how to change it: `const [tab, setTab] = useQuery("tab", "keys")`. */
export function useQuery(name: string, otherwise = ""): [string, (value: string) => void] {
  const { query } = usePlace();
  return [query.get(name) ?? otherwise, (value) => setQuery({ [name]: value === otherwise ? null : value })];
}

/** Follow links of this dashboard without loading it anew. */
export function followLinks(): () => void {
  const clicked = (event: MouseEvent) => {
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.origin !== location.origin || link.dataset["load"]) return;
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    const name = nameOf(link.pathname);
    if (name === null || !pageOf(name)) return; // a part of the server, wherever it is
    event.preventDefault();
    go(link.pathname + link.search);
    scrollTo(0, 0);
  };
  document.addEventListener("click", clicked);
  addEventListener("popstate", moved);
  return () => {
    document.removeEventListener("click", clicked);
    removeEventListener("popstate", moved);
  };
}
