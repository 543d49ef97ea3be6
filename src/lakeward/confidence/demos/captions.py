"""Captions: WebVTT and SubRip as segments with their seconds.

In: the text as it came. Out: its source and segments, in the order of time. Fails with `Rejected`
for what is neither, or more than a demo can have. Markup within cues is dropped, times of words are
kept where a cue has them.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from lakeward.errors import MissingExtra, Rejected
from lakeward.store.demo import Segment

MOST_BYTES: Final = 2 << 20
MOST_CUES: Final = 20_000
MOST_LINES: Final = 120_000
LONGEST_LINE: Final = 10_000
LONGEST_CUE: Final = 4_000
TAG: Final = re.compile(r"<[^<>]{0,200}>")
MARK: Final = re.compile(r"<(?:(\d{1,3}):)?(\d{2}):(\d{2})\.(\d{3})>")
CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def captions_of(text: str) -> tuple[Literal["webvtt", "srt"], list[Segment]]:
    """Its segments, and what it was."""
    try:
        import webvtt
        from webvtt.errors import MalformedCaptionError, MalformedFileError
    except ImportError:
        raise MissingExtra("reading transcripts", "confidence") from None
    text = _bounded(text)
    is_webvtt = text.startswith("WEBVTT")
    try:
        read: Any = webvtt.from_string(text) if is_webvtt else _from_srt(text)
    except (MalformedFileError, MalformedCaptionError, ValueError, IndexError):
        raise Rejected("the transcript is neither WebVTT nor SRT, or is damaged") from None
    if len(read.captions) > MOST_CUES:
        raise Rejected(f"the transcript has more than {MOST_CUES} cues")
    segments = [found for cue in read.captions if (found := _segment(cue)) is not None]
    if not segments:
        raise Rejected("the transcript holds no words")
    return ("webvtt" if is_webvtt else "srt"), sorted(segments, key=lambda one: one.start or 0.0)


def _bounded(text: str) -> str:
    if len(text) > MOST_BYTES:
        raise Rejected(f"the transcript is larger than {MOST_BYTES >> 20} MiB")
    text = CONTROL.sub("", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    lines = text.split("\n")
    if len(lines) > MOST_LINES or max(map(len, lines)) > LONGEST_LINE:
        raise Rejected("the transcript has more lines, or longer ones, than captions have")
    return text.strip() + "\n"


def _from_srt(text: str) -> Any:
    import io

    import webvtt

    return webvtt.from_buffer(io.StringIO(text), format="srt")


def _segment(cue: object) -> Segment | None:
    start = float(getattr(cue, "start_in_seconds", 0.0))
    end = float(getattr(cue, "end_in_seconds", 0.0))
    # `raw_text` has the times of words; `text` has lost them
    raw = str(getattr(cue, "raw_text", "") or getattr(cue, "text", ""))[:LONGEST_CUE]
    text = " ".join(TAG.sub("", raw).split())
    if not text or end <= start:
        return None
    return Segment(text=text, start=_exact(cue, "start", start), end=_exact(cue, "end", end),
                   words=_timed(raw, start, end))  # fmt: skip


def _exact(cue: object, name: str, seconds: float) -> float:
    """With the milliseconds, which the library's count of seconds leaves out."""
    _, dot, fraction = str(getattr(cue, name, "")).partition(".")
    return int(seconds) + int(fraction) / 1000 if dot and fraction.isdigit() else seconds


def _timed(raw: str, start: float, end: float) -> tuple[tuple[float, float, str], ...]:
    """`Hello <00:01.500>world` as words with their seconds; nothing where no time is marked."""
    if not MARK.search(raw):
        return ()
    pieces: list[tuple[float, str]] = []
    at, last = start, 0
    for mark in MARK.finditer(raw):
        pieces.append((at, raw[last : mark.start()]))
        hours, minutes, seconds, thousandths = (int(part or 0) for part in mark.groups())
        at, last = hours * 3600 + minutes * 60 + seconds + thousandths / 1000, mark.end()
    pieces.append((at, raw[last:]))
    ends = [*(begin for begin, _ in pieces[1:]), end]
    return tuple(
        (begin, finish, word)
        for (begin, piece), finish in zip(pieces, ends, strict=True)
        if (word := " ".join(TAG.sub("", piece).split()))
    )
