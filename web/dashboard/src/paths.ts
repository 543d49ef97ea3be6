// Where the server's parts are. The page says it, for a proxy's prefix or other names may be in
// force; a part that the page does not name is where it is by default.

const DEFAULTS: Record<string, string> = {
  page: "",
  questions: "/api/questions",
  alerts: "/api/alerts",
  live: "/v1/live",
  summary: "/v1/summary",
  login: "/v1/login",
  logout: "/v1/logout",
  me: "/v1/me",
  welcome: "/v1/welcome",
  password: "/v1/password",
};

const said = document.querySelector<HTMLMetaElement>('meta[name="lakeward-paths"]')?.content;
const paths: Record<string, string> = { ...DEFAULTS, ...(JSON.parse(said || "{}") as Record<string, string>) };

/** The address of a part of the server, with what comes behind it. */
export function at(part: string, rest = ""): string {
  return (paths[part] ?? "") + rest;
}
