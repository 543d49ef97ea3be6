"""Columns of Arrow out of Python's values.

In: texts or truths. Out: an array. `pa.array` gives the same, and to learn whether it was given a
series it first loads pandas where that is installed: a third of a second and 40 MB in every process
that answers a question.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def texts(values: Sequence[str | None]) -> pa.StringArray:
    """A column of texts, of at most 2 GiB; None is null."""
    import pyarrow as pa

    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [
        pa.py_buffer(_bits(value is not None for value in values)) if None in values else None,
        pa.py_buffer(offsets),
        pa.py_buffer(b"".join(encoded)),
    ]
    return pa.StringArray.from_buffers(len(values), buffers[1], buffers[2], buffers[0])


def truths(values: Sequence[bool]) -> pa.BooleanArray:
    """A column of yes and no."""
    import pyarrow as pa

    return pa.BooleanArray.from_buffers(
        pa.bool_(), len(values), [None, pa.py_buffer(_bits(values))]
    )


def _bits(values: Iterable[bool]) -> bytes:
    """A bit each, the first one lowest."""
    digits = "".join("1" if value else "0" for value in values)[::-1]
    return int(digits or "0", 2).to_bytes(len(digits) // 8 + 1, "little")
