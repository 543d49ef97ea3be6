"""Video and sound: what is in a file, pictures of it, its samples, its stream of text.

In: an open file and the demuxer for it, so that ffmpeg tries nothing else on the content. Out:
plain values. Fails with `Rejected` for what is damaged, cut short or beyond the bounds, and with
`MissingExtra`. What a header says is not believed: every packet is looked at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, islice
from typing import Any, BinaryIO, Final

from lakeward.confidence.demos.kinds import Kind
from lakeward.errors import MissingExtra, Rejected
from lakeward.store.demo import Probe, Segment, Thumbnail

MOST_STREAMS: Final = 16
LONGEST_SIDE: Final = 8192
MOST_PIXELS: Final = 8192 * 4608
MOST_BAD: Final = 200
"""Packets that may be damaged before nothing more is tried."""
WHOLE: Final = 0.9
"""Part of the length that must be there; a player rounds, a cut file lacks more."""
SLACK_SECONDS: Final = 0.5
RATE: Final = 16_000
PICTURES: Final = (0.1, 0.5, 0.9)
WIDTH: Final = 480
MOST_FRAMES: Final = 600
"""That are decoded for one picture."""
NEAR: Final = 0.05
TEXT_CODECS: Final = ("subrip", "srt", "webvtt", "text", "mov_text")
MOST_CUES: Final = 20_000


@contextmanager
def opened(file: BinaryIO, kind: Kind) -> Iterator[Any]:
    """The container, within bounds."""
    try:
        import av
    except ImportError:
        raise MissingExtra("looking into videos", "media") from None
    file.seek(0)
    try:
        with av.open(file, "r", format=kind.demuxer, metadata_errors="replace") as container:
            if not 0 < len(container.streams) <= MOST_STREAMS:
                raise Rejected(f"the file has no streams, or more than {MOST_STREAMS}")
            yield container
    except (av.error.FFmpegError, EOFError, IndexError, ValueError, OverflowError) as error:
        if isinstance(error, av.error.MemoryError):
            raise MemoryError from None
        raise Rejected("the file is damaged or cut short") from None


def probe(file: BinaryIO, kind: Kind, longest: float) -> Probe:
    """What is in it; `longest` is how many seconds are taken."""
    if kind.demuxer == "wav":
        _check_riff(file)
    with opened(file, kind) as container:
        pictures, sounds = _streams(container)
        if not pictures and not sounds:
            raise Rejected("the file has neither pictures nor sound")
        for stream in pictures:
            _check_size(stream.codec_context.width, stream.codec_context.height)
        said = (container.duration or 0) / 1_000_000
        if said > longest:
            raise Rejected(f"it lasts {said:.0f} s, and {longest:g} s are taken")
        lasts = _lasting(container, longest)
        if lasts < said * WHOLE - SLACK_SECONDS:
            raise Rejected(f"the file is cut short: {lasts:.0f} of {said:.0f} s are there")
        if lasts <= 0:
            raise Rejected("the file has no content")
        first = pictures[0].codec_context if pictures else None
        media_type = kind.media_type if first else kind.media_type.replace("video/", "audio/")
        return Probe(
            kind="video" if first else "audio", media_type=media_type,
            duration_seconds=round(lasts, 3), width=first.width if first else None,
            height=first.height if first else None,
            codecs=tuple(stream.codec_context.name for stream in (*pictures, *sounds)),
            subtitles=_texts(container) is not None, language=_language(sounds),
        )  # fmt: skip


def _check_riff(file: BinaryIO) -> None:
    """ffmpeg takes what is there of a wav for all of it; the head says how much there was. A
    program that writes into a pipe does not know, and says nothing or the most."""
    file.seek(4)
    said = int.from_bytes(file.read(4), "little")
    if 0 < said < 0xFFFFFF00 and said + 8 > file.seek(0, 2) + 1:
        raise Rejected("the file is cut short: its head says that it is longer")


def _streams(container: Any) -> tuple[list[Any], list[Any]]:
    """Those of pictures that move, and of sound; a cover is neither."""
    known = [stream for stream in container.streams if stream.codec_context is not None]
    pictures = [stream for stream in known if stream.type == "video" and not _is_cover(stream)]
    return pictures, [stream for stream in known if stream.type == "audio"]


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & stream.disposition.__class__.attached_pic)


def _check_size(width: int, height: int) -> None:
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise Rejected(f"pictures of {width} x {height} are too large: {LONGEST_SIDE} is the most")
    if min(width, height) <= 0:
        raise Rejected("the file is damaged: its pictures have no size")


def _lasting(container: Any, longest: float) -> float:
    """When its last packet ends, of sound or pictures."""
    start = (container.start_time or 0) / 1_000_000
    ends = 0.0
    with contextlib.suppress(EOFError):
        for packet in container.demux():
            at = packet.pts if packet.pts is not None else packet.dts
            if at is None or packet.stream.type not in ("video", "audio"):
                continue
            base = Fraction(packet.stream.time_base or 0)
            ends = max(ends, float((at + (packet.duration or 0)) * base) - start)
            if ends > longest * 1.01 + 1:
                raise Rejected(f"it lasts longer than {longest:g} s, which is the most")
    return ends


def _language(sounds: list[Any]) -> str | None:
    """What the file says; `und` is nothing said."""
    said = str(sounds[0].metadata.get("language", "")) if sounds else ""
    return said if said.isalpha() and len(said) <= 3 and said != "und" else None


def thumbnails(file: BinaryIO, kind: Kind, duration: float) -> list[Thumbnail]:
    """A few pictures, drawn anew: no byte of the file is in them."""
    found = []
    with opened(file, kind) as container:
        pictures, _ = _streams(container)
        for share in PICTURES if pictures else ():
            at = duration * share
            frame = _frame(container, pictures[0], at)
            if frame is not None:
                found.append(_drawn(frame, int(at)))
    return found


def _frame(container: Any, stream: Any, second: float) -> Any:
    """The picture of about this second: decoding begins at the whole picture before it, and ends
    early where that one is far away."""
    start = (container.start_time or 0) / 1_000_000
    container.seek(int((start + second) * 1_000_000), backward=True)
    found = None
    for frame in islice(_decoded(container, stream), MOST_FRAMES):
        _check_size(frame.width, frame.height)
        found = frame
        if frame.time is None or frame.time - start >= second - NEAR:
            break
    return found


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames, over packets that are damaged, up to a bound."""
    import av

    bad = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except (av.error.InvalidDataError, av.error.ArgumentError):
            bad += 1
            if bad > MOST_BAD:
                raise Rejected(f"more than {MOST_BAD} pieces of the file are damaged") from None


