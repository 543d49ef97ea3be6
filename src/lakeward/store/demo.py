"""A demo: what stands in its row, and what was found in it.

In: rows of the app database, and what children find. Out: plain values. Nothing fails.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["received", "processing", "awaiting_transcript", "completed", "refused", "failed"]
Source = Literal["webvtt", "srt", "whisper", "transcribe", "document"]


class Probe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a file is, by its content."""

    kind: Literal["video", "audio", "slides", "document", "text", "captions"]
    media_type: str
    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    codecs: tuple[str, ...] = ()
    subtitles: bool = False
    """Whether there is a stream of text."""
    pages: int | None = None
    language: str | None = None


class Measures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be counted in a demo; absent where there is nothing to count."""

    words: int | None = None
    words_per_minute: float | None = None
    speech_seconds: float | None = None
    silence_share: float | None = None
    topics: tuple[str, ...] = ()


class Segment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a transcript: a cue with its seconds, or a page of a document."""

    text: str
    start: float | None = None
    end: float | None = None
    page: int | None = None
    words: tuple[tuple[float, float, str], ...] = ()


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file; moments are in ms since 1970."""

    demo_id: str
    partner_id: str
    owner: str
    title: str
    file_name: str
    size_bytes: int
    sha256: str
    place: str
    state: State
    reason: str | None
    media_type: str | None
    probe: Probe | None
    measures: Measures | None
    created_at: int
    updated_at: int
    removed_at: int | None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the work on a demo is."""

    demo_id: str
    step: str
    tries: int
    percent: int
    message: str


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What is said or written in a demo."""

    demo_id: str
    source: Source | None
    language: str | None
    segments: tuple[Segment, ...] | None
    given_by: str | None
    updated_at: int


class Thumbnail(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a video, as JPEG."""

    second: int
    width: int
    height: int
    image: bytes
