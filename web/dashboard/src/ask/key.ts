// The read key, kept for this tab only.

const NAME = "lakeward.key";

export function readKey(): string {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

export function keepKey(key: string): void {
  try {
    if (key) sessionStorage.setItem(NAME, key);
    else sessionStorage.removeItem(NAME);
  } catch {
    // A browser without storage asks again after a reload.
  }
}

/** Headers of a request to the server. */
export function headers(more: Record<string, string> = {}): Record<string, string> {
  const key = readKey();
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}