def _drawn(frame: Any, second: int) -> Thumbnail:
    import av

    width = min(WIDTH, frame.width) // 2 * 2 or 2
    height = min(max(2, frame.height * width // frame.width // 2 * 2), 2 * WIDTH)
    small = frame.reformat(width=width, height=height, format="yuvj420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    small.pts, small.time_base = 0, Fraction(1, 25)
    packets = [*encoder.encode(small), *encoder.encode(None)]
    image = b"".join(bytes(packet) for packet in packets)
    return Thumbnail(second=second, width=width, height=height, image=image)


def samples(file: BinaryIO, kind: Kind) -> Iterator[Any]:
    """The sound as arrays of float32, one channel, `RATE` a second; nothing where there is none."""
    try:
        import av
        import numpy as np
    except ImportError:
        raise MissingExtra("listening to demos", "media") from None
    with opened(file, kind) as container:
        _, sounds = _streams(container)
        if not sounds:
            return
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in chain(_without_gaps(_decoded(container, sounds[0])), (None,)):
            for made in resampler.resample(frame):
                yield np.ascontiguousarray(made.to_ndarray().reshape(-1), dtype=np.float32)


def _without_gaps(frames: Iterator[Any]) -> Iterator[Any]:
    """The resampler wants times that rise; silence is measured by what is there."""
    for frame in frames:
        frame.pts = None
        yield frame


def subtitles(file: BinaryIO, kind: Kind) -> list[Segment]:
    """The cues of the first stream of text."""
    found: list[Segment] = []
    with opened(file, kind) as container:
        stream = _texts(container)
        if stream is None:
            return []
        start = (container.start_time or 0) / 1_000_000
        for packet in container.demux(stream):
            if packet.pts is None or not packet.duration:
                continue
            text = _cue(bytes(packet), stream.codec_context.name)
            begins = float(packet.pts * packet.time_base) - start
            if text and len(found) < MOST_CUES:
                ends = begins + float(packet.duration * packet.time_base)
                found.append(Segment(text=text, start=round(begins, 3), end=round(ends, 3)))
    return found


def _texts(container: Any) -> Any:
    for stream in container.streams:
        context = stream.codec_context
        if stream.type == "subtitle" and context is not None and context.name in TEXT_CODECS:
            return stream
    return None


def _cue(raw: bytes, codec: str) -> str:
    """A cue's text. Those of mp4 begin with their length, and styles may follow."""
    if codec == "mov_text":
        raw = raw[2 : 2 + int.from_bytes(raw[:2])]
    from lakeward.confidence.demos.captions import LONGEST_CUE, TAG

    text = raw.decode("utf-8", "replace")[:LONGEST_CUE]
    return " ".join(TAG.sub("", text).split())
