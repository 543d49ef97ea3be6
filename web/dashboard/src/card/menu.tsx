// A menu behind a button, as the ARIA practices have it: arrows move, Escape closes, focus comes back.

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Item {
  label: string;
  /** Done when chosen; an item without is not offered. */
  act: () => void;
  /** Of an item that switches something. */
  checked?: boolean;
}

interface Props {
  label: string;
  items: Item[];
  children: ComponentChildren;
  class?: string;
}

export function Menu({ label, items, children, class: name = "button" }: Props) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = (back: boolean) => {
    setOpen(false);
    if (back) button.current?.focus();
  };
  // Before anything else can happen: after a key that closes it the focus must not come here.
  useLayoutEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const pressed = (event: KeyboardEvent) => {
    const all = [...(root.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const here = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") {
      event.stopPropagation();
      close(true);
    } else if (event.key === "Tab") {
      setOpen(false);
    } else if (to !== undefined && open) {
      event.preventDefault();
      all[(to + all.length) % all.length]?.focus();
    }
  };
  return (
    <div class="menu" ref={root} onKeyDown={pressed}>
      <button type="button" class={name} ref={button} aria-label={label} title={label} aria-haspopup="menu" aria-expanded={open}
        {...(open ? { "aria-controls": id } : {})} onClick={() => setOpen(!open)}>
        {children}
      </button>
      {open && (
        <ul class="items" role="menu" id={id} aria-label={label}>
          {items.map((item) => (
            <li key={item.label} role="none">
              <button type="button" tabindex={-1} role={item.checked === undefined ? "menuitem" : "menuitemcheckbox"}
                {...(item.checked === undefined ? {} : { "aria-checked": item.checked })}
                onClick={() => { close(true); item.act(); }}>
                {item.label}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
