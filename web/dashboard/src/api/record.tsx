// One call as it was recorded, whole.

import type { Value } from "../ask/answer";
import { useData } from "../ask/question";
import { Copy } from "../card/copy";
import { Dialog } from "../card/dialog";
import { State } from "../card/card";
import { href } from "../shell/place";
import { visible } from "../text";

export function Drawer({ id, onClose }: { id: string; onClose: () => void }) {
  const found = useData<Value>("records", `/${encodeURIComponent(id)}`, false);
  const trace = traceOf(found.value);
  const said = JSON.stringify(found.value, null, 2);
  return (
    <Dialog title="The call" onClose={onClose} side
      tools={trace && <a class="button" href={href("live", { trace })}>Whole trace</a>}>
      <State data={found} empty={false}>
        {found.value && (
          <div class="snippet"><pre tabindex={0} aria-label="The record as JSON"><code>{visible(said)}</code></pre><Copy text={said} /></div>
        )}
      </State>
    </Dialog>
  );
}

function traceOf(record: Value): string {
  const trace = record && typeof record === "object" && !Array.isArray(record) ? record["trace_id"] : "";
  return typeof trace === "string" ? trace : "";
}
