// What is asked before something is done with a demo: a file to send, a transcript, a review, and a
// question before what cannot be undone.

import { useState } from "preact/hooks";
import { Refused } from "../ask/client";
import { type Acting, Confirm, Form, useActing } from "../settings/acting";
import { visible } from "../text";
import { bytes } from "../unit";
import { type Demo, RATED, captionsOf } from "./demos";
import { type Sending, send, takeBack } from "./sending";

export type OfDemo = "go on" | "take back" | "transcript" | "review" | "remove";
export type Asking =
  | { what: OfDemo; demo: Demo }
  | { what: "cancel"; sending: Sending };

const TITLE_LENGTH = 200;
const COMMENT_LENGTH = 2000;
const TAKEN = ".mp4,.mov,.webm,.mkv,.mp3,.wav,.m4a,.ogg,.pdf,.pptx,.docx,.txt,.md,.vtt,.srt";

export function AddForm({ partner, onClose }: { partner: string; onClose: () => void }) {
  const acting = useActing("uploads");
  const [file, setFile] = useState<File | null>(null);
  const [title, setTitle] = useState("");
  const begin = () => {
    if (!file) return;
    send(partner, file, title.trim() || file.name);
    onClose();
  };
  return (
    <Form title="Upload a demo" verb="Upload" acting={acting} onSend={begin} onClose={onClose}>
      <FileField label="File" accept={TAKEN} onFile={setFile} />
      <label class="field"><span>Title</span>
        <input type="text" maxLength={TITLE_LENGTH} autocomplete="off" placeholder={file?.name ?? ""} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
      </label>
      <p class="muted small">A film, sound, slides, a document or captions. It goes on after an interruption, as long as this window is open.</p>
    </Form>
  );
}

interface Props {
  asking: Asking;
  partner: string;
  onClose: () => void;
  onDone: () => void;
}

export function Asks({ asking, partner, onClose, onDone }: Props) {
  switch (asking.what) {
    case "cancel": return <Cancel title={asking.sending.title} act={() => asking.sending.sender.cancel()} {...{ onClose, onDone }} />;
    case "take back": return <Cancel title={asking.demo.title} act={() => takeBack(asking.demo.demo_id)} {...{ onClose, onDone }} />;
    case "go on": return <GoOn demo={asking.demo} {...{ partner, onClose }} />;
    case "transcript": return <Give demo={asking.demo} {...{ onClose, onDone }} />;
    case "review": return <Review demo={asking.demo} {...{ partner, onClose, onDone }} />;
    case "remove": return <Remove demo={asking.demo} {...{ onClose, onDone }} />;
  }
}

function FileField({ label, accept, onFile }: { label: string; accept?: string; onFile: (file: File | null) => void }) {
  return (
    <label class="field"><span>{label}</span>
      <input type="file" required {...(accept ? { accept } : {})} onChange={(event) => onFile(event.currentTarget.files?.[0] ?? null)} />
    </label>
  );
}

function Cancel({ title, act, onClose, onDone }: { title: string; act: () => Promise<void>; onClose: () => void; onDone: () => void }) {
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const acting: Acting = { said, busy, act: async () => null, hush: () => setSaid("") };
  const yes = async () => {
    setBusy(true);
    try {
      await act();
      onDone();
    } catch (error) {
      setSaid(error instanceof Refused ? error.message : "It went wrong: try again.");
      setBusy(false);
    }
  };
  return (
    <Confirm title={`Cancel ${visible(title)}?`} verb="Cancel the upload" acting={acting} onYes={() => void yes()} onClose={onClose}>
      <p>What was sent of it is thrown away.</p>
    </Confirm>
  );
}

/** Of an upload that no window sends any more: the file is needed once more. */
function GoOn({ demo, partner, onClose }: { demo: Demo; partner: string; onClose: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [said, setSaid] = useState("");
  const acting: Acting = { said, busy: false, act: async () => null, hush: () => setSaid("") };
  const name = visible(demo.file_name);
  const begin = () => {
    if (!file) return;
    if (file.size !== demo.size_bytes || file.name !== demo.file_name) return setSaid(`That is another file: choose ${name}, ${bytes(demo.size_bytes)}.`);
    send(partner, file, demo.title, demo.demo_id);
    onClose();
  };
  return (
    <Form title={`Go on with ${visible(demo.title)}`} verb="Go on" acting={acting} onSend={begin} onClose={onClose}>
      <p>Choose the same file, <bdi>{name}</bdi> of {bytes(demo.size_bytes)}: what was sent of it is not sent again.</p>
      <FileField label="File" onFile={setFile} />
    </Form>
  );
}

function Give({ demo, onClose, onDone }: { demo: Demo; onClose: () => void; onDone: () => void }) {
  const acting = useActing("demos");
  const [file, setFile] = useState<File | null>(null);
  const give = async () => {
    if (file && (await acting.act(`/${encodeURIComponent(demo.demo_id)}/transcript`, file, captionsOf(file.name)))) onDone();
  };
  return (
    <Form title={`A transcript of ${visible(demo.title)}`} verb="Give" acting={acting} onSend={() => void give()} onClose={onClose}>
      <FileField label="WebVTT or SRT, up to 2 MiB" accept=".vtt,.srt" onFile={setFile} />
      <p class="muted small">It takes the place of the transcript that there is.</p>
    </Form>
  );
}

function Review({ demo, partner, onClose, onDone }: { demo: Demo; partner: string; onClose: () => void; onDone: () => void }) {
  const acting = useActing("partners");
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({});
  const [comments, setComments] = useState("");
  const review = async () => {
    const scores = Object.fromEntries(Object.entries(given).filter(([, text]) => text).map(([name, text]) => [name, Number(text)]));
    const body = { demo_id: demo.demo_id, scores, comments: comments.trim() };
    if (await acting.act(`/${encodeURIComponent(partner)}/demo-reviews`, body)) onDone();
  };
  return (
    <Form title={`Review ${visible(demo.title)}`} verb="Rate" acting={acting} onSend={() => void review()} onClose={onClose}>
      {Object.entries(RATED).map(([name, question]) => (
        <label class="field" key={name}><span class="rated">{name}, 1 to 10 <span class="muted small">{question}</span></span>
          <input type="number" min={1} max={10} step={1} inputMode="numeric" value={given[name] ?? ""} onInput={(event) => setGiven({ ...given, [name]: event.currentTarget.value })} />
        </label>
      ))}
      <label class="field"><span>Comments</span>
        <textarea rows={3} maxLength={COMMENT_LENGTH} value={comments} onInput={(event) => setComments(event.currentTarget.value)} />
      </label>
      <p class="muted small">Leave out what you cannot say. A second review of yours takes the place of the first.</p>
    </Form>
  );
}

function Remove({ demo, onClose, onDone }: { demo: Demo; onClose: () => void; onDone: () => void }) {
  const acting = useActing("demos");
  const remove = async () => {
    if (await acting.act(`/${encodeURIComponent(demo.demo_id)}/remove`, {})) onDone();
  };
  return (
    <Confirm title={`Remove ${visible(demo.title)}?`} verb="Remove" acting={acting} onYes={() => void remove()} onClose={onClose}>
      <p>The file, its pictures and its transcript go for good, and it no longer counts in the score.</p>
    </Confirm>
  );
}
