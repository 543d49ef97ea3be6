// A few views of one card; which is open stands in the address. Arrows go from one to the next.

import { useQuery } from "../shell/place";

interface Props {
  name: string;
  label: string;
  /** By what stands in the address; the first is the usual one. */
  tabs: Readonly<Record<string, string>>;
}

export function useTab(name: string, tabs: Readonly<Record<string, string>>): string {
  const [first = ""] = Object.keys(tabs);
  const [tab] = useQuery(name, first);
  return tab in tabs ? tab : first;
}

export function Tabs({ name, label, tabs }: Props) {
  const keys = Object.keys(tabs);
  const here = useTab(name, tabs);
  const [, choose] = useQuery(name, keys[0]);
  const move = (event: KeyboardEvent & { currentTarget: HTMLElement }) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const next = (keys.indexOf(here) + step + keys.length) % keys.length;
    choose(keys[next] ?? "");
    event.currentTarget.querySelectorAll<HTMLButtonElement>("button")[next]?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {keys.map((key) => (
        <button type="button" key={key} role="tab" aria-selected={key === here} tabindex={key === here ? 0 : -1} onClick={() => choose(key)}>
          {tabs[key]}
        </button>
      ))}
    </div>
  );
}
