"""tus 1.0.0: the words of the protocol for uploads that go on after an interruption.

In: the headers of a request. Out: what they say, and headers of an answer. Says no with 400 for a
header that will not do, 412 for another version, 415 for a body of another kind.

Of the extensions: creation, termination, expiration, checksum. See https://tus.io/protocols.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from email.utils import formatdate
from typing import Final

import msgspec

from lakeward.server.answer import Refusal

VERSION: Final = b"1.0.0"
EXTENSIONS: Final = b"creation,termination,expiration,checksum"
ALGORITHMS: Final = ("sha1", "sha256", "md5")
"""The first one is what every server must know; none of them guards against anybody here."""
KIND: Final = b"application/offset+octet-stream"
NAME_LENGTH: Final = 200
MOST_METADATA: Final = 4096
NUMBER: Final = re.compile(rb"\d{1,15}")
SHA256: Final = re.compile(r"[0-9a-f]{64}")
MISMATCH: Final = 460
RESUMABLE: Final = (b"tus-resumable", VERSION)
Headers = list[tuple[bytes, bytes]]


class Checksum:
    """What a piece must hash to; fed as it comes."""

    def __init__(self, algorithm: str, wanted: bytes) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._wanted = wanted

    def update(self, content: bytes) -> None:
        """More of it."""
        self._hash.update(content)

    def fits(self) -> bool:
        """Whether all of it was what was sent."""
        return hmac.compare_digest(self._hash.digest(), self._wanted)


class Announced(msgspec.Struct, frozen=True):
    """What a creation says of the file."""

    size_bytes: int
    file_name: str
    title: str
    sha256: str | None


def check_version(headers: dict[bytes, bytes]) -> None:
    """412 for who speaks another version, or none."""
    if headers.get(b"tus-resumable") != VERSION:
        raise Refusal(412, "wrong_version", "Send `Tus-Resumable: 1.0.0`.")


def number(headers: dict[bytes, bytes], name: bytes) -> int:
    """A count of bytes."""
    raw = headers.get(name, b"").strip()
    if not NUMBER.fullmatch(raw):
        said = name.decode().title()
        raise Refusal(400, "bad_header", f"`{said}` must be a number of bytes.")
    return int(raw)


def check_kind(headers: dict[bytes, bytes]) -> None:
    """415 for a body that is no piece of a file."""
    if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != KIND:
        raise Refusal(415, "wrong_type", f"Send {KIND.decode()}.")


def checksum(headers: dict[bytes, bytes]) -> Checksum | None:
    """What the body must hash to; None where nobody says."""
    raw = headers.get(b"upload-checksum")
    if raw is None:
        return None
    algorithm, _, text = raw.strip().partition(b" ")
    name = algorithm.decode("latin-1").lower()
    if name not in ALGORITHMS:
        raise Refusal(400, "bad_checksum", f"Checksums are of {', '.join(ALGORITHMS)}.")
    try:
        return Checksum(name, base64.b64decode(text, validate=True))
    except binascii.Error:
        raise Refusal(400, "bad_checksum", "A checksum is an algorithm and Base64.") from None


def announced(headers: dict[bytes, bytes]) -> Announced:
    """What is going to be sent."""
    if b"upload-defer-length" in headers:
        raise Refusal(400, "no_length", "Say how long the file is: `Upload-Length`.")
    size = number(headers, b"upload-length")
    said = _metadata(headers.get(b"upload-metadata", b""))
    name = plain_name(said.get("filename", said.get("name", "")))
    return Announced(size, name, plain_name(said.get("title", "")) or name,
                     checked_sha256(said.get("sha256")))  # fmt: skip


def checked_sha256(text: str | None) -> str | None:
    """A hash in hex; None where nobody says."""
    if not text:
        return None
    if not SHA256.fullmatch(text.lower()):
        raise Refusal(400, "bad_sha256", "`sha256` must have 64 hexadecimal digits.")
    return text.lower()


def plain_name(text: str) -> str:
    """A name as it may be shown: no folder before it, and nothing that cannot be seen, such as a
    letter that turns the direction of writing. It never becomes the name of a file here."""
    last = re.split(r"[/\\]", text)[-1]
    seen = "".join(c for c in last if unicodedata.category(c)[0] not in "CZ" or c == " ")
    return " ".join(seen.split())[:NAME_LENGTH].strip()


def _metadata(raw: bytes) -> dict[str, str]:
    """`key base64,key base64`; a key may stand alone."""
    if len(raw) > MOST_METADATA:
        raise Refusal(400, "bad_metadata", f"`Upload-Metadata` has at most {MOST_METADATA} bytes.")
    found = {}
    for pair in raw.split(b","):
        key, _, text = pair.strip().partition(b" ")
        try:
            content = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            raise Refusal(400, "bad_metadata", "`Upload-Metadata` is keys and Base64.") from None
        found[key.decode("latin-1").lower()] = content.decode("utf-8", "replace")
    return found


def metadata(**values: str) -> bytes:
    """The same the other way."""
    pairs = [f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in values.items()]
    return ",".join(pairs).encode()


def expires(at_ms: int) -> tuple[bytes, bytes]:
    """When an upload is over that nobody goes on with."""
    return b"upload-expires", formatdate(at_ms / 1000, usegmt=True).encode()


def offset(size: int) -> tuple[bytes, bytes]:
    """How many bytes are safe."""
    return b"upload-offset", b"%d" % size


def offered(most_bytes: int) -> Headers:
    """What OPTIONS says."""
    return [
        RESUMABLE,
        (b"tus-version", VERSION),
        (b"tus-extension", EXTENSIONS),
        (b"tus-max-size", b"%d" % most_bytes),
        (b"tus-checksum-algorithm", ",".join(ALGORITHMS).encode()),
    ]
