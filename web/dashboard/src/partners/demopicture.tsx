// A picture of a demo. It is fetched and not named in the page: an <img> could bring no read key.

import { useEffect, useState } from "preact/hooks";
import { send } from "../ask/client";
import { type Demo, time } from "./demos";

export function Picture({ demo, n }: { demo: Demo; n: number }) {
  const [source, setSource] = useState("");
  const second = demo.thumbnails?.[n] ?? 0;
  useEffect(() => {
    const abort = new AbortController();
    let made = "";
    send("demos", `/${encodeURIComponent(demo.demo_id)}/thumbnail?n=${n}`, { signal: abort.signal })
      .then((answer) => answer.blob())
      .then((picture) => {
        if (abort.signal.aborted) return;
        made = URL.createObjectURL(picture);
        setSource(made);
      })
      .catch(() => undefined); // its place stays empty: the demo is there all the same
    return () => {
      abort.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [demo.demo_id, n]);
  if (!source) return <span class="picture" aria-hidden="true" />;
  return <img class="picture" src={source} alt={`The demo at ${time(second)}`} />;
}
