// Saved views of all pages: called otherwise, and taken away.

import { useState } from "preact/hooks";
import { useData } from "../ask/question";
import { Card } from "../card/card";
import { pageOf } from "../shell/pages";
import { addressOf, type View, type ViewList } from "../shell/saved";
import { visible } from "../text";
import { day } from "../unit";
import { Confirm, Form, Row, useActing } from "./acting";
import { tableOf } from "./table";

const COLUMNS = ["name", "page", "query", "created_at", "created_by"] as const;

export function SavedViews() {
  const data = useData<ViewList>("views", "", false);
  const acting = useActing("views");
  const [over, setOver] = useState<{ what: "rename" | "remove"; view: View } | null>(null);
  const [name, setName] = useState("");
  const views = data.value?.views ?? [];
  const open = (what: "rename" | "remove", view: View) => {
    acting.hush();
    setName(view.name);
    setOver({ what, view });
  };
  const act = async (body: object) => {
    if (over && (await acting.act(`/${encodeURIComponent(over.view.view_id)}/${over.what}`, body))) setOver(null);
    data.again();
  };
  return (
    <>
      <Card id="views" title="Saved views" data={data} table={tableOf(views, COLUMNS)} empty={false}
        definition="Addresses of pages under a name: everybody who may read sees them. The bookmark in the bar saves what is shown.">
        {(found) => (
          <>
            {views.length === 0 && <p class="nothing muted">None is saved yet: the bookmark in the bar of every page saves what is shown.</p>}
            <ul class="rows">
              {views.map((view) => (
                <Row key={view.view_id} name={<a href={addressOf(view)}><bdi>{visible(view.name)}</bdi></a>}
                  tags={<span class="tag">{pageOf(view.page)?.title ?? visible(view.page)}</span>}
                  meta={<>saved {day(view.created_at)} by <bdi>{visible(view.created_by)}</bdi>{view.query && <> · <code>{visible(view.query)}</code></>}</>}
                  actions={found.may_change && <>
                    <button type="button" class="button" aria-label={`Rename ${visible(view.name)}`} onClick={() => open("rename", view)}>Rename…</button>
                    <button type="button" class="button" aria-label={`Remove ${visible(view.name)}`} onClick={() => open("remove", view)}>Remove…</button>
                  </>} />
              ))}
            </ul>
          </>
        )}
      </Card>
      {over?.what === "rename" && (
        <Form title={`Rename ${visible(over.view.name)}`} verb="Rename" acting={acting} onSend={() => act({ name: name.trim() })} onClose={() => setOver(null)}>
          <label class="field"><span>Name</span>
            <input type="text" required maxLength={80} autofocus autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
        </Form>
      )}
      {over?.what === "remove" && (
        <Confirm title={`Remove ${visible(over.view.name)}?`} verb="Remove this view" acting={acting} onYes={() => act({})} onClose={() => setOver(null)}>
          <p>It is gone for everybody. The page itself and what it shows stay.</p>
        </Confirm>
      )}
    </>
  );
}
