// One demo, opened: its pictures, what was measured in it, and all that is said in it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useData } from "../ask/question";
import { State } from "../card/card";
import { Dialog } from "../card/dialog";
import { count, percent, visible } from "../text";
import { bytes } from "../unit";
import { Picture } from "./demopicture";
import { type Demo, isMedia, isMoving, kindOf, lacking, lengthOf, madeBy, placeOf, ratingOf, sentence, stateOf } from "./demos";

const MOST = 300;

interface Props {
  /** As the list has it, which is asked anew while it changes. */
  demo: Demo;
  mayAdd: boolean;
  mayReview: boolean;
  onClose: () => void;
  onTranscript: (demo: Demo) => void;
  onReview: (demo: Demo) => void;
  onRemove: (demo: Demo) => void;
}

export function DemoDrawer({ demo, mayAdd, mayReview, onClose, onTranscript, onReview, onRemove }: Props) {
  const data = useData<Demo>("demos", `/${encodeURIComponent(demo.demo_id)}?segments=1`, false);
  const now = `${demo.state} ${demo.updated_at} ${demo.progress?.step} ${demo.reviews?.count}`;
  const first = useRef(now);
  useEffect(() => {
    if (first.current !== now) data.again();
    first.current = now;
  }, [now]);
  const takes = isMedia(demo) && demo.state !== "refused" && demo.state !== "failed";
  return (
    <Dialog side title={visible(demo.title)} onClose={onClose}>
      <div class="demo" data-opened={demo.demo_id}>
        <p>{kindOf(demo) ?? "Kind unknown"}, {lengthOf(demo) ?? "length unknown"}, {bytes(demo.size_bytes)}, {stateOf(demo.state)}. <span class="muted small">File <bdi>{visible(demo.file_name)}</bdi></span></p>
        {demo.reason && <p><bdi>{sentence(demo.reason)}</bdi></p>}
        {isMoving(demo) && demo.progress && <p class="muted small" role="status">{count(demo.progress.percent)}%, {visible(demo.progress.message)}</p>}
        {demo.reviews && <Rated reviews={demo.reviews} />}
        {(mayAdd || mayReview) && (
          <div class="acts">
            {mayAdd && takes && <button type="button" class="button" onClick={() => onTranscript(demo)}>Give a transcript…</button>}
            {mayReview && <button type="button" class="button" onClick={() => onReview(demo)}>Review…</button>}
            {mayAdd && <button type="button" class="button" onClick={() => onRemove(demo)}>Remove…</button>}
          </div>
        )}
        {demo.thumbnails && demo.thumbnails.length > 0 && <div class="pictures">{demo.thumbnails.map((_, n) => <Picture key={n} demo={demo} n={n} />)}</div>}
        <State data={data} empty={false}>{data.value && <Found demo={data.value} />}</State>
      </div>
    </Dialog>
  );
}

function Found({ demo }: { demo: Demo }) {
  const { transcript } = demo;
  const segments = transcript?.segments ?? [];
  const [all, setAll] = useState(false);
  const shown = all ? segments : segments.slice(0, MOST);
  return (
    <>
      <Figures demo={demo} />
      <h3>Transcript</h3>
      {transcript && segments.length > 0
        ? <p class="muted small" data-made={transcript.source}>Source: {madeBy(demo, transcript)}{transcript.language && <>, language <bdi>{visible(transcript.language)}</bdi></>}.</p>
        : <p class="muted">{lacking(demo)}</p>}
      {shown.length > 0 && (
        <ol class="spoken" aria-label="Transcript">
          {shown.map((one, n) => <li key={n}><span class="muted small">{placeOf(one) ?? ""}</span><bdi>{visible(one.text)}</bdi></li>)}
        </ol>
      )}
      {segments.length > shown.length && <button type="button" class="button" onClick={() => setAll(true)}>Show all {count(segments.length)}</button>}
    </>
  );
}

/** What was measured; of a document there is no sound to measure. */
function Figures({ demo }: { demo: Demo }) {
  const { words, words_per_minute, silence_share, topics } = demo.measures ?? {};
  const none = demo.state === "awaiting_transcript" ? "awaiting transcript" : "unknown";
  return (
    <dl class="measured" aria-label="Measures">
      <Figure name="words" label="Words" none={none}>{words === undefined ? null : count(words)}</Figure>
      {isMedia(demo) && <Figure name="words_per_minute" label="Words per minute" none={none}>{words_per_minute === undefined ? null : count(words_per_minute)}</Figure>}
      {isMedia(demo) && <Figure name="silence_share" label="Silence" none="unknown">{silence_share === undefined ? null : percent(silence_share)}</Figure>}
      <Figure name="topics" label="Topics" none={none}>{topics?.length ? topics.map((one, n) => <span key={n}>{n > 0 && ", "}<bdi>{visible(one)}</bdi></span>) : null}</Figure>
    </dl>
  );
}

function Figure({ name, label, none, children }: { name: string; label: string; none: string; children: ComponentChildren }) {
  return <div><dt>{label}</dt><dd data-measure={name}>{children ?? <span class="muted">{none}</span>}</dd></div>;
}

export function Rated({ reviews }: { reviews: NonNullable<Demo["reviews"]> }) {
  return <p class="small" data-rated={reviews.count}>Rated {ratingOf(reviews.scores)} of 10 <span class="muted">by {reviews.count} {reviews.count === 1 ? "reviewer" : "reviewers"}</span></p>;
}
