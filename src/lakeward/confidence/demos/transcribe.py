"""Amazon Transcribe: a demo in S3 becomes text, by a job that outlives whoever asked for it.

In: where the demo's bytes are, and the job's name, which is kept before the job begins. Out: None
while it runs, then the language and segments. Fails with `Rejected` when the service cannot make
anything of the demo, and as AWS does (`sinks/verdict.py`).

The service writes into the same bucket, below `transcripts/`; what it wrote, and the job, are
removed once they are read.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from lakeward.confidence.demos.blobs import Bucket
from lakeward.errors import Rejected, SettingError, Terminal
from lakeward.settings import Settings
from lakeward.store.demo import Demo, Segment

FORMATS: Final = {
    "audio/mpeg": "mp3", "video/mp4": "mp4", "audio/mp4": "m4a", "audio/wav": "wav",
    "audio/ogg": "ogg", "video/webm": "webm", "audio/webm": "webm",
}  # fmt: skip
"""Media that the service takes, and its word for them."""
PAUSE: Final = 1.0
"""Seconds between two words from which a new segment begins."""
LONGEST: Final = 30.0
Heard = tuple[str | None, list[Segment]]


class Alternative(msgspec.Struct):
    """What a piece may be; the first is the likeliest."""

    content: str


class Item(msgspec.Struct):
    """A word with its seconds, or punctuation without."""

    type: str
    alternatives: list[Alternative]
    start_time: str | None = None
    end_time: str | None = None


class Results(msgspec.Struct):
    """What was heard."""

    items: list[Item]
    language_code: str | None = None


class Document(msgspec.Struct):
    """The object that the service writes."""

    results: Results


def name_of(demo: Demo) -> str:
    """The job's name: the same for whoever tries again."""
    return f"lakeward-{demo.demo_id}"


def heard(settings: Settings, blobs: Bucket | None, demo: Demo) -> Heard | None:
    """What the service heard; None while it listens, which it begins to do when nobody asked."""
    if blobs is None:
        raise SettingError(
            "Amazon Transcribe reads demos from S3 alone: set LAKEWARD_DEMO_STORE to s3://…"
        )
    from lakeward.sinks import aws

    if demo.media_type not in FORMATS:
        raise Rejected(f"Amazon Transcribe does not take {demo.media_type}: give a transcript")
    api, name = aws.transcribe_api(settings, aws.session(settings)), name_of(demo)
    try:
        job = _asked(api, name)
        if job is None:
            _start(api, name, blobs, demo)
            return None
        match job.get("TranscriptionJobStatus"):
            case "COMPLETED":
                found = _read(blobs, name, job)
            case "FAILED":
                raise Rejected("Amazon Transcribe could make nothing of it: give a transcript")
            case _:
                return None
        api.ask("delete_transcription_job", TranscriptionJobName=name)
        blobs.discard(f"transcripts/{name}.json")
        return found
    finally:
        api.close()


def _asked(api: Any, name: str) -> dict[str, Any] | None:
    """The job as the service has it; it calls one that it does not know a bad request."""
    with suppress(Terminal):
        found: dict[str, Any] = api.ask("get_transcription_job", TranscriptionJobName=name)
        return dict(found["TranscriptionJob"])
    return None


def _start(api: Any, name: str, blobs: Bucket, demo: Demo) -> None:
    api.ask(
        "start_transcription_job", TranscriptionJobName=name, IdentifyLanguage=True,
        MediaFormat=FORMATS[str(demo.media_type)],
        Media={"MediaFileUri": f"s3://{blobs.bucket}/{blobs.key(demo.sha256)}"},
        OutputBucketName=blobs.bucket, OutputKey=blobs.named(f"transcripts/{name}.json"),
    )  # fmt: skip


def _read(blobs: Bucket, name: str, job: dict[str, Any]) -> Heard:
    content = blobs.read(f"transcripts/{name}.json")
    if content is None:
        raise Rejected("Amazon Transcribe says that it is done, and wrote nothing")
    try:
        results = msgspec.json.decode(content, type=Document).results
    except msgspec.DecodeError:
        raise Rejected("what Amazon Transcribe wrote cannot be read") from None
    language = results.language_code or job.get("LanguageCode")
    return language, list(segments_of(results.items))


def segments_of(items: list[Item]) -> list[Segment]:
    """Words as segments, which end at a full stop, at a pause, and in any case after a while."""
    found: list[Segment] = []
    words: list[tuple[float, float, str]] = []

    def end() -> None:
        if words:
            found.append(Segment(text=" ".join(word for _, _, word in words), start=words[0][0],
                                 end=words[-1][1], words=tuple(words)))  # fmt: skip
            words.clear()

    for item in items:
        content = item.alternatives[0].content if item.alternatives else ""
        if item.start_time is None or item.end_time is None:
            if words:
                start, until, word = words[-1]
                words[-1] = (start, until, word + content)
            if content in ".?!":
                end()
            continue
        start, until = float(item.start_time), float(item.end_time)
        if words and (start - words[-1][1] > PAUSE or until - words[0][0] > LONGEST):
            end()
        words.append((start, until, content))
    end()
    return found
