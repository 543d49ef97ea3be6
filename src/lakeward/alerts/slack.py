"""Slack: a notice as blocks, to an incoming webhook.

In: a notice. Out: one POST. What people named is escaped as Slack asks, so that a series cannot
mention anybody. Fails as `Hook` does; a webhook that was taken back answers 404 or 410.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lakeward.alerts.hook import Hook
from lakeward.alerts.notifier import Notice
from lakeward.alerts.wording import heading, paragraphs

MOST_BLOCKS: Final = 40
"""Slack takes 50."""
SECTION_LENGTH: Final = 2_900
"""Slack takes 3000 characters in a section."""


class Slack:
    """Posts notices to one incoming webhook."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def tell(self, notice: Notice) -> None:
        """One message."""
        self._hook.post(msgspec.json.encode(message(notice)), {})

    def close(self) -> None:
        """Hold nothing."""


def message(notice: Notice) -> dict[str, Any]:
    """`text` is what a notification shows; the blocks are what the channel does."""
    title = heading(notice)
    texts = paragraphs(notice)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}
    ]
    for text in texts[:MOST_BLOCKS]:
        shown = {"type": "mrkdwn", "text": _cut(escaped(text)), "verbatim": True}
        blocks.append({"type": "section", "text": shown})
    if len(texts) > MOST_BLOCKS:
        more = {"type": "mrkdwn", "text": f"and {len(texts) - MOST_BLOCKS} more"}
        blocks.append({"type": "context", "elements": [more]})
    return {"text": escaped(title), "blocks": blocks}


def escaped(text: str) -> str:
    """The three signs that mean something to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    if len(text) <= SECTION_LENGTH:
        return text
    head = text[:SECTION_LENGTH]
    return head[: head.rfind("&")] + "…" if "&" in head[-5:] else head + "…"
