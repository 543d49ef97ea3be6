// Saved views: the button in the bar; what it opens is loaded when it is pressed.

import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import type { PageName } from "./pages";

export interface SavedProps {
  page: PageName;
  onClose: () => void;
}

export function Views({ page }: { page: PageName }) {
  const [Saved, setSaved] = useState<{ Dialog: ComponentType<SavedProps> } | null>(null);
  const [failed, setFailed] = useState(false);
  const open = () => import("./saved").then(
    (loaded) => setSaved({ Dialog: loaded.Saved }),
    () => setFailed(true),
  );
  return (
    <>
      <button type="button" class="icon" aria-label="Saved views" aria-haspopup="dialog" onClick={open}
        title={failed ? "The list could not be loaded: press again" : "Saved views"}>
        <svg class="glyph line" viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.500h8v11l-4-3-4 3z" /></svg>
      </button>
      {Saved && <Saved.Dialog page={page} onClose={() => setSaved(null)} />}
    </>
  );
}
