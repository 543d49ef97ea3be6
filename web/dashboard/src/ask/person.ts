// Who is at the page, for all of it.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { type Me, NOBODY } from "../login/account";

export const Person = createContext<Me>(NOBODY);

export function useMe(): Me {
  return useContext(Person);
}

/** Whether this reader may change something: an admin, or whoever sits at an open server's machine. */
export function mayAct(me: Me): boolean {
  return (me.who === "person" && me.role === "admin") || me.who === "anyone";
}

/** Whose partner page alone may be seen; empty for everybody else. */
export function partnerOf(me: Me): string {
  return me.partner_id ?? "";
}
