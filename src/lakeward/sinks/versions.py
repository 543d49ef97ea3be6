"""Forgetting a person in a bucket: lines taken out of objects, and every older version deleted.

In: a bucket, prefixes and a person. Out: objects of the same key without the person's lines, and no
version or delete marker of those keys besides. `Transient` when the bucket is away, `Terminal` when
versions may not be listed or deleted; going on later is safe, as what is done is not found again.

Every object under the prefixes is read, of all lakes that share the bucket: the record's own fields
say whose it is, and S3 has no index of them. Objects are read side by side, each in a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice

import msgspec

from lakeward.errors import Terminal, Transient
from lakeward.person import Person
from lakeward.sinks.objects import Bucket, pack

SIDE_BY_SIDE = 8
ENDINGS = (".jsonl.gz", ".json.gz")
FORBIDDEN = frozenset({"AccessDenied", "MethodNotAllowed"})


class Version(msgspec.Struct, frozen=True):
    """One version of an object, or a delete marker."""

    key: str
    id: str
    latest: bool
    marker: bool
    e_tag: str = ""


class Named(msgspec.Struct):
    """The fields of a record that can name a person."""

    user_id: object = None
    session_id: object = None
    anonymous_id: object = None


_named = msgspec.json.Decoder(Named).decode


def names(line: bytes, person: Person) -> bool:
    """Whether a line's record names the person; of what is no record, whether it holds the text."""
    try:
        return bool(getattr(_named(line), person.kind) == person.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode(person.value) in line


def find(bucket: Bucket, prefixes: tuple[str, ...], person: Person) -> int:
    """Lines that name the person, in all versions of all objects."""

    def count(versions: list[Version]) -> int:
        return sum(_hits(bucket, person, versions).values())

    return _over(bucket, prefixes, count)


def forget(bucket: Bucket, prefixes: tuple[str, ...], person: Person) -> int:
    """Take the person out; returns how many records each key had of them, added up."""

    def clean(versions: list[Version]) -> int:
        hits = _hits(bucket, person, versions)
        if not hits:
            return 0
        kept = _kept(bucket, person, next((v for v in versions if v.latest), None), hits)
        key = versions[0].key
        _delete(bucket, [v for v in _versions(bucket, key) if v.key == key and v.id != kept])
        return max(hits.values())

    return _over(bucket, prefixes, clean)


def _over(bucket: Bucket, prefixes: tuple[str, ...], act: Callable[[list[Version]], int]) -> int:
    total = 0
    with ThreadPoolExecutor(SIDE_BY_SIDE, "lakeward-s3") as pool:
        for prefix in prefixes:
            keys = _keys(bucket, prefix)
            while block := list(islice(keys, SIDE_BY_SIDE * 8)):
                total += sum(pool.map(act, block))
    return total


def _keys(bucket: Bucket, prefix: str) -> Iterator[list[Version]]:
    """All versions of each key, key by key."""
    for key, versions in groupby(_versions(bucket, prefix), lambda version: version.key):
        if key.endswith(ENDINGS):
            yield list(versions)


def _versions(bucket: Bucket, prefix: str) -> Iterator[Version]:
    for page in bucket.api.pages("list_object_versions", Bucket=bucket.name, Prefix=prefix):
        rows = [
            Version(row["Key"], row["VersionId"], row["IsLatest"], kind != "Versions",
                    row.get("ETag", ""))
            for kind in ("Versions", "DeleteMarkers") for row in page.get(kind, ())
        ]  # fmt: skip
        yield from sorted(rows, key=lambda row: row.key)


def _hits(bucket: Bucket, person: Person, versions: list[Version]) -> dict[str, int]:
    """How many lines of each version name the person, for those that have any."""
    counted = {
        version.id: sum(names(line, person) for line in bucket.read(version.key, version.id))
        for version in versions
        if not version.marker
    }
    return {version: hits for version, hits in counted.items() if hits}


def _kept(bucket: Bucket, person: Person, latest: Version | None, hits: dict[str, int]) -> str:
    """The one version that stays: the current one, written again when the person is in it.

    A key whose current version is a delete marker keeps nothing: it was deleted already.
    """
    if latest is None or latest.marker:
        return ""
    if latest.id not in hits:
        return latest.id
    lines = bucket.read(latest.key, latest.id)
    packed = pack(line for line in lines if not names(line, person))
    if not packed.lines:
        return ""
    done, version = bucket.put(latest.key, packed, {"e_tag": latest.e_tag}, erased=True)
    if not done:
        raise Transient(f"{latest.key} changed during the erase: erase again")
    return version


def _delete(bucket: Bucket, versions: list[Version]) -> None:
    for start in range(0, len(versions), 1000):
        doomed = [{"Key": v.key, "VersionId": v.id} for v in versions[start : start + 1000]]
        answer = bucket.api.ask(
            "delete_objects", Bucket=bucket.name, Delete={"Objects": doomed, "Quiet": False}
        )
        failed = answer.get("Errors", [])
        passing = [row for row in failed if row.get("Code") not in FORBIDDEN]
        silent = len(doomed) - len(failed) - len(answer.get("Deleted", []))
        if passing or silent > 0:
            raise Transient(
                f"{len(passing) + max(silent, 0)} versions could not be deleted now: erase again"
            )
        if failed:
            raise Terminal(
                f"{len(failed)} versions may not be deleted: allow s3:DeleteObjectVersion, or wait "
                "until the bucket's Object Lock lets go of them"
            )
