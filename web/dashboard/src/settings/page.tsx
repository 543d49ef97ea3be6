// Settings: who may what, what apps see by flags, who is told, and how the server was set up.

import type { ComponentType } from "preact";
import { mayAct, useMe } from "../ask/person";
import { href, useQuery } from "../shell/place";
import { Alerts } from "./alerts";
import { Flags } from "./flags";
import { Keys } from "./keys";
import { People } from "./people";
import "./settings.css";
import { Variables } from "./variables";
import { SavedViews } from "./views";

const TABS: readonly [string, string, ComponentType][] = [
  ["keys", "Keys", Keys],
  ["people", "People", People],
  ["flags", "Flags", Flags],
  ["alerts", "Alerts", Alerts],
  ["settings", "Settings", Variables],
  ["views", "Saved views", SavedViews],
];

export default function Page() {
  const me = useMe();
  const [tab] = useQuery("tab", "keys");
  const [name, , Shown] = TABS.find(([known]) => known === tab) ?? TABS[0]!;
  return (
    <div class="settings">
      <nav class="tabs" aria-label="Parts of the settings">
        {TABS.map(([known, title]) => (
          <a key={known} href={href("settings", { tab: known === "keys" ? null : known })} aria-current={known === name ? "page" : undefined}>{title}</a>
        ))}
      </nav>
      {!mayAct(me) && <p class="note">You may look and change nothing here: a read key reads. Admins who log in change things.</p>}
      {me.who === "anyone" && (
        <p class="note">This server is open to this machine alone, and whoever sits at it may change everything. The first key or person closes it: let yourself in under People first.</p>
      )}
      <Shown key={name} />
    </div>
  );
}
