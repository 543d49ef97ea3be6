/** The device, as a page view tells of it. */

import { more } from "./pages.ts";

export const device = (): unknown =>
  more.push(() => ({
    language: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    viewport_width: innerWidth,
    viewport_height: innerHeight,
  }));
