// Saved views: this address under a name, and those that were saved before.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, tell } from "../ask/client";
import { useData } from "../ask/question";
import { State } from "../card/card";
import { Dialog } from "../card/dialog";
import { at } from "../paths";
import { visible } from "../text";
import { day } from "../unit";
import { pageOf } from "./pages";
import type { SavedProps } from "./views";

export interface View {
  view_id: string;
  page: string;
  name: string;
  query: string;
  created_at: string;
  created_by: string;
}

export interface ViewList {
  views: readonly View[];
  may_change: boolean;
}

/** The address of a view. */
export function addressOf(view: Pick<View, "page" | "query">): string {
  return `${at("page")}/${encodeURIComponent(view.page)}${view.query ? `?${view.query}` : ""}`;
}

export function Saved({ page, onClose }: SavedProps) {
  const data = useData<ViewList>("views", "", false);
  const views = data.value?.views ?? [];
  const here = views.filter((view) => view.page === page);
  const others = views.filter((view) => view.page !== page);
  return (
    <Dialog title="Saved views" onClose={onClose}>
      <State data={data} empty={false}>
        {data.value?.may_change
          ? <Save page={page} onSaved={data.again} />
          : <p class="note">Views are saved by admins who are logged in.</p>}
        <Group title="Of this page" views={here} onClose={onClose} />
        {others.length > 0 && <Group title="Of other pages" views={others} named onClose={onClose} />}
      </State>
    </Dialog>
  );
}

function Save({ page, onSaved }: { page: string; onSaved: () => void }) {
  const [name, setName] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []); // where it comes after the dialog was opened
  const [said, setSaid] = useState<{ bad: boolean; text: string }>({ bad: false, text: "" });
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      const query = location.search.replace(/^\?/, "");
      const { value } = await tell<View>("views", "", { body: { name: name.trim(), page, query } });
      setName("");
      setSaid({ bad: false, text: `Saved as ${value?.name ?? name}.` });
      onSaved();
    } catch (error) {
      setSaid({ bad: true, text: error instanceof Refused ? error.message : "It could not be saved." });
    }
  };
  return (
    <form class="asked" onSubmit={submit}>
      <label class="field"><span>Save what is shown now as</span>
        <span class="inline">
          <input type="text" required maxLength={80} autocomplete="off" autofocus ref={field} value={name} onInput={(event) => setName(event.currentTarget.value)} />
          <button type="submit" class="button strong">Save view</button>
        </span>
      </label>
      <p class={said.bad ? "bad" : "good"} role={said.bad ? "alert" : "status"}>{visible(said.text)}</p>
    </form>
  );
}

function Group(props: { title: string; views: readonly View[]; named?: boolean; onClose: () => void }) {
  return (
    <section class="explained">
      <h3>{props.title}</h3>
      {props.views.length === 0 && <p class="muted">None is saved yet.</p>}
      <ul>
        {props.views.map((view) => (
          <li key={view.view_id}>
            <a class="measure" href={addressOf(view)} onClick={props.onClose}>
              <span class="name"><bdi>{visible(view.name)}</bdi></span>
              {props.named && <span class="tag">{pageOf(view.page)?.title ?? visible(view.page)}</span>}
              <span class="muted small">{day(view.created_at)}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
