// One call as it was recorded, whole.

import { useText } from "../ask/question";
import { Copy } from "../card/copy";
import { Dialog } from "../card/dialog";
import { State } from "../card/card";
import { laidOut } from "../json";
import { href } from "../shell/place";
import { visible } from "../text";

export function Drawer({ id, onClose }: { id: string; onClose: () => void }) {
  const found = useText("records", `/${encodeURIComponent(id)}`);
  const trace = found.value ? traceOf(found.value) : "";
  const said = laidOut(found.value ?? "");
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

function traceOf(record: string): string {
  const { trace_id: trace } = JSON.parse(record) as { trace_id?: unknown };
  return typeof trace === "string" ? trace : "";
}
