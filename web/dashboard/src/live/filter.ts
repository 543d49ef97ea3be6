// What is asked for; it stands in the page's address, so that a view can be shared.

export interface Filter {
  type: string;
  route: string;
  status: string;
  id: string;
  q: string;
}

export const NOTHING: Filter = { type: "", route: "", status: "", id: "", q: "" };
const NAMES = ["type", "route", "status", "id", "q"] as const;

export function readFilter(found: URLSearchParams): Filter {
  const filter = { ...NOTHING };
  for (const name of NAMES) filter[name] = found.get(name) ?? "";
  return filter;
}

export function query(filter: Filter): string {
  const asked = new URLSearchParams();
  for (const name of NAMES) if (filter[name]) asked.set(name, filter[name]);
  const text = asked.toString();
  return text ? `?${text}` : "";
}

export function isOpen(filter: Filter): boolean {
  return query(filter) === "";
}
