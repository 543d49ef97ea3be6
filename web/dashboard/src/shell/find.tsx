// Finding a page by its name, and the list of keys.

import { useState } from "preact/hooks";
import { Dialog } from "../card/dialog";
import { type Page } from "./pages";
import { go, href } from "./place";

export function Find({ pages, onClose }: { pages: readonly Page[]; onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const wanted = text.trim().toLowerCase();
  const found = pages.filter((page) => page.title.toLowerCase().includes(wanted) || page.name.includes(wanted));
  const chosen = found[Math.min(at, found.length - 1)];
  const open = (page: Page | undefined) => {
    if (!page) return;
    onClose();
    go(href(page.name));
  };
  const pressed = (event: KeyboardEvent) => {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(found.length - 1, to)));
  };
  return (
    <Dialog title="Go to" onClose={onClose}>
      <form class="asked" onSubmit={(event) => { event.preventDefault(); open(chosen); }}>
        <input class="search" type="text" role="combobox" aria-label="Page" aria-expanded="true" aria-controls="found" autofocus autocomplete="off" spellcheck={false}
          aria-activedescendant={chosen ? `found-${chosen.name}` : undefined} value={text} onKeyDown={pressed}
          onInput={(event) => { setText(event.currentTarget.value); setAt(0); }} />
        <ul class="options" id="found" role="listbox" aria-label="Pages">
          {found.map((page) => (
            <li key={page.name} id={`found-${page.name}`} role="option" aria-selected={page === chosen} onClick={() => open(page)}>
              {page.title}<kbd>g {page.key}</kbd>
            </li>
          ))}
        </ul>
        {found.length === 0 && <p class="muted">No page is called that.</p>}
      </form>
    </Dialog>
  );
}

export function Keys({ pages, onClose }: { pages: readonly Page[]; onClose: () => void }) {
  const keys: [string, string][] = [
    ["Ctrl K", "Go to a page by its name"],
    ["?", "These keys"],
    ...pages.map((page): [string, string] => [`g ${page.key}`, page.title]),
    ["← →", "In a chart: read it point by point"],
    ["Esc", "Close what is open"],
  ];
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {keys.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}
      </dl>
    </Dialog>
  );
}
