// Product demos of a partner: what was uploaded, what is on its way and how far, and what can be done
// with it by whom the server lets.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Column } from "../ask/answer";
import { mayAct, useMe } from "../ask/person";
import { type Data, useData } from "../ask/question";
import { Card } from "../card/card";
import { visible } from "../text";
import { DemoDrawer, Rated } from "./demo";
import { AddForm, type Asking, Asks, type OfDemo } from "./demoforms";
import { Picture } from "./demopicture";
import { type Bar, type Demo, type Demos, barOf, isMoving, kindOf, lengthOf, ratingOf, sent, sentence, stateOf } from "./demos";
import { type Sending, forget, useSending } from "./sending";

const REFRESH_MS = 2_000;
const COLUMNS: Column[] = [
  { name: "title", kind: "text", unit: "", doc: "As the uploader called it." },
  { name: "kind", kind: "text", unit: "", doc: "What it is, by its content." },
  { name: "length", kind: "text", unit: "", doc: "How long, or how many pages." },
  { name: "state", kind: "text", unit: "", doc: "Where it stands." },
  { name: "reason", kind: "text", unit: "", doc: "Why, where there is a reason." },
  { name: "rating", kind: "text", unit: "", doc: "Means of the team's reviews, 1 to 10." },
];
const DEFINITION = "Films, sound, slides, documents and captions that were uploaded for the partner, the newest first. What a demo is, is found by its content; its words come from a transcript that was given, that is in the file, or that a model heard, and are never made up. How the team rates them goes into the score.";

export function DemosCard({ partner, own, zone }: { partner: string; own: boolean; zone: string }) {
  const data = useData<Demos>("partners", `/${encodeURIComponent(partner)}/demos`, false);
  const again = useRef(data.again);
  again.current = data.again;
  const ended = useCallback(() => again.current(), []);
  const sending = useSending(partner, ended);
  const [open, setOpen] = useState("");
  const [adding, setAdding] = useState(false);
  const [asking, setAsking] = useState<Asking | null>(null);
  const mayReview = mayAct(useMe()) && !own;
  const demos = data.value?.demos ?? [];
  useRefreshed(data, demos.some(isMoving));

  const mayAdd = data.value?.may_add ?? false;
  const listed = new Set(demos.map((demo) => demo.demo_id));
  const fresh = sending.filter(({ sender }) => !listed.has(sender.state.id));
  const opened = demos.find((demo) => demo.demo_id === open && demo.state !== "uploading");
  const asks = (what: OfDemo) => (demo: Demo) => setAsking({ what, demo });
  return (
    <>
      <Card id="productdemos" tall={120} class="wide unprinted" title="Product demos" data={data} zone={zone} definition={DEFINITION}
        table={{ columns: COLUMNS, rows: demos.map((one) => [one.title, kindOf(one), lengthOf(one), stateOf(one.state), one.reason ?? null, one.reviews ? ratingOf(one.reviews.scores) : null]) }}
        empty={data.value !== null && !demos.length && !fresh.length} hint="No demo was uploaded yet."
        tools={mayAdd && <button type="button" class="button strong" onClick={() => setAdding(true)}>Upload a demo</button>}>
        {() => (
          <ul class="demolist">
            {fresh.map((one) => <OnItsWay key={`s${one.key}`} sending={one} onCancel={() => setAsking({ what: "cancel", sending: one })} />)}
            {demos.map((demo) => {
              const mine = demo.state === "uploading" ? sending.find(({ sender }) => sender.state.id === demo.demo_id) : undefined;
              if (mine) return <OnItsWay key={demo.demo_id} sending={mine} onCancel={() => setAsking({ what: "cancel", sending: mine })} />;
              return <Listed key={demo.demo_id} demo={demo} {...{ mayAdd }} onOpen={() => setOpen(demo.demo_id)} onGoOn={asks("go on")} onTakeBack={asks("take back")} />;
            })}
          </ul>
        )}
      </Card>
      {opened && <DemoDrawer demo={opened} {...{ mayAdd, mayReview }} onClose={() => setOpen("")} onTranscript={asks("transcript")} onReview={asks("review")} onRemove={asks("remove")} />}
      {adding && <AddForm partner={partner} onClose={() => setAdding(false)} />}
      {asking && <Asks asking={asking} partner={partner} onClose={() => setAsking(null)} onDone={() => { setAsking(null); data.again(); }} />}
    </>
  );
}

