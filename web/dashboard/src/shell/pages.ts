// The pages: names, keys and how each is loaded. `server/assets.py` has the same names.

import type { ComponentType } from "preact";

export type PageName =
  | "overview" | "live" | "api" | "visitors" | "funnels" | "retention" | "paths"
  | "experiments" | "ai" | "partners" | "anomalies" | "data" | "explore" | "settings";

export interface Page {
  name: PageName;
  title: string;
  /** Pressed after `g`. */
  key: string;
  group: string;
  /** Whether the bar offers a range. */
  ranged: boolean;
  /** Whether it shows what was before, where the address asks for that. */
  compared?: boolean;
  /** The range where the address names none; else the last seven days. */
  usual?: string;
  load: () => Promise<{ default: ComponentType }>;
}

export const PAGES: readonly Page[] = [
  { name: "overview", title: "Overview", key: "o", group: "", ranged: true, load: () => import("../overview/page") },
  { name: "live", title: "Live", key: "l", group: "", ranged: false, load: () => import("../live/page") },
  { name: "visitors", title: "Visitors", key: "v", group: "Product", ranged: true, compared: true, load: () => import("../visitors/page") },
  { name: "funnels", title: "Funnels", key: "f", group: "Product", ranged: true, compared: true, usual: "28d", load: () => import("../funnels/page") },
  { name: "retention", title: "Retention", key: "r", group: "Product", ranged: true, usual: "90d", load: () => import("../retention/page") },
  { name: "paths", title: "Paths", key: "p", group: "Product", ranged: true, compared: true, load: () => import("../paths/page") },
  { name: "experiments", title: "Experiments", key: "x", group: "Product", ranged: true, usual: "90d", load: () => import("../experiments/page") },
  { name: "partners", title: "Partners", key: "t", group: "Business", ranged: true, compared: true, load: () => import("../partners/page") },
  { name: "ai", title: "AI", key: "i", group: "Business", ranged: true, compared: true, load: () => import("../ai/page") },
  { name: "api", title: "API", key: "a", group: "System", ranged: true, compared: true, load: () => import("../api/page") },
  { name: "anomalies", title: "Anomalies", key: "n", group: "System", ranged: true, load: () => import("../anomalies/page") },
  { name: "data", title: "Data", key: "d", group: "System", ranged: true, load: () => import("../data/page") },
  { name: "explore", title: "Explore", key: "e", group: "System", ranged: false, load: () => import("../explore/page") },
  { name: "settings", title: "Settings", key: "s", group: "System", ranged: false, load: () => import("../settings/page") },
];

/** What a partner may see: its own page. */
export const PARTNERS_PAGES: readonly Page[] = PAGES.filter((page) => page.name === "partners");

/** The page of a name in the address; the start page for none. */
export function pageOf(name: string): Page | undefined {
  return PAGES.find((page) => page.name === (name || "overview"));
}
