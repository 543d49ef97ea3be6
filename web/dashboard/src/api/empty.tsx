// What is said where no call came yet: how to have them recorded.

import { Copy } from "../card/copy";
import type { Shown } from "./page";

const SNIPPET = `from lakeward.capture.asgi import LakewardMiddleware

app = LakewardMiddleware(app)  # Django and Flask: see docs/capture.md`;

export function Send({ range }: Pick<Shown, "range">) {
  return (
    <div class="none">
      <p>No calls in {range.label.toLowerCase()}. Have your app's calls recorded:</p>
      <div class="snippet"><pre tabindex={0} aria-label="Example"><code>{SNIPPET}</code></pre><Copy text={SNIPPET} /></div>
    </div>
  );
}
