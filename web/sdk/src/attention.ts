/** How far a page was read, and for how long it was in use: told when it is hidden or over. */

import { emit, on, view } from "./events.ts";
import { ends } from "./pages.ts";
import { clock, cut, round } from "./words.ts";

/** Who does nothing for so long has gone elsewhere. */
const REST_MS = 3e4;

export const attention = (): void => {
  let used = 0;
  let told = 0;
  let depth = innerHeight + scrollY;
  let last = clock();
  let away = document.hidden;

  const tick = (): void => {
    const now = clock();
    if (!away) used += Math.min(now - last, REST_MS);
    last = now;
  };
  on("scroll pointermove pointerdown keydown", ({ timeStamp }) => {
    if (timeStamp - last > 500) tick(); // these come by the hundred
    depth = Math.max(depth, innerHeight + scrollY);
  });
  on("visibilitychange", () => {
    tick();
    away = document.hidden;
  });
  ends((over) => {
    tick();
    if (view!.shown && used > told) {
      told = used;
      const fields = {
        view_id: view!.id,
        title: cut(document.title),
        scroll_depth: Math.min(100, round((100 * depth) / document.documentElement.scrollHeight)),
        engagement_ms: used,
      };
      emit("page_view", fields, view);
    }
    if (over) {
      used = told = 0;
      depth = innerHeight;
      view!.shown = false; // whatever comes after the end is of another view
    }
  });
};
