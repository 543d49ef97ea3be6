"""Objects of gzip JSON Lines in a bucket: made once, made again only with fewer lines.

In: a key and whole lines. Out: an object whose metadata carry `sha256` of the lines (not of their
compressed form, which another zlib may write differently) and their number. `Terminal` when another
object stands under the key, `Transient` when the bucket is away; see `verdict`.

    raw/year=2025/month=08/day=14/<lake id>-<range>.jsonl.gz    a slice of the log
    items/<interaction id>.json.gz                              one record, too large for an item

Objects are put in one request, which S3 takes up to 5 GB: only so can the put be conditional.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Literal

import msgspec

from lakeward.errors import LakewardError, MissingExtra, Terminal, Transient
from lakeward.sinks.aws import Api
from lakeward.sinks.verdict import of_obstore

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
except ImportError:
    raise MissingExtra("shipping to S3", "aws") from None

if TYPE_CHECKING:
    from obstore import Attributes, UpdateVersion
    from obstore.store import S3Store

CHUNK = 1 << 15  # inflates to at most 32 MB
GZIP = 16 + zlib.MAX_WBITS
Mode = Literal["create", "overwrite"]


class Packed(msgspec.Struct, frozen=True):
    """Lines as an object holds them."""

    content: bytes
    sha256: str
    lines: int


def pack(lines: Iterable[bytes]) -> Packed:
    """Compress lines one after another: the same lines give the same bytes, at any time."""
    squeeze, digest, parts, count = zlib.compressobj(6, zlib.DEFLATED, GZIP), sha256(), [], 0
    for line in lines:
        whole = line if line.endswith(b"\n") else line + b"\n"
        digest.update(whole)
        parts.append(squeeze.compress(whole))
        count += 1
    parts.append(squeeze.flush())
    return Packed(b"".join(parts), digest.hexdigest(), count)


def unpack(chunks: Iterable[bytes], key: str) -> Iterator[bytes]:
    """Lines of a gzip stream, also of several members; Terminal when it is none or is cut."""
    inflate, rest, fresh = zlib.decompressobj(GZIP), b"", True
    try:
        for chunk in chunks:
            while chunk:
                fresh = False
                *whole, rest = (rest + inflate.decompress(chunk)).split(b"\n")
                yield from (line + b"\n" for line in whole)
                if not inflate.eof:
                    break
                chunk, inflate, fresh = inflate.unused_data, zlib.decompressobj(GZIP), True
    except zlib.error:
        raise Terminal(f"{key} is not gzip: move it out of the bucket's raw/ and items/") from None
    if not fresh:
        raise Terminal(f"{key} is cut: move it out of the bucket's raw/ and items/")
    if rest:
        yield rest


class Stored(msgspec.Struct, frozen=True):
    """What the head of an object says: the hash of its lines, and whether an erase wrote it."""

    sha256: str
    e_tag: str
    erased: bool


class Bucket:
    """The bucket: obstore puts and reads objects, the API knows their versions."""

    def __init__(self, store: S3Store, api: Api) -> None:
        self.api = api
        self.name = api.place.name.removeprefix("bucket ")
        self._store = store

    def put(
        self, key: str, packed: Packed, mode: Mode | UpdateVersion = "create", erased: bool = False
    ) -> tuple[bool, str]:
        """Put an object; whether it was, and its version ("null" without versions)."""
        attributes: Attributes = {
            "Content-Type": "application/gzip",
            "sha256": packed.sha256,
            "lines": str(packed.lines),
        }
        if erased:
            attributes["erased"] = "yes"
        try:
            made = obstore.put(
                self._store, key, packed.content, attributes=attributes, mode=mode,
                use_multipart=False,
            )  # fmt: skip
        except (AlreadyExistsError, PreconditionError):
            return False, ""
        except (BaseError, OSError) as error:
            raise self._judged(error) from None
        return True, made["version"] or "null"

    def put_once(self, key: str, lines: tuple[bytes, ...]) -> None:
        """Make the object unless it is there; then only erases may lie between it and ours.

        Lines are erased in the log between two attempts, never added: an object with ours and
        others is an attempt from before that, and is replaced. One that an erase wrote may lack
        some of ours, when another host of the bucket ran it: what it took out is not put back.
        """
        packed = pack(lines)
        if self.put(key, packed)[0]:
            return
        found = self.stored(key)
        if found is None:
            raise Transient(f"{key} was there and is not: it is made at the next attempt")
        if found.sha256 == packed.sha256:
            return
        shared = self._shared(key, lines)
        if len(shared) < len(lines) and not found.erased:
            raise Terminal(
                f"{self.api.place.name} has another object under {key}: two lakes have one id, or "
                "an older copy runs; restore with `lakeward restore`, or move the object away"
            )
        packed = pack(shared)
        if packed.sha256 == found.sha256:
            return
        if not self.put(key, packed, {"e_tag": found.e_tag}, found.erased)[0]:
            raise Transient(f"{key} changed meanwhile: it is compared again at the next attempt")

    def put_latest(self, key: str, lines: tuple[bytes, ...]) -> None:
        """Make the object or put it in the place of another; the same makes no new version."""
        packed = pack(lines)
        if self.put(key, packed)[0]:
            return
        found = self.stored(key)
        if found is None or found.sha256 != packed.sha256:
            self.put(key, packed, "overwrite")

    def stored(self, key: str) -> Stored | None:
        """What the head of an object says; None when it is absent."""
        try:
            head = obstore.get(self._store, key, options={"head": True})
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._judged(error) from None
            return None
        except (BaseError, OSError) as error:
            raise self._judged(error) from None
        said = head.attributes
        return Stored(str(said.get("sha256", "")), str(head.meta["e_tag"] or ""), "erased" in said)

    def listed(self, prefix: str, after: str = "") -> Iterator[tuple[str, int, float]]:
        """Keys behind `after`, their bytes, and when they were made in seconds since 1970, in the
        order of the keys."""
        more = {"StartAfter": after} if after else {}
        for page in self.api.pages("list_objects_v2", Bucket=self.name, Prefix=prefix, **more):
            for row in page.get("Contents", ()):
                yield row["Key"], row["Size"], row["LastModified"].timestamp()

    def read(self, key: str, version: str = "") -> Iterator[bytes]:
        """Lines of an object, or of one of its versions."""
        which = {"VersionId": version} if version else {}
        body = self.api.ask("get_object", Bucket=self.name, Key=key, **which)["Body"]

        def chunks() -> Iterator[bytes]:
            with self.api.judging():
                yield from body.iter_chunks(CHUNK)

        try:
            yield from unpack(chunks(), key)
        finally:
            body.close()

    def _shared(self, key: str, lines: tuple[bytes, ...]) -> list[bytes]:
        """Those of `lines` that the object has; hashes are compared, so that memory is bounded."""
        there = Counter(mark(line) for line in self.read(key))
        shared = []
        for line in lines:
            digest = mark(line)
            if there[digest]:
                there[digest] -= 1
                shared.append(line)
        return shared

    def _judged(self, error: Exception) -> LakewardError:
        return of_obstore(error, self.api.place)


def mark(line: bytes) -> bytes:
    """By which lines are compared: 16 bytes, the same with and without a newline."""
    return blake2b(line.rstrip(b"\n"), digest_size=16).digest()
