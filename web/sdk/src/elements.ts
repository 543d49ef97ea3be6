/** Elements, as far as something of them may leave the page. */

import { cut } from "./words.ts";

/** What people type or may type, and what the app does not want to be read. */
const SECRET =
  "input,textarea,select,[contenteditable],[data-lw-mask],[data-lw-ignore],script,style";

/** The elements around an event's target, from the inside out, through shadow roots. */
export const around = (event: Event): Element[] =>
  event.composedPath().filter((node): node is Element => (node as Node).nodeType == 1);

/** Whether nothing of what happens here may be recorded. */
export const ignored = (element: Element): boolean => !!element.closest("[data-lw-ignore]");

/** The text of an element without what is secret in it, at most 100 characters. */
export const textOf = (element: Element, path: readonly Element[]): string | undefined => {
  if (path.some((outer) => outer.matches(SECRET))) return;
  let text = "";
  const read = (node: Node): void => {
    if (text.length > 200) return;
    if (node.nodeType == 3) text += (node as Text).data;
    else if (node.nodeType == 1 && !(node as Element).matches(SECRET))
      node.childNodes.forEach(read);
  };
  element.childNodes.forEach(read);
  text ||= element.getAttribute("aria-label") || "";
  return cut(text.replace(/\s+/g, " ").trim(), 100);
};

/** A CSS path to an element: up to the next id, at most five steps. */
export const pathTo = (element: Element | null | undefined): string | undefined => {
  const steps: string[] = [];
  while (element?.localName && steps.length < 5) {
    const { id, localName, classList, parentElement } = element;
    steps.unshift(localName + (id ? "#" + id : classList[0] ? "." + classList[0] : ""));
    element = id ? null : parentElement;
  }
  return cut(steps.join(">"));
};
