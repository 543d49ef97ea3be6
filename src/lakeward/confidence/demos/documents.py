"""The text of documents, a page or slide at a time.

In: an open file whose kind is known. Out: segments with their pages, and how many pages there are.
Fails with `Rejected` for what its own parser does not take or what has more than a demo can have,
and with `MissingExtra`. Pictures in it are not looked at; notes of slides are read, as speakers say
what stands there.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from lakeward.confidence.demos.archive import check_archive
from lakeward.confidence.demos.kinds import Kind
from lakeward.errors import LakewardError, MissingExtra, Rejected
from lakeward.store.demo import Segment

if TYPE_CHECKING:
    from pypdf import PdfReader

MOST_PAGES: Final = 2_000
MOST_TEXT: Final = 2_000_000
"""Characters of all pages."""
TEXT_BYTES: Final = 8 << 20
MOST_DEPTH: Final = 20
"""Groups within groups of shapes."""
PAGE_LINES: Final = 60
"""Of a text without pages these many lines count as one."""


def pages_of(file: BinaryIO, kind: Kind) -> int:
    """How many pages or slides; opening it is what finds out whether it is whole."""
    file.seek(0)
    with _parsed(kind):
        if kind.family == "pdf":
            return _counted(len(_pdf(file).pages))
        if kind.family == "slides":
            return _counted(len(_slides(file).slides))
        return _counted(sum(1 for _ in _pages(file, kind)))


def text_of(file: BinaryIO, kind: Kind) -> list[Segment]:
    """What stands in it; pages without a word are left out."""
    file.seek(0)
    with _parsed(kind):
        return _bounded(_pages(file, kind))


def _pages(file: BinaryIO, kind: Kind) -> Iterator[str]:
    if kind.family == "pdf":
        yield from (page.extract_text() for page in _pdf(file).pages)
    elif kind.family == "slides":
        yield from map(_slide, _slides(file).slides)
    elif kind.family == "document":
        yield from _paged(_paragraphs(_document(file)))
    else:
        yield from _written(file)


def _bounded(pages: Iterator[str]) -> list[Segment]:
    segments, size = [], 0
    for number, page in enumerate(pages, 1):
        text = " ".join(page.replace("\0", "").split())
        size += len(text)
        if number > MOST_PAGES or size > MOST_TEXT:
            raise Rejected(f"the document has more than {MOST_PAGES} pages or {MOST_TEXT} letters")
        if text:
            segments.append(Segment(text=text, page=number))
    return segments


@contextmanager
def _parsed(kind: Kind) -> Iterator[None]:
    """These parsers raise whatever a damaged file leads them into."""
    try:
        yield
    except (LakewardError, MemoryError, RecursionError):
        raise
    except Exception:
        if _is_at_the_limit():
            raise MemoryError from None
        what = {"pdf": "PDF", "slides": "slides", "document": "document"}.get(kind.family, "text")
        verb = "are" if kind.family == "slides" else "is"
        raise Rejected(f"the {what} {verb} damaged, cut short, or would inflate beyond measure"
                       ) from None  # fmt: skip


def _is_at_the_limit() -> bool:
    """Whether most of the memory is taken: libxml2 calls the want of it a syntax error."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return limit != resource.RLIM_INFINITY and taken > limit * 0.8


def _counted(pages: int) -> int:
    if pages > MOST_PAGES:
        raise Rejected(f"the document has more than {MOST_PAGES} pages")
    if pages == 0:
        raise Rejected("the document has no pages")
    return pages


def _pdf(file: BinaryIO) -> PdfReader:
    try:
        from pypdf import PdfReader
    except ImportError:
        raise MissingExtra("reading PDF", "confidence") from None
    reader = PdfReader(file, strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Rejected("the PDF is locked with a password")
    return reader


def _slides(file: BinaryIO) -> Any:
    try:
        import pptx
    except ImportError:
        raise MissingExtra("reading slides", "confidence") from None
    check_archive(file)
    return pptx.Presentation(file)


def _slide(slide: Any) -> str:
    words = [text for shape in slide.shapes for text in _shape(shape)]
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        words.append(slide.notes_slide.notes_text_frame.text)
    return "\n".join(words)


def _shape(shape: Any, depth: int = 0) -> Iterator[str]:
    if depth > MOST_DEPTH:
        raise Rejected(f"a slide has more than {MOST_DEPTH} groups within groups")
    if getattr(shape, "shapes", None) is not None:
        for inner in shape.shapes:
            yield from _shape(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        for row in shape.table.rows:
            yield " ".join(cell.text for cell in row.cells)
    elif shape.has_text_frame:
        yield shape.text_frame.text


def _document(file: BinaryIO) -> Any:
    try:
        import docx
    except ImportError:
        raise MissingExtra("reading documents", "confidence") from None
    check_archive(file)
    return docx.Document(file)


def _paragraphs(document: Any) -> Iterator[str]:
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            for row in block.rows:
                yield " ".join(cell.text for cell in row.cells)
        else:
            yield block.text


def _written(file: BinaryIO) -> Iterator[str]:
    file.seek(0)
    raw = file.read(TEXT_BYTES + 1)
    if len(raw) > TEXT_BYTES:
        raise Rejected(f"the text is larger than {TEXT_BYTES >> 20} MiB")
    try:
        wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = raw.decode("utf-16") if wide else raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Rejected("the text is neither UTF-8 nor UTF-16") from None
    if "\0" in text:
        raise Rejected("the text holds zero bytes: it is something else")
    yield from _paged(iter(text.splitlines()))


def _paged(lines: Iterator[str]) -> Iterator[str]:
    page: list[str] = []
    for line in lines:
        page.append(line)
        if len(page) == PAGE_LINES:
            yield "\n".join(page)
            page = []
    if page:
        yield "\n".join(page)
