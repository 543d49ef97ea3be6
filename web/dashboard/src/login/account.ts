// Who is at the page, as the server sees it, and the ways in and out.

import { headers } from "../ask/key";
import { at } from "../paths";

export interface Me {
  who: "person" | "key" | "anyone" | "nobody";
  email?: string;
  role?: "admin" | "partner";
  partner_id?: string;
  oidc?: boolean;
}

export const NOBODY: Me = { who: "nobody" };

/** Who is there; null while the server does not say. */
export async function whoami(): Promise<Me | null> {
  try {
    const answer = await fetch(at("me"), { headers: headers(), cache: "no-store" });
    return answer.ok ? ((await answer.json()) as Me) : null;
  } catch {
    return null;
  }
}

/** Send JSON to a part of the server; the sentence of its refusal, or nothing when it went well. */
export async function post(part: string, body: Record<string, unknown>): Promise<string> {
  try {
    const answer = await fetch(at(part), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      cache: "no-store",
    });
    if (answer.ok) return "";
    const { message } = (await answer.json()) as { message?: string };
    const wait = Number(answer.headers.get("Retry-After"));
    return (message ?? `The server answered ${answer.status}.`) + (wait > 60 ? ` In ${Math.ceil(wait / 60)} minutes, that is.` : "");
  } catch {
    return "The server does not answer: try again in a moment.";
  }
}

/** What the address says, once: it is taken out of it, so that it stays in no history. */
export function taken(name: string): string {
  const query = new URLSearchParams(location.search);
  const value = query.get(name) ?? "";
  if (value) {
    query.delete(name);
    history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
  }
  return value;
}

const REFUSED: Record<string, string> = {
  unknown_person: "The provider knows you, and this lake does not: ask an admin to add you.",
  unverified_email: "The provider has not verified your e-mail address.",
  cancelled: "The provider did not let you in.",
};

/** A sentence for what a provider's way in came back with. */
export function refusal(code: string): string {
  return code ? (Object.hasOwn(REFUSED, code) && REFUSED[code]) || "Logging in through the provider failed: try again." : "";
}
