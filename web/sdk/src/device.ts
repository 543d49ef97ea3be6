/**
 * The device, as a page view tells of it. Not the time zone: asking for it makes a browser load its
 * tables of all zones, which takes longer than everything else here.
 */

import { more } from "./pages.ts";

export const device = (): unknown =>
  more.push(() => ({
    language: navigator.language,
    viewport_width: innerWidth,
    viewport_height: innerHeight,
  }));
