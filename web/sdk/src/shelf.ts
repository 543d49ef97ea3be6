/** What is kept on the visitor's device: texts in localStorage under `lakeward.`, or nothing. */

export const PREFIX = "lakeward.";

/** The text under `name`; null where there is none or nothing may be read. */
export function read(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // switched off, or a sandboxed frame
  }
}

/** Keep `text` under `name`, or forget it (null); whether that was possible. */
export function write(name: string, text: string | null): boolean {
  try {
    if (text == null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, text);
    return true;
  } catch {
    return false; // full, or switched off
  }
}

/** The names that begin with `start`, in order. */
export function names(start: string): string[] {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX + start))
      .map((key) => key.slice(PREFIX.length))
      .sort();
  } catch {
    return [];
  }
}
