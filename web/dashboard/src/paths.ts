// Where the server's parts are. The page says it, for a proxy's prefix or other names may be in
// force; a part that the page does not name is where it is by default.

const DEFAULTS: Record<string, string> = {
  alerts: "/api/alerts",
  data: "/api/data",
  demos: "/api/demos",
  experiments: "/api/experiments",
  interactions: "/v1/interactions",
  keys: "/api/keys",
  live: "/v1/live",
  login: "/v1/login",
  logout: "/v1/logout",
  me: "/v1/me",
  overview: "/api/overview",
  page: "",
  partners: "/api/partners",
  password: "/v1/password",
  people: "/api/people",
  quarantine: "/api/quarantine",
  questions: "/api/questions",
  records: "/api/records",
  rules: "/api/rules",
  schema: "/api/schema",
  sdk: "/lakeward.js",
  settings: "/api/settings",
  sql: "/api/sql",
  suggest: "/api/suggest",
  summary: "/v1/summary",
  switches: "/api/flags",
  traces: "/api/traces",
  uploads: "/api/uploads",
  views: "/api/views",
  welcome: "/v1/welcome",
};

const said = document.querySelector<HTMLMetaElement>('meta[name="lakeward-paths"]')?.content;
const paths: Record<string, string> = { ...DEFAULTS, ...(JSON.parse(said || "{}") as Record<string, string>) };

/** The address of a part of the server, with what comes behind it. */
export function at(part: string, rest = ""): string {
  return (paths[part] ?? "") + rest;
}
