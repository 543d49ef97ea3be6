"""What a file is by its content, whatever it is called; and what it is besides.

In: an open file. Out: a `Kind` of those that are taken. Fails with `Rejected`, whose sentence is
for whoever sent it. The first bytes decide, puremagic names what is not taken, and the file's own
parser has the last word later: nothing is tried out on the content.

A file that is two things at once is refused: what one reader takes for a video, another one opens
as an archive or a page.
"""

from __future__ import annotations

import zipfile
from contextlib import suppress
from typing import BinaryIO, Final, Literal

import msgspec

from lakeward.errors import MissingExtra, Rejected

Family = Literal["media", "pdf", "slides", "document", "text", "captions"]
HEAD: Final = 4096
TAKEN: Final = (
    "taken are mp4, mov, webm, mkv, mp3, wav, m4a, ogg, pdf, pptx, docx, txt, md, vtt and srt"
)
PICTURES: Final = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
"""Brands of the container of mp4 that hold pictures."""
MARKUP: Final = (
    b"<!doctype",
    b"<html",
    b"<script",
    b"<svg",
    b"<?xml",
    b"<?php",
    b"<body",
    b"<iframe",
)
KNOWN: Final = (
    dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".webp", ".heic"), "a picture")
    | dict.fromkeys((".exe", ".dll", ".msi", ".class", ".wasm", ".elf"), "a program")
    | dict.fromkeys((".rar", ".7z", ".gz", ".bz2", ".xz", ".tar", ".zst"), "an archive")
    | {".rtf": "a document of another kind", ".ps": "PostScript", ".doc": "an old document"}
)
"""What is often sent, in words; other guesses of puremagic are too bold to be told."""
SPACES: Final = b"\xef\xbb\xbf \t\r\n"
SURE: Final = 0.8
"""puremagic's confidence from which it is believed against text."""


class Kind(msgspec.Struct, frozen=True):
    """A type of file that is taken; `demuxer` is ffmpeg's, of media alone."""

    family: Family
    media_type: str
    demuxer: str = ""


def kind_of(file: BinaryIO) -> Kind:
    """What it is; Rejected for what is not taken."""
    file.seek(0)
    head = file.read(HEAD)
    if not head:
        raise Rejected("the file is empty")
    kind = _media(head) or _document(file, head) or _written(head)
    if kind is None:
        raise Rejected(f"{_named(head)}: {TAKEN}")
    if kind.family == "media" or kind.media_type == "application/pdf":
        _refuse_twofold(file, head, kind)
    return kind


def _media(head: bytes) -> Kind | None:
    if head[4:8] == b"ftyp" and head[8:12] not in PICTURES:
        brand = head[8:12]
        if brand == b"qt  ":
            return Kind("media", "video/quicktime", "mov")
        audio = brand in (b"M4A ", b"M4B ")
        return Kind("media", "audio/mp4" if audio else "video/mp4", "mov")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        webm = b"webm" in head[:64]
        return Kind("media", "video/webm" if webm else "video/x-matroska", "matroska")
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return Kind("media", "audio/wav", "wav")
    if head.startswith(b"OggS"):
        return Kind("media", "audio/ogg", "ogg")
    # an ID3 tag, or a frame of layer III
    if head.startswith(b"ID3") or (head[0] == 0xFF and len(head) > 3 and head[1] & 0xE6 == 0xE2):
        return Kind("media", "audio/mpeg", "mp3")
    return None


def _document(file: BinaryIO, head: bytes) -> Kind | None:
    if head.startswith(b"%PDF-"):
        return Kind("pdf", "application/pdf")
    if not head.startswith(b"PK\x03\x04"):
        return None
    office = "application/vnd.openxmlformats-officedocument"
    names: set[str] = set()
    with suppress(zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        names = set(zipfile.ZipFile(file).namelist())
    if "ppt/presentation.xml" in names:
        return Kind("slides", f"{office}.presentationml.presentation")
    if "word/document.xml" in names:
        return Kind("document", f"{office}.wordprocessingml.document")
    what = "an archive" if names else "a damaged archive"
    raise Rejected(f"the file is {what}: {TAKEN}")


def _written(head: bytes) -> Kind | None:
    """Text: no zero byte, no markup that a browser would run, nothing that a shell would."""
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    text = head.lstrip(SPACES)
    if text[:16].lower().startswith(MARKUP):
        raise Rejected(f"the file is a page of markup: {TAKEN}")
    if text.startswith((b"#!", b"%!", b"{\\rtf")) or _is_sure(head):
        return None
    if not text and not head.strip(SPACES):
        raise Rejected("the file holds nothing but blanks")
    try:
        head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not a letter that the head cuts in two
            return None
    if text.startswith(b"WEBVTT"):
        return Kind("captions", "text/vtt")
    if b"-->" in text[:200] and text[:1].isdigit():
        return Kind("captions", "application/x-subrip")
    return Kind("text", "text/plain")


def _refuse_twofold(file: BinaryIO, head: bytes, kind: Kind) -> None:
    """Media and PDF that are an archive, a page or a PDF as well."""
    low = head.lower()
    # In pictures' bytes these words are as good as impossible; of a PDF they may be a title.
    if kind.family == "media" and any(word in low for word in (*MARKUP[:4], MARKUP[5])):
        raise Rejected("the file is media and a page of markup at once")
    if kind.family == "media" and b"%PDF-" in head[:1024]:
        raise Rejected("the file is media and a PDF at once")
    if kind.media_type == "application/pdf" and any(word in low[:1024] for word in MARKUP[1:3]):
        raise Rejected("the file is a PDF and a page of markup at once")
    with suppress(zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        if zipfile.ZipFile(file).namelist():
            raise Rejected(f"the file is {kind.media_type} and an archive at once")


def _is_sure(head: bytes) -> bool:
    found = _guessed(head)
    return bool(found) and found[0][1] >= SURE


def _named(head: bytes) -> str:
    for name, _ in _guessed(head):
        if name in KNOWN:
            return f"the file looks like {KNOWN[name]}"
    return "what the file is cannot be told"


def _guessed(head: bytes) -> list[tuple[str, float]]:
    """What puremagic makes of it: extensions that are plain words, and how sure it is."""
    try:
        import puremagic
    except ImportError:
        raise MissingExtra("looking into demos", "confidence") from None
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    known = [(str(one.extension), float(one.confidence)) for one in found]
    return [(name, sure) for name, sure in known if name[1:].isalnum() and len(name) < 8]
