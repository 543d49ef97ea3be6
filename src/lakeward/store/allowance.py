"""What a key is good for: which types it may write, and from which pages it may be used.

In: the words of whoever makes a key, or of a request. Out: checked words, or a verdict. Fails with
`Terminal` naming the word that is no type pattern or origin; verdicts never fail.

A pattern is a type's name, or its beginning and `*`, or `@custom`: every type that is none of the
known ones. An origin is `https://app.example.com`,
`http://localhost:5173`, or `https://*.example.com` for all sub-domains at any depth (not for
`example.com` itself); without a scheme, `*.example.com`, it is https.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lakeward.catalog import TYPES
from lakeward.errors import Terminal
from lakeward.privacy import Scrubber

CUSTOM = "@custom"

BROWSER_TYPES: tuple[str, ...] = (
    "page_view",
    "screen_view",
    "click",
    "form_interaction",
    "web_vital",
    "client_error",
    "cta_click",
    "content_interaction",
    "flow_step",
    "experiment_exposure",
    "identify",
    "group",
    "ai_rating",
    CUSTOM,
)
"""What a write key may write when nothing else is said: what a stranger's browser may claim."""
SERVER_TYPES: tuple[str, ...] = tuple(name for name in TYPES if name not in BROWSER_TYPES)
MOST_WORDS = 64
_PATTERN = re.compile(r"\*|@custom|[a-z][a-z0-9_.:-]{0,62}\*|[a-z][a-z0-9_.:-]{0,63}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(https?)://((?:\*\.)?{_LABEL}(?:\.{_LABEL}){{0,20}}|\[[0-9a-f:.]{{2,45}}\])(?::([0-9]{{1,5}}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def permits(patterns: Sequence[str], interaction_type: str) -> bool:
    """Whether one of `patterns` is the type's name or its beginning, or it is a custom one."""
    if interaction_type in patterns and interaction_type != CUSTOM:
        return True
    if CUSTOM in patterns and interaction_type not in TYPES:
        return True
    return any(
        pattern[-1:] == "*" and interaction_type.startswith(pattern[:-1]) for pattern in patterns
    )


def is_public(types: Sequence[str], origins: Sequence[str]) -> bool:
    """Whether a write key is a page's, which every visitor has: it names pages, or permits none of
    the types that only servers may tell of."""
    return bool(origins) or not any(permits(types, name) for name in SERVER_TYPES)


def admits(allowed: Sequence[str], origin: str | None) -> bool:
    """Whether a request with this Origin header may use the key; any may when none is listed.

    A request without one comes from a program or from the page's own server and is admitted: only
    browsers tell the truth here, and they do send it. `null` (a sandboxed frame, a file) is not.
    """
    if not allowed or origin is None:
        return True
    asked = _normal(origin)
    if asked is None or "*" in asked:
        return False
    if asked in allowed:
        return True
    scheme, _, host = asked.partition("://")
    return any(
        wild.startswith(f"{scheme}://*.") and host.endswith(wild[len(scheme) + 4 :])
        for wild in allowed
    )


def checked_types(words: Sequence[str]) -> tuple[str, ...]:
    """`words` without repeats; Terminal for the first that is no pattern."""
    for word in words:
        if not _PATTERN.fullmatch(word):
            raise Terminal(
                f"{shown(word)} is no type: write a name such as page_view, a beginning such as "
                "'shop.*', '@custom' for all that are not Lakeward's own, or '*' for every type"
            )
    return _few(words, "types")


def checked_origins(words: Sequence[str]) -> tuple[str, ...]:
    """`words` in the form that browsers send; Terminal for the first that is no origin."""
    found = []
    for word in words:
        origin = _normal(f"https://{word}" if word.startswith("*.") else word)
        if origin is None:
            raise Terminal(
                f"{shown(word)} is no origin: write https://app.example.com, without a path, or "
                "*.example.com for its sub-domains"
            )
        found.append(origin)
    return _few(found, "origins")


def shown(word: str) -> str:
    """A word in a message: whatever was typed there, no secret is repeated."""
    return repr(Scrubber().text(word[:100]))


def _normal(origin: str) -> str | None:
    found = _ORIGIN.fullmatch(origin.lower().removesuffix("/")) if len(origin) < 300 else None
    if found is None or int(found[3] or 0) > 65_535:
        return None
    scheme, host, port = found.groups()
    if port is None or port.lstrip("0") == _DEFAULT_PORTS[scheme]:
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def _few(words: Sequence[str], what: str) -> tuple[str, ...]:
    few = tuple(dict.fromkeys(words))
    if len(few) > MOST_WORDS:
        raise Terminal(f"a key takes at most {MOST_WORDS} {what}, and these are {len(few)}")
    return few
