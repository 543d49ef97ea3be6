"""What a path leads to: who may use it, how, and the coroutine that answers.

A handler gets the request, where its path led, and the headers that a page of another origin has to
be told; it answers through `request.send` or raises `Refusal`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from lakeward.server.answer import Headers
from lakeward.server.guard import Kind
from lakeward.server.intake import Request
from lakeward.server.routes import Found

GET, POST = ("GET", "HEAD"), ("POST",)


class Handler(msgspec.Struct, frozen=True):
    """One way to answer."""

    methods: tuple[str, ...]
    kind: Kind | None
    """The key that is asked for before it begins; None: none, or it asks itself."""
    answer: Answer
    crosses: bool = False
    """Whether pages of other origins may use it and read what it says."""


Answer = Callable[[Request, Found[Handler], Headers], Awaitable[None]]
