import { useState } from "preact/hooks";

/** A button that copies, over plain HTTP too, where browsers have no clipboard object. */
export function Copy(props: { text: string }) {
  const [said, setSaid] = useState("Copy");
  const copy = async () => {
    const done = await copied(props.text);
    setSaid(done ? "Copied" : "Not copied");
    setTimeout(() => setSaid("Copy"), 1500);
  };
  return (
    <button type="button" class="button" onClick={copy}>
      <span aria-live="polite">{said}</span>
    </button>
  );
}

export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    // Inside an open dialog everything else is inert and cannot be selected.
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
