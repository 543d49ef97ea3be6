"""The child that does one step with one file: bounded first, then shut off, then at work.

In: an order on stdin, the file as a descriptor. Out: lines of JSON on stdout, `Told` while it goes
on and one `Verdict` at the end. It never fails: whatever goes wrong is a verdict, and where the
system ends it, the lack of one. Libraries that read media and documents are loaded here alone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NoReturn

import msgspec

from lakeward.confidence.demos.kinds import Kind, kind_of
from lakeward.confidence.demos.shut import shut
from lakeward.errors import LakewardError, Rejected
from lakeward.lake.jailed import bound, die_with
from lakeward.store.demo import Measures, Probe, Segment, Source, Thumbnail

Task = Literal["probe", "thumbnails", "captions", "subtitles", "speech", "text", "measures"]
NICE: Final = 10


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    task: Task
    fd: int
    path: list[str]
    parent: int
    memory: int
    seconds: float
    longest: float
    given: str = ""
    model: str = ""
    probe: Probe | None = None
    segments: list[Segment] | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step found."""

    probe: Probe | None = None
    thumbnails: list[Thumbnail] = []
    source: Source | None = None
    language: str | None = None
    segments: list[Segment] | None = None
    measures: Measures | None = None


class Told(msgspec.Struct, frozen=True, tag="told"):
    """How far it is, of 1."""

    share: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag="verdict"):
    """How it ended; `shut` is what the system kept from it."""

    kind: Literal["done", "refused", "impossible", "memory", "failed"]
    sentence: str = ""
    found: Found = Found()
    shut: list[str] = []


def main(order: bytes) -> NoReturn:
    """Do one step and leave without running anything else."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no part of the answer
    with os.fdopen(out, "wb") as lines:
        verdict = _judged(msgspec.json.decode(order, type=Order), lines)
        lines.write(msgspec.json.encode(verdict) + b"\n")
    os._exit(0)  # no destructor runs, and none can hang


def _judged(order: Order, lines: BinaryIO) -> Verdict:
    held: list[str] = []
    try:
        die_with(order.parent)
        os.nice(NICE)
        bound(order.memory, order.seconds)
        held = shut()
        return Verdict(kind="done", found=_done(order, lines), shut=held)
    except Rejected as error:
        return Verdict(kind="refused", sentence=str(error), shut=held)
    except LakewardError as error:
        return Verdict(kind="impossible", sentence=str(error), shut=held)
    except MemoryError:
        return Verdict(kind="memory", shut=held)
    except RecursionError:
        return Verdict(kind="refused", sentence="the file nests deeper than any program writes",
                       shut=held)  # fmt: skip
    except Exception as error:  # its text may quote the file
        return Verdict(kind="failed", sentence=type(error).__name__, shut=held)


def _done(order: Order, lines: BinaryIO) -> Found:
    def tell(share: float) -> None:
        lines.write(msgspec.json.encode(Told(share)) + b"\n")
        lines.flush()

    if order.task == "captions":
        return _captions(order.given)
    if order.task == "measures" and order.fd < 0:
        return _measures(None, None, order)
    with os.fdopen(order.fd, "rb") as file:
        kind = kind_of(file)
        file.seek(0)
        return _STEPS[order.task](file, kind, order, tell)


def _captions(given: str) -> Found:
    from lakeward.confidence.demos.captions import captions_of

    source, segments = captions_of(given)
    return Found(source=source, segments=segments)


def _probe(file: BinaryIO, kind: Kind, order: Order, tell: Callable[[float], None]) -> Found:
    if kind.family == "media":
        from lakeward.confidence.demos import media

        return Found(probe=media.probe(file, kind, order.longest))
    if kind.family == "captions":
        return Found(probe=Probe(kind="captions", media_type=kind.media_type))
    from lakeward.confidence.demos.documents import pages_of

    what: Any = "document" if kind.family == "pdf" else kind.family
    return Found(
        probe=Probe(kind=what, media_type=kind.media_type, pages=pages_of(file, kind))
    )  # fmt: skip


def _thumbnails(file: BinaryIO, kind: Kind, order: Order, tell: Callable[[float], None]) -> Found:
    from lakeward.confidence.demos import media

    duration = (order.probe and order.probe.duration_seconds) or 0.0
    return Found(thumbnails=media.thumbnails(file, kind, duration))


def _subtitles(file: BinaryIO, kind: Kind, order: Order, tell: Callable[[float], None]) -> Found:
    from lakeward.confidence.demos import media

    return Found(segments=media.subtitles(file, kind) or None)


def _speech(file: BinaryIO, kind: Kind, order: Order, tell: Callable[[float], None]) -> Found:
    import numpy as np

    from lakeward.confidence.demos import media, sound, speech

    pieces = list(media.samples(file, kind))
    whole = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    quiet = sound.silent(sound.levels([whole]))
    language, segments = speech.transcribed(whole, quiet, Path(order.model), tell)
    return Found(source="whisper", language=language, segments=segments)


def _text(file: BinaryIO, kind: Kind, order: Order, tell: Callable[[float], None]) -> Found:
    if kind.family == "captions":
        return _captions(io.TextIOWrapper(file, "utf-8-sig", "replace").read(4 << 20))
    from lakeward.confidence.demos.documents import text_of

    return Found(source="document", segments=text_of(file, kind))


def _measures(
    file: BinaryIO | None, kind: Kind | None, order: Order,
    tell: Callable[[float], None] | None = None,
) -> Found:  # fmt: skip
    from lakeward.confidence.demos.measures import measured

    if file is None or kind is None or kind.family != "media":
        return Found(measures=measured(order.segments, None, None))
    from lakeward.confidence.demos import media, sound

    found = sound.levels(media.samples(file, kind))
    if not len(found):
        return Found(measures=measured(order.segments, None, None))
    quiet = sound.silent(found)
    speech = round(float((~quiet).sum()) / 10, 1)
    return Found(measures=measured(order.segments, speech, round(float(quiet.mean()), 4)))


_STEPS: Final[dict[str, Callable[[BinaryIO, Kind, Order, Callable[[float], None]], Found]]] = {
    "probe": _probe,
    "thumbnails": _thumbnails,
    "subtitles": _subtitles,
    "speech": _speech,
    "text": _text,
    "measures": _measures,
}
