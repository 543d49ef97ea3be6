"""Request bodies: off by default, recorded only where the application says so.

In: the parts of a body as they arrived, and the rule that wants them. Out: the decoded and
scrubbed value, or a marker that says why there is none. Only the scrubber may fail.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lakeward.interaction import JsonValue
from lakeward.privacy import Scrubber

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class BodyRule(msgspec.Struct, frozen=True):
    """Whose request bodies are recorded: a path pattern, content types and a largest size.

    `*` at the end of `path` matches any rest. Bodies of other types than JSON and forms are
    recorded as text.
    """

    path: str
    content_types: tuple[str, ...] = (JSON, FORM)
    most: int = 16_384


def content_type(headers: Mapping[bytes, bytes]) -> str:
    """The media type of a request, without its parameters."""
    raw = headers.get(b"content-type", b"")
    return raw.partition(b";")[0].strip().lower().decode("latin-1")


def recorded(
    parts: list[bytes], size: int, rule: BodyRule, kind: str, scrubber: Scrubber
) -> JsonValue:
    """What is recorded of a body of `size` bytes whose first ones are `parts`."""
    if size > rule.most:
        return f"[too large: more than {rule.most} bytes]"
    raw = b"".join(parts)
    try:
        if kind == JSON or kind.endswith("+json"):
            value: JsonValue = scrubber.value(msgspec.json.decode(raw))
        elif kind == FORM:
            value = scrubber.query(raw)
        else:
            value = scrubber.text(raw.decode())
    except (msgspec.DecodeError, ValueError, RecursionError):
        return f"[undecodable: {size} bytes]"
    return value
