// Keys of the whole page: `g` and a letter goes to a page, `?` shows the keys, Ctrl-K finds a page.

import { useEffect } from "preact/hooks";
import { type Page } from "./pages";
import { go, href } from "./place";

const AFTER_G_MS = 1500;

/** Whether keys are meant for what is typed, or for a dialog. */
export function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || target.isContentEditable
    || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || document.querySelector("dialog[open]") !== null;
}

export function useShortcuts(pages: readonly Page[], show: (what: "keys" | "find") => void): void {
  useEffect(() => {
    let since = -AFTER_G_MS;
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        return show("find");
      }
      if (isTaken(event)) return;
      const page = pages.find((each) => each.key === event.key);
      if (event.key === "g") {
        since = event.timeStamp;
      } else if (page && event.timeStamp - since < AFTER_G_MS) {
        event.preventDefault();
        event.stopImmediatePropagation(); // not also a key of the page
        since = -AFTER_G_MS;
        go(href(page.name));
      } else if (event.key === "?") {
        show("keys");
      }
    };
    document.addEventListener("keydown", pressed, true);
    return () => document.removeEventListener("keydown", pressed, true);
  }, [pages, show]);
}
