"""Bounds of the archives that pptx and docx are: looked at before any part is inflated.

In: an open file that begins as an archive. Out: nothing. Fails with `Rejected` for one that would
become too much, that stands inside of something else, or whose XML declares entities. Archives
within it, such as a chart's table, are never opened.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import BinaryIO, Final

from lakeward.errors import Rejected

MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 512 << 20
MOST_XML: Final = 64 << 20
"""All XML of a document; what is larger is not written by people."""
MOST_RATIO: Final = 200
SMALL: Final = 1 << 20
"""Below this, how well a part is packed says nothing."""
DECLARES: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
END: Final = b"PK\x05\x06"


def check_archive(file: BinaryIO) -> None:
    """Refuse what would hurt whoever opens it."""
    _check_ends(file)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive.infolist())
            for entry in archive.infolist():
                if entry.filename.lower().endswith((".xml", ".rels", ".vml")):
                    _check_xml(archive, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise Rejected("the document is damaged, cut short or encrypted") from None
    except (ValueError, OSError):
        raise Rejected("the document's archive is not well made") from None


def _check_ends(file: BinaryIO) -> None:
    """The archive is all there is: nothing stands before it or after it."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 22))
    end = file.read(22)
    if end[:4] != END or int.from_bytes(end[20:22], "little"):
        raise Rejected("the document is cut short, or something else hangs on its end")
    if int.from_bytes(end[12:16], "little") + int.from_bytes(end[16:20], "little") > size - 22:
        raise Rejected("the document is damaged: its list of parts is not where it says")
    if int.from_bytes(end[12:16], "little") + int.from_bytes(end[16:20], "little") < size - 22:
        raise Rejected(
            "something else stands within the document, between its parts and their list"
        )


def _check_sizes(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise Rejected(f"the document has more than {MOST_ENTRIES} parts")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES:
        raise Rejected(f"the document would have more than {MOST_BYTES >> 20} MiB when unpacked")
    for entry in entries:
        if entry.file_size > SMALL and entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
            raise Rejected(f"a part of the document would grow more than {MOST_RATIO} times")
    if len({entry.header_offset for entry in entries}) != len(entries):
        raise Rejected("parts of the document share their bytes")
    xml = (entry.file_size for entry in entries if not entry.filename.startswith("ppt/media/")
           and entry.filename.lower().endswith((".xml", ".rels", ".vml")))  # fmt: skip
    if sum(xml) > MOST_XML:
        raise Rejected(f"the document has more than {MOST_XML >> 20} MiB of XML")


def _check_xml(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Office writes no declarations of types; whoever does wants an entity."""
    content = archive.read(entry)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        content = content.decode("utf-16", "replace").encode()
    if DECLARES.search(content.replace(b"\0", b"")):
        raise Rejected("the document's XML declares entities, which no office program writes")
