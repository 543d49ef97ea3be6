/**
 * Views of pages: loaded, reached inside a single-page app, back from the browser's cache. Not one
 * that is prepared and not seen: the SDK starts when it is.
 */

import { idOf } from "./ids.ts";
import type { Fields } from "./options.ts";
import { cut } from "./words.ts";

/** The app's router sets the title after the address. */
const TITLE_MS = 300;

export interface View {
  /** Id of its first record. */
  id: string;
  /** Where it is, as every event of it says. */
  place: { url: string | undefined; path: string; referrer: string | undefined };
}

export interface Views {
  /** What is in view now. */
  now(): View;
  /** Another one begins; `silent`: without saying so. */
  open(navigation?: string, properties?: Fields, silent?: boolean): void;
  /** Nothing of it may be held back: the page is hidden, or another view begins. */
  settle(): void;
  /** Whether the address is another one than that of the view. */
  moved(): boolean;
}

export function views(
  clean: (address: string) => string | undefined,
  report: (view: View, fields: Fields, now: number) => void,
  begun: (view: View) => void,
): Views {
  let view: View | undefined;
  let pending: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const settle = (): void => {
    clearTimeout(timer);
    pending?.();
    pending = undefined;
  };

  return {
    now: () => view!,
    settle,
    moved: () => clean(location.href) != view!.place.url,
    open(navigation, properties, silent) {
      settle();
      const now = Date.now();
      const referrer = view ? view.place.url : clean(document.referrer);
      const opened: View = {
        id: idOf(now),
        place: { url: clean(location.href), path: location.pathname, referrer },
      };
      view = opened;
      begun(opened);
      if (silent) return;
      pending = () => report(opened, { ...described(navigation), properties }, now);
      if (navigation == "spa") timer = setTimeout(settle, TITLE_MS);
      else settle();
    },
  };
}

/** How the document was reached. */
export function arrival(prerendered: boolean): string {
  const [entry] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const { type, activationStart } = (entry || {}) as { type?: string; activationStart?: number };
  if (prerendered || activationStart) return "prerender";
  return type == "reload" || type == "back_forward" ? type : "load";
}

function described(navigation: string | undefined): Fields {
  const fields: Fields = {
    title: cut(document.title, 500),
    navigation,
    language: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    screen_width: screen.width,
    screen_height: screen.height,
    viewport_width: innerWidth,
    viewport_height: innerHeight,
  };
  new URLSearchParams(location.search).forEach((value, name) => {
    if (/^utm_(source|medium|campaign|term|content)$/.test(name)) fields[name] = cut(value);
  });
  return fields;
}
