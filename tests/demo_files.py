"""Files as partners upload them, made on the spot: media, documents, captions, and hostile ones."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import docx
import numpy as np
import pptx
from pptx.util import Inches

RATE = 44_100
PIECE = 1024


def tone(seconds: float, loud: float = 0.5, rate: int = RATE) -> Any:
    """A sound of 440 Hz; of loudness 0 it is silence."""
    return (loud * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


def _encode_sound(out: Any, stream: Any, samples: Any, rate: int) -> None:
    for k in range(len(samples) // PIECE):
        part = samples[k * PIECE : (k + 1) * PIECE]
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate, frame.pts = rate, k * PIECE
        for packet in stream.encode(frame):
            out.mux(packet)
    for packet in stream.encode():
        out.mux(packet)


def sound(path: Path, samples: Any, container: str = "wav", codec: str = "pcm_s16le") -> Path:
    """A file of sound alone."""
    with av.open(str(path), "w", format=container) as out:
        _encode_sound(out, out.add_stream(codec, rate=RATE), samples, RATE)
    return path


def video(
    path: Path, seconds: int = 2, container: str = "mp4", codec: str = "mpeg4", sounds: str = "aac",
    size: tuple[int, int] = (160, 120), samples: Any = None, cues: Sequence[str] = (),
    options: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """A film whose picture grows lighter, with sound, and with cues of a second each."""
    rate = 48_000 if sounds == "libopus" else RATE
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        pictures: Any = out.add_stream(codec, rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = *size, "yuv420p"
        heard = out.add_stream(sounds, rate=rate) if sounds else None
        text_codec = "mov_text" if container == "mp4" else "subrip"
        texts = out.add_mux_stream(text_codec) if cues else None
        if texts is not None:
            texts.time_base = Fraction(1, 1000)
        for n in range(seconds * 10):
            grey = np.full((size[1], size[0], 3), 20 + n * 200 // (seconds * 10), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            for packet in pictures.encode(frame):
                out.mux(packet)
        for packet in pictures.encode():
            out.mux(packet)
        if heard is not None:
            _encode_sound(out, heard, tone(seconds, rate=rate) if samples is None else samples,
                          rate)  # fmt: skip
        for n, cue in enumerate(cues):
            written = cue.encode()
            head = len(written).to_bytes(2) if text_codec == "mov_text" else b""
            packet = av.Packet(head + written)
            assert texts is not None  # as there are cues
            packet.stream, packet.time_base = texts, Fraction(1, 1000)
            packet.pts = packet.dts = n * 1000
            packet.duration = 1000
            out.mux(packet)
    return path


def pdf(path: Path, pages: Sequence[str], stream: bytes | None = None) -> Path:
    """A PDF with a line of text on each page, or with this stream, deflated, on the first."""
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages))), len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        drawn = b"BT /F1 24 Tf 72 700 Td (%s) Tj ET" % text.encode("latin-1")
        if stream is not None and n == 0:
            drawn = stream
        packed = zlib.compress(drawn, 9)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * n)
        )
        objects.append(
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
        )
    out, starts = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, 2)
    for number, content in enumerate(objects, 1):
        starts.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % start for start in starts))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
              % (len(objects) + 1, table))  # fmt: skip
    path.write_bytes(out.getvalue())
    return path


def slides(path: Path, texts: Sequence[str], notes: str = "") -> Path:
    """A slide for each text; the notes are of the first."""
    made = pptx.Presentation()
    for n, text in enumerate(texts):
        slide = made.slides.add_slide(made.slide_layouts[6])
        box = slide.shapes.add_textbox(Inches(1), Inches(1), Inches(5), Inches(1))
        box.text_frame.text = text
        if notes and n == 0:
            slide.notes_slide.notes_text_frame.text = notes
    made.save(str(path))
    return path


def document(path: Path, paragraphs: Sequence[str], cells: Sequence[str] = ()) -> Path:
    """A document of Word, with a row of a table at its end."""
    made = docx.Document()
    for text in paragraphs:
        made.add_paragraph(text)
    if cells:
        table = made.add_table(rows=1, cols=len(cells))
        for cell, text in zip(table.rows[0].cells, cells, strict=True):
            cell.text = text
    made.save(str(path))
    return path


def repacked(path: Path, out: Path, **parts: bytes) -> Path:
    """An archive with other content in some of its parts, or with more of them; `__` is a slash in
    a part's name, and `_x` its full stop."""
    named = {name.replace("__", "/").replace("_x", "."): part for name, part in parts.items()}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename not in named:
                new.writestr(entry.filename, old.read(entry))
        for name, content in named.items():
            new.writestr(name, content)
    return out


def png(width: int, height: int) -> bytes:
    """A picture that says that it is so large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


VTT = """WEBVTT

1
00:00:00.000 --> 00:00:01.000
<v Ann>Our roofing crews answer</v> within one hour.

00:00:01.000 --> 00:00:02.000
Solar panels and roofing crews, <00:00:01.500>solar panels.
"""
SRT = """1
00:00:00,000 --> 00:00:01,500
We fix <i>leaking roofs</i>.

2
00:00:01,500 --> 00:00:02,000
Leaking roofs!
"""
