"""A scanner that looks for bytes where a person may stand: whatever is packed is unpacked first.

gzip is inflated, Parquet is read column by column with its dictionaries, tar files are opened; each
layer is searched, and the bytes as they are on the disk too.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Named = tuple[str, bytes]


def layers(name: str, content: bytes) -> Iterator[Named]:
    """The content as it is, and everything that is packed in it."""
    yield name, content
    if content[:2] == b"\x1f\x8b":
        yield from layers(f"{name} (inflated)", gzip.decompress(content))
    elif content[:4] == b"PAR1":
        yield from columns(name, content)
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield from layers(f"{name}/{member.name}", file.read())


def columns(name: str, content: bytes) -> Iterator[Named]:
    """The values of each column of each row group, unpacked."""
    file = pq.ParquetFile(io.BytesIO(content))
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        for column, values in zip(table.column_names, table.columns, strict=True):
            text = "\n".join(map(str, values.to_pylist()))
            yield f"{name} (group {group}, {column})", text.encode()
        for chunk in map(file.metadata.row_group(group).column, range(file.metadata.num_columns)):
            if chunk.has_dictionary_page and "." not in chunk.path_in_schema:
                yield from dictionary(name, content, group, chunk.path_in_schema)


def dictionary(name: str, content: bytes, group: int, column: str) -> Iterator[Named]:
    """A column's dictionary, whole: a value may stand there that no row has any more."""
    file = pq.ParquetFile(io.BytesIO(content), read_dictionary=[column])
    try:
        table = file.read_row_group(group, columns=[column])
    except OSError:  # a column that went on without one is not read in this way
        return
    for chunk in table[column].chunks:
        if isinstance(chunk, pa.DictionaryArray):
            text = "\n".join(map(str, chunk.dictionary.to_pylist()))
            yield f"{name} (group {group}, {column}, dictionary)", text.encode()


def found(needle: bytes, contents: Iterable[Named]) -> list[str]:
    """Where it stands."""
    return [
        layer
        for name, content in contents
        for layer, unpacked in layers(name, content)
        if needle in unpacked or needle in layer.encode()
    ]


def files(*roots: Path) -> Iterator[Named]:
    """Every file below some folders, or files; one that goes meanwhile is gone."""
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            try:
                if path.is_file():
                    yield str(path), path.read_bytes()
            except FileNotFoundError:
                continue
