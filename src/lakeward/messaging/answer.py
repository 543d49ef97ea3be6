"""What a provider's answer means for a message: whether it went, and whether it ever will.

In: an HTTP status and headers. Out: the error to raise. An error that the provider answers itself
says that it took nothing; 502 and 504 are a gateway's, behind which the provider may have.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakeward.errors import LakewardError, Rejected, Throttled, Transient, Unsure

REQUEST_SECONDS = 20.0
"""For connecting, and again for each pause of an answer."""


def error_for(
    name: str, status: int, code: object, headers: Mapping[str, str], settings: str
) -> LakewardError:
    """The error for a status that is no success; `code` is the provider's own, a number or word."""
    said = f"{name} answers {status}" + (f", code {code}" if isinstance(code, int) else "")
    if status in (502, 504):
        return Unsure(f"{said}: a gateway's, behind which the message may have been taken")
    if status in (401, 403):
        return Transient(f"{said}: check {settings}")
    seconds = _seconds(headers)
    if status == 429 or (status >= 500 and seconds):
        return Throttled(said, seconds)
    if status >= 500 or status < 400 or status == 408:
        return Transient(said)
    return Rejected(f"{said}: the message was refused")


def _seconds(headers: Mapping[str, str]) -> float:
    """`Retry-After` in seconds; a date or nonsense is none."""
    text = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0
