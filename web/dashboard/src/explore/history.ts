// The last queries of this session, in this tab alone.

const KEY = "lakeward.queries";
const MOST = 20;
const LONGEST = 20_000;

export function remembered(): string[] {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as unknown;
    return Array.isArray(found) ? found.filter((each): each is string => typeof each === "string") : [];
  } catch {
    return [];
  }
}

export function remember(sql: string): void {
  if (sql.length > LONGEST) return;
  try {
    sessionStorage.setItem(KEY, JSON.stringify([sql, ...remembered().filter((each) => each !== sql)].slice(0, MOST)));
  } catch {
    // The browser keeps nothing, or no more: the page works without.
  }
}
