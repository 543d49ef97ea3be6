"""Files within messages: what is kept of them is their kind, their hash and where they are.

In: a part of a message as OpenAI or Anthropic takes it, or a text. Out: an `Attachment` as a dict,
or the text without the bytes in it. Nothing fails: what is no base64 is hashed as it stands.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any, Final

from lakeward.ai.reach import ID_MOST, name, read, text
from lakeward.interaction import JsonObject

_DATA_URL: Final = re.compile(r"data:([\w.+-]{1,64}/[\w.+-]{1,64})?((?:;[\w=.+-]{1,64}){0,4}),")
_INLINE: Final = re.compile(
    r"data:([\w.+-]{1,64}/[\w.+-]{1,64})?(?:;[\w=.+-]{1,64}){0,4};base64,([A-Za-z0-9+/=_-]*)"
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_\r\n-]{256}")
_FILES: Final = frozenset(
    {
        "image_url", "input_image", "image", "input_audio", "audio", "file", "input_file",
        "document", "image_file", "video", "video_url", "container_upload",
    }
)  # fmt: skip


def holds_file(kind: str | None) -> bool:
    """Whether a part of this type is a file."""
    return kind in _FILES


def attachment(part: object, kind: str) -> JsonObject:
    """What is kept of the file in a part; empty when it says nothing."""
    source = read(part, "source")
    if source is not None:
        return _anthropic(source)
    inner: Any = read(part, kind)
    held = part if inner is None or type(inner) is str else inner
    address = inner if type(inner) is str else None
    address = address or text(held, "url") or text(held, "image_url") or text(held, "file_url")
    data = text(held, "data") or text(held, "file_data")
    media = name(held, "media_type") or name(held, "mime_type")
    if data is not None:
        sound = name(held, "format")
        media = media or (f"audio/{sound}"[:64] if sound and "audio" in kind else None)
        found = _bytes(data, media)
    else:
        found = _bytes(address, media) if address else {}
    where = name(held, "file_id", ID_MOST) or name(held, "id", ID_MOST)
    if where and "reference" not in found:
        found["reference"] = where
    return found


def _anthropic(source: object) -> JsonObject:
    kind, media = text(source, "type"), name(source, "media_type")
    data = text(source, "data")
    if data is not None:
        if kind == "text":
            return _hashed(data.encode("utf-8", "surrogatepass"), media or "text/plain")
        return _bytes(data, media)
    where = text(source, "url") or name(source, "file_id", ID_MOST)
    if where is None:
        return {"media_type": media} if media else {}
    return _bytes(where, media)


def _bytes(told: str, media: str | None) -> JsonObject:
    """A data URL, base64 or an address."""
    if told.startswith("data:"):
        begun = _DATA_URL.match(told)
        if begun is None:
            return _hashed(told.encode("utf-8", "surrogatepass"), media)
        body = told[begun.end() :]
        media = begun[1] or media
        if ";base64" in begun[2]:
            return _hashed(_decoded(body), media)
        return _hashed(body.encode("utf-8", "surrogatepass"), media)
    if "://" in told[:16] or told.startswith(("/", "file-", "file_")):
        return {"reference": told[:4096]} | ({"media_type": media} if media else {})
    return _hashed(_decoded(told), media)


def _decoded(body: str) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except (binascii.Error, ValueError):
        return body.encode("utf-8", "surrogatepass")


def _hashed(data: bytes, media: str | None) -> JsonObject:
    found: JsonObject = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    return {"media_type": media[:200]} | found if media else found


def without_files(said: str, files: list[JsonObject]) -> str:
    """`said` with the bytes of files that stand within it replaced by their hash, which `files`
    gets, too: pictures in Markdown, say."""

    def kept(found: re.Match[str]) -> str:
        file = _hashed(_decoded(found[2]), found[1])
        files.append(file)
        return f"data:{found[1] or ''};sha256,{file['sha256']}"

    try:
        return _INLINE.sub(kept, said)
    except Exception:
        return "[unreadable]"


def bulky(value: str) -> str:
    """A text in a part that nobody knows: kept, unless it looks like bytes."""
    if len(value) > 256 and _BASE64.match(value):
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"[{len(value)} characters, sha256 {digest}]"
    return value
