/** Clicks on links, buttons and what is marked with `data-lw-…`. */

import { around, ignored, pathTo, textOf } from "./elements.ts";
import { begin, on } from "./events.ts";
import type { Fields } from "./options.ts";
import { clean, cut, round } from "./words.ts";

const TARGET = "a[href],area,button,summary,[role=button],[role=link],[type=submit],[type=button]";

/** The `data-lw-…` attributes that are not for us. */
const marks = (element: Element): Fields | undefined => {
  let found: Fields | undefined;
  for (const { name, value } of element.attributes) {
    if (/^data-lw-(?!mask|ignore)/.test(name)) (found ||= {})[name.slice(8)] = value.slice(0, 200);
  }
  return found;
};

/** A click by the keyboard has no place, and right to left there are negative ones. */
const placeOf = (at: number): number | undefined => (at > 0 ? round(at) : undefined);

export const clicks = (): void => {
  let told = 0;
  on("click", (event: MouseEvent) => {
    const path = around(event);
    const element = path.find((element) => element.matches(TARGET) || marks(element));
    // A label passes its click on to its field: another event, of the same instant.
    if (!element || path.some(ignored) || told == (told = event.timeStamp)) return;
    const link = clean(element.getAttribute("href"));
    begin("click", {
      element: element.localName,
      element_id: cut(element.id),
      element_text: textOf(element, path),
      selector: pathTo(element),
      href: link,
      outbound: /^http/.test(link!) ? !link!.startsWith(location.origin + "/") : undefined,
      data: marks(element),
      x: placeOf(event.pageX),
      y: placeOf(event.pageY),
    });
  });
};
