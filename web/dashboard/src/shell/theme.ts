// Dark, light, or as the system has it.

import { useEffect, useState } from "preact/hooks";

export type Theme = "auto" | "light" | "dark";
const NAME = "lakeward.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function keptTheme(): Theme {
  try {
    const kept = localStorage.getItem(NAME);
    return kept === "light" || kept === "dark" ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** Take a theme and keep it; charts hear of it. */
export function setTheme(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    if (theme === "auto") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, theme);
  } catch {
    // A browser without storage has it until the next reload.
  }
  dispatchEvent(new Event("lakeward-theme"));
}

function scheme(): "dark" | "light" {
  const theme = document.documentElement.dataset["theme"];
  return (theme ? theme === "dark" : system.matches) ? "dark" : "light";
}

/** What is in force; canvases are drawn anew when it changes. */
export function useScheme(): "dark" | "light" {
  const [shown, setShown] = useState(scheme);
  useEffect(() => {
    const changed = () => setShown(scheme());
    system.addEventListener("change", changed);
    addEventListener("lakeward-theme", changed);
    return () => {
      system.removeEventListener("change", changed);
      removeEventListener("lakeward-theme", changed);
    };
  }, []);
  return shown;
}
