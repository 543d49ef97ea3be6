"""Snapshots of pages: small grey pictures of how light each place is, and what differs from them.

    picture (PNG of Chromium) ─ lightness, 4 by 4 px to one ─► tests/snapshots/*.png
                              ─ 16 by 16 px    , blurred ─► compared, cell by cell

Fonts and smoothing differ between machines, so nothing is compared pixel by pixel. A cell is the
mean of its place and its neighbours; text of another font makes it a little lighter or darker, a
card that is missing, unstyled or elsewhere moves whole areas. What tells figures of the day, in a
chart, a table or a list, is hidden before the picture is taken.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float64]

FOLDER: Final = Path(__file__).with_name("snapshots")
REWRITES: Final = os.environ.get("LAKEWARD_SNAPSHOTS") == "write"
"""Whether the pictures of today become those that are kept: `make snapshots`."""
KEPT: Final = 4
"""Pixels of the page, each way, in one of a snapshot."""
CELL: Final = 4
"""Pixels of a snapshot in one cell of the comparison."""
APART: Final = 4.0
"""By how much of 255 a cell may differ; a card is by seven lighter than the ground."""
MOST_APART: Final = 0.15
"""The share of cells that may differ by more. Measured: other fonts 0.05 to 0.09, figures of other
days 0.01 to 0.12; a card that is missing 0.20 to 0.41, an empty or unstyled page about a half."""
SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
FIGURES: Final = "canvas, svg, time, .ago, td, dd, .fill, .number, .p95, .tag, [data-figure]"
"""What tells figures, which are other ones on another day."""
HIDES: Final = """(figures) => {
    const hiding = new CSSStyleSheet();
    hiding.replaceSync(`main :is(${figures}) { visibility: hidden !important }`);
    document.adoptedStyleSheets = [hiding];
    document.activeElement?.blur();
}"""
"""A rule and no attribute, as a chart may be made anew meanwhile."""
SHOWS: Final = "document.adoptedStyleSheets = []"


def taken(page: Any) -> Grey:
    """How light the page is, as a snapshot has it."""
    page.evaluate(HIDES, FIGURES)
    picture = page.screenshot(animations="disabled", caret="hide")
    page.evaluate(SHOWS)
    return _shrunk(lightness(picture), KEPT)


def differs(name: str, seen: Grey) -> str:
    """How a page differs from its snapshot; empty when it does not, or when that is rewritten."""
    path = FOLDER / f"{name}.png"
    if REWRITES:
        FOLDER.mkdir(exist_ok=True)
        path.write_bytes(_encoded(seen))
        return ""
    if not path.exists():
        return f"there is no snapshot {name}: run `make snapshots` and look at it"
    kept = lightness(path.read_bytes())
    if kept.shape != seen.shape:
        return f"the page is not as large as the snapshot {name}"
    share = apart(kept, seen)
    if share <= MOST_APART:
        return ""
    return f"{share:.1%} of the page look otherwise than the snapshot {name}"


def apart(one: Grey, other: Grey) -> float:
    """The share of cells in which two pictures differ."""
    return float((np.abs(_cells(one) - _cells(other)) > APART).mean())


def _cells(picture: Grey) -> Grey:
    cells = np.pad(_shrunk(picture, CELL), 1, mode="edge")
    height, width = cells.shape[0] - 2, cells.shape[1] - 2
    near = [cells[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(sum(near) / 9.0)


def _shrunk(picture: Grey, by: int) -> Grey:
    height, width = picture.shape[0] // by * by, picture.shape[1] // by * by
    cut = picture[:height, :width].reshape(height // by, by, width // by, by)
    return np.asarray(cut.mean(axis=(1, 3)))


def lightness(content: bytes) -> Grey:
    """Lightness of a PNG of 8 bits: grey, RGB or RGBA, not interlaced."""
    at, packed, header = len(SIGNATURE), b"", b""
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + size]
        header = body if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    assert depth == 8
    planes = {0: 1, 2: 3, 6: 4}[colour]
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, width * planes + 1)
    plain = _unfiltered(lines, planes).reshape(height, width, planes).astype(np.float64)
    if planes == 1:
        return np.asarray(plain[:, :, 0])
    return np.asarray(plain[:, :, :3] @ np.array([0.299, 0.587, 0.114]))


def _unfiltered(lines: NDArray[np.uint8], planes: int) -> NDArray[np.uint8]:
    """Each line as it was before PNG's filters."""
    before = np.zeros(lines.shape[1] - 1, np.uint8)
    made = np.empty((lines.shape[0], lines.shape[1] - 1), np.uint8)
    for n, line in enumerate(lines):
        kind, told = line[0], line[1:]
        if kind == 0:
            before = told
        elif kind == 1:
            steps = told.reshape(-1, planes)
            before = np.cumsum(steps, axis=0, dtype=np.uint64).astype(np.uint8).reshape(-1)
        elif kind == 2:
            before = told + before
        else:
            before = _by_neighbours(kind, told, before, planes)
        made[n] = before
    return made


def _by_neighbours(
    kind: int, told: NDArray[np.uint8], above: NDArray[np.uint8], planes: int
) -> NDArray[np.uint8]:
    """Filters 3 (average) and 4 (Paeth), which need the byte that was just made."""
    made, up, line = bytearray(len(told)), above.tolist(), told.tolist()
    for x, value in enumerate(line):
        left = made[x - planes] if x >= planes else 0
        if kind == 3:
            guess = (left + up[x]) // 2
        else:
            corner = up[x - planes] if x >= planes else 0
            ways = abs(up[x] - corner), abs(left - corner), abs(left + up[x] - 2 * corner)
            guess = (left, up[x], corner)[ways.index(min(ways))]
        made[x] = (value + guess) & 0xFF
    return np.frombuffer(bytes(made), np.uint8)


def _encoded(picture: Grey) -> bytes:
    """A PNG in sixteen greys' worth of detail, each line told by the one above."""
    grey = (np.round(picture / 8) * 8).clip(0, 255).astype(np.uint8)
    above = np.vstack([np.zeros_like(grey[:1]), grey[:-1]])
    lines = np.hstack([np.full((len(grey), 1), 2, np.uint8), grey - above])
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
