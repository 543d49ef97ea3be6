"""The browser SDK as one file, as `web/sdk` builds it.

In: a request's headers. Out: the answer that a page of any origin may load: the script, or a 304
for a browser that has it. Nothing is asked of anybody and nothing told, so no key and no cookie
matters. Fails with `OSError` when the file is not in the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from lakeward.server.answer import Headers

FILE: Final = Path(__file__).parent / "static_sdk" / "lakeward.js"
KIND: Final = b"text/javascript; charset=utf-8"
SDK_HEADERS: Final = (
    # An hour, then one question whether it is still that: the address has no version in it.
    (b"cache-control", b"public, max-age=3600, stale-while-revalidate=86400"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
ANY_ORIGIN: Final = (b"access-control-allow-origin", b"*")


@cache
def sdk_file() -> bytes:
    """The script."""
    return FILE.read_bytes()


@cache
def sdk_etag() -> bytes:
    """What tells this script from another version's, quoted as the header has it."""
    return b'"%s"' % sha256(sdk_file()).hexdigest()[:24].encode()


def sdk_answer(headers: Mapping[bytes, bytes]) -> tuple[int, bytes, Headers]:
    """Status, body and headers for a GET with these headers, which have lower-case names."""
    etag = sdk_etag()
    named = headers.get(b"if-none-match", b"").split(b",")
    known = {tag.strip().removeprefix(b"W/") for tag in named}
    said = (*SDK_HEADERS, ANY_ORIGIN, (b"etag", etag))
    return (304, b"", said) if etag in known or b"*" in known else (200, sdk_file(), said)
