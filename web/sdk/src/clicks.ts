/** Clicks on links, buttons and what is marked with `data-lw-…`. */

import { around, ignored, pathTo, textOf } from "./elements.ts";
import { begin, on } from "./events.ts";
import type { Fields } from "./options.ts";
import { clean, cut } from "./words.ts";

const TARGET =
  "a[href],area[href],button,summary,[role=button],[role=link],[role=menuitem],[role=tab],input[type=submit],input[type=button],input[type=image],input[type=reset]";

/** The `data-lw-…` attributes that are not for us. */
function marks(element: Element): Fields | undefined {
  let found: Fields | undefined;
  for (const { name, value } of element.attributes) {
    const [, mark] = /^data-lw-(?!mask|ignore)(.+)/.exec(name) || [];
    if (mark) (found ||= {})[mark] = cut(value, 500) || "";
  }
  return found;
}

export function clicks(): void {
  on("click", (event: MouseEvent) => {
    const path = around(event);
    const at = path.findIndex((element) => element.matches(TARGET) || marks(element));
    const element = path[at];
    if (!element || path.some(ignored)) return;
    const { href } = (element.closest("a,area") || {}) as { href?: string };
    const link = href && typeof href == "string" ? clean(href) : undefined;
    begin("click", {
      element: element.localName,
      element_id: cut(element.id),
      element_text: textOf(element, path.slice(at)),
      selector: pathTo(element),
      href: link,
      outbound: link && /^http/.test(link) ? new URL(link).host != location.host : undefined,
      data: marks(element),
      ...(event.detail && { x: Math.max(0, Math.round(event.pageX)), y: Math.max(0, Math.round(event.pageY)) }),
    });
  });
}
