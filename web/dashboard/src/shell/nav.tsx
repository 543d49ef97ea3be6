// The pages at the side; on a narrow screen behind a button.

import { useEffect } from "preact/hooks";
import { Glyph } from "./glyph";
import { type Page } from "./pages";
import { href, usePlace } from "./place";

export function Nav({ pages, here, open, onClose }: { pages: readonly Page[]; here: string; open: boolean; onClose: () => void }) {
  usePlace(); // the links carry range and zone along
  useEffect(() => {
    if (!open) return;
    const pressed = (event: KeyboardEvent) => event.key === "Escape" && onClose();
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [open]);
  const groups = [...new Set(pages.map((page) => page.group))];
  return (
    <>
      {open && <button type="button" class="veil" aria-label="Close the navigation" onClick={onClose} />}
      <nav class={`nav ${open ? "open" : ""}`} id="nav" aria-label="Pages">
        {groups.map((group) => (
          <div key={group} class="navgroup">
            {group && <h2 id={`nav-${group}`}>{group}</h2>}
            <ul {...(group ? { "aria-labelledby": `nav-${group}` } : { "aria-label": "Now" })}>
              {pages.filter((page) => page.group === group).map((page) => (
                <li key={page.name}>
                  <a href={href(page.name)} aria-current={page.name === here ? "page" : undefined} title={`${page.title} (g ${page.key})`} onClick={onClose}>
                    <Glyph name={page.name} /><span>{page.title}</span><kbd aria-hidden="true">{page.key}</kbd>
                  </a>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </nav>
    </>
  );
}
