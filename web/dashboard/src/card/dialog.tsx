// A dialog over the page: native, so that everything else is inert, and Escape closes it.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface Props {
  title: string;
  onClose: () => void;
  /** A sheet at the side, for what is long. */
  side?: boolean;
  /** Beside the title. */
  tools?: ComponentChildren;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, side = false, tools, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      const at = document.activeElement;
      if (!at || at === document.body || shown?.contains(at)) before?.focus?.(); // else somebody has it already
    };
  }, []);
  return (
    <dialog class={side ? "drawer" : "window"} ref={dialog} aria-labelledby={id} onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <div class="sheet">
        <header role="presentation">
          <div><h2 id={id}><bdi>{title}</bdi></h2></div>
          {tools}
          <button type="button" class="button" onClick={() => dialog.current?.close()}>Close <kbd>Esc</kbd></button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
