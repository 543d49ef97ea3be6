/** What an app says to `init`, and what it gets. */

export type Consent = "full" | "anonymous" | "none";

/** What goes by itself and can be switched off. */
export type Automatic =
  | "pages" | "clicks" | "forms" | "attention" | "errors" | "vitals" | "trace"; // prettier-ignore

export interface Options {
  /** The write key, `lwk_…`; none for an open server or one that is mounted in the app. */
  key?: string;
  /** The server, such as `https://data.example.com`; the page's own origin by default. */
  host?: string;
  /** Where the server takes interactions, when `LAKEWARD_PATHS` renames it. */
  path?: string;
  /** What the visitor has agreed to; `full` by default. */
  consent?: Consent;
  /** The most for a browser with Global Privacy Control or Do Not Track; `anonymous` by default. */
  signal?: Consent;
  /** Parameters of addresses that are kept, besides `utm_…`. */
  query?: readonly string[];
  /** What is not wanted. */
  off?: readonly Automatic[] | string;
  /** Say on the console what the server refuses. */
  debug?: boolean;
}

/** A JSON object. */
export type Fields = Record<string, unknown>;

export interface CtaDetails {
  cta_text?: string;
  placement?: string;
  destination?: string;
  campaign?: string;
}

export interface Rating extends Fields {
  helpful?: boolean;
  /** 1 to 5 */
  rating?: number;
  reason?: string;
  comment?: string;
  conversation_id?: string;
  turn?: number;
  /** The turn's own record, where the app knows its id. */
  parent_interaction_id?: string;
}