/** Ask again while something is on its way, in a tab that somebody sees; a question that fails is asked again by itself. */
function useRefreshed(data: Data<Demos>, moving: boolean): void {
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    if (!moving) return;
    const look = () => {
      const { busy, refused, again } = newest.current;
      if (!document.hidden && !busy && !refused) again();
    };
    const timer = setInterval(look, REFRESH_MS);
    return () => clearInterval(timer);
  }, [moving]);
}

interface ListedProps {
  demo: Demo;
  mayAdd: boolean;
  onOpen: () => void;
  onGoOn: (demo: Demo) => void;
  onTakeBack: (demo: Demo) => void;
}

function Listed({ demo, mayAdd, onOpen, onGoOn, onTakeBack }: ListedProps) {
  const title = visible(demo.title);
  const bar = barOf(demo);
  const isUpload = demo.state === "uploading";
  const middle = demo.thumbnails?.length ? Math.floor(demo.thumbnails.length / 2) : -1;
  return (
    <li data-demo={demo.demo_id} data-state={demo.state}>
      {middle >= 0 && <Picture demo={demo} n={middle} />}
      <div class="what">
        <p class="title">
          {isUpload ? <b><bdi>{title}</bdi></b> : <button type="button" class="opener" aria-haspopup="dialog" onClick={onOpen}><bdi>{title}</bdi></button>}
          <State demo={demo} />
        </p>
        {!isUpload && <p class="muted small">{kindOf(demo) ?? "Kind unknown"}, {lengthOf(demo) ?? "length unknown"}</p>}
        {demo.reason && <p class={`small ${demo.state === "refused" || demo.state === "failed" ? "bad" : ""}`}><bdi>{sentence(demo.reason)}</bdi></p>}
        {bar && <Progress bar={bar} title={title} />}
        {demo.reviews && <Rated reviews={demo.reviews} />}
      </div>
      {isUpload && mayAdd && (
        <div class="acts">
          <button type="button" class="button" aria-label={`Go on with ${title}`} onClick={() => onGoOn(demo)}>Go on…</button>
          <button type="button" class="button" aria-label={`Cancel ${title}`} onClick={() => onTakeBack(demo)}>Cancel…</button>
        </div>
      )}
    </li>
  );
}

function State({ demo }: { demo: Demo }) {
  const tone = demo.state === "completed" ? "good" : demo.state === "refused" || demo.state === "failed" ? "bad" : "";
  return <span class={`tag ${tone}`}>{stateOf(demo.state)}</span>;
}

function Progress({ bar, title }: { bar: Bar; title: string }) {
  return (
    <div class="along">
      <progress max={1} value={bar.share} aria-label={`Progress of ${title}`} aria-valuetext={bar.text} />
      <span class="muted small">{bar.text}</span>
    </div>
  );
}

/** An upload of this window. */
function OnItsWay({ sending, onCancel }: { sending: Sending; onCancel: () => void }) {
  const { sender, size } = sending;
  const { phase, bytes, said, id } = sender.state;
  const title = visible(sending.title);
  const moves = phase === "sending" || phase === "waiting";
  const words = { sending: "sending", waiting: "interrupted, goes on by itself", paused: "paused", refused: "stopped", cancelling: "being taken back", cancelled: "taken back", done: "received" }[phase];
  return (
    <li data-sending={phase} {...(id ? { "data-demo": id } : {})}>
      <div class="what">
        <p class="title"><b><bdi>{title}</bdi></b><span class={`tag ${phase === "refused" ? "bad" : ""}`} role="status">{words}</span></p>
        {said && <p class={`small ${phase === "refused" ? "bad" : "muted"}`} role={phase === "refused" ? "alert" : undefined}>{visible(said)}</p>}
        <Progress bar={sent(bytes, size)} title={title} />
      </div>
      <div class="acts">
        {moves && <button type="button" class="button" aria-label={`Pause ${title}`} onClick={() => sender.pause()}>Pause</button>}
        {(phase === "paused" || phase === "refused") && <button type="button" class="button" aria-label={`Resume ${title}`} onClick={() => void sender.go()}>{phase === "paused" ? "Resume" : "Try again"}</button>}
        {phase === "refused" && !id
          ? <button type="button" class="button" aria-label={`Dismiss ${title}`} onClick={() => forget(sending.key)}>Dismiss</button>
          : <button type="button" class="button" aria-label={`Cancel ${title}`} disabled={phase === "cancelling"} onClick={onCancel}>Cancel…</button>}
      </div>
    </li>
  );
}
