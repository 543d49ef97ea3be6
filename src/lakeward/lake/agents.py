"""What user agents are: device, browser, system, and whether a program drives them.

In: User-Agent texts as they came, hostile ones included. Out: an Arrow struct of each. Nothing
fails for what a text holds. `MissingExtra` without the extra `lake`.

ua-parser names browser and system, CrawlerDetect's list of patterns knows programs. Both run on
engines of linear time (Rust's regex, RE2), and only so much of a text is looked at, so that no text
can be made that takes long. Each text is looked at once; a batch has few different ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from lakeward.errors import MissingExtra
from lakeward.lake import column

if TYPE_CHECKING:
    import pyarrow as pa
    from ua_parser import Result

Device: TypeAlias = Literal["desktop", "mobile", "tablet", "tv", "bot", "other"]

LONGEST: Final = 512
"""Characters of a text that are looked at; real ones are shorter."""
REMEMBERED: Final = 50_000

TV: Final = re.compile(
    r"smart-?tv|\bTV\b|apple ?tv|googletv|hbbtv|netcast|bravia|roku|crkey|\bAFT[A-Z]|web0s",
    re.IGNORECASE,
)
TABLET: Final = re.compile(r"\biPad\b|tablet|kindle|\bsilk/|playbook", re.IGNORECASE)
MOBILE: Final = re.compile(r"\bMobi|iPhone|iPod|windows phone|blackberry|opera mini", re.IGNORECASE)
HAND_HELD: Final = frozenset({"iOS", "Windows Phone", "BlackBerry OS", "KaiOS", "Firefox OS"})
DESKTOP: Final = frozenset(
    {
        "Windows", "Mac OS X", "Mac OS", "Linux", "Chrome OS", "Ubuntu", "Debian", "Fedora",
        "FreeBSD", "OpenBSD", "NetBSD", "Solaris",
    }
)  # fmt: skip


class Agent(msgspec.Struct, frozen=True):
    """What one text says. None is: it does not say."""

    device: Device | None = None
    browser: str | None = None
    os: str | None = None
    bot: bool = False


NOTHING: Final = Agent()


class Engines:
    """What looks at texts. Its lists take a quarter of a second to load."""

    def __init__(self) -> None:
        import ua_parser
        from crawlerdetect.providers import crawlers, exclusions

        self._parse: Callable[[str], Result] = ua_parser.parse
        # RE2 knows no look-around; the few patterns that need it are for Python.
        self._crawlers = "|".join(p for p in crawlers.data if "(?" not in p)
        rare = "|".join(p for p in crawlers.data if "(?" in p)
        self._rare = re.compile(rare or r"\Z.", re.IGNORECASE)
        self._exclusions = f"(?i)(?:{'|'.join(exclusions.data)})"

    def look(self, texts: Sequence[str | None]) -> list[Agent]:
        """What each text says."""
        cut = [(text or "").strip()[:LONGEST] for text in texts]
        bots = self.bots(cut)
        return [_agent(text, self._parse, bot) for text, bot in zip(cut, bots, strict=True)]

    def bots(self, texts: Sequence[str]) -> list[bool]:
        """Which texts are those of crawlers and other programs."""
        import pyarrow.compute as pc

        kept = pc.replace_substring_regex(column.texts(texts), self._exclusions, "")
        matched = pc.match_substring_regex(kept, self._crawlers, ignore_case=True).to_pylist()
        return [
            hit or self._rare.search(text) is not None
            for hit, text in zip(matched, kept.to_pylist(), strict=True)
        ]


class Agents:
    """Looks texts up and remembers them; loads its engines when the first text comes."""

    def __init__(self, engines: Callable[[], Engines] = Engines) -> None:
        if find_spec("ua_parser") is None or find_spec("crawlerdetect") is None:
            raise MissingExtra("The table", "lake")
        self._engines = cache(engines)
        self._known: dict[str | None, Agent] = {None: NOTHING}

    def known(self, texts: Sequence[str | None]) -> list[Agent]:
        """What each of some different texts says."""
        new = [text for text in texts if text not in self._known]
        found = dict(zip(new, self._engines().look(new), strict=True)) if new else {}
        agents = [found[text] if text in found else self._known[text] for text in texts]
        if len(self._known) + len(new) > REMEMBERED:
            self._known = {None: NOTHING}
        self._known.update(found)
        return agents

    def struct(self, values: pa.ChunkedArray) -> pa.StructArray:
        """What each text of a column says, as a struct column of the same length."""
        import pyarrow as pa

        coded = values.combine_chunks().dictionary_encode("encode")
        agents = self.known(coded.dictionary.to_pylist())
        distinct = pa.StructArray.from_arrays(
            [
                column.texts([agent.device for agent in agents]),
                column.texts([agent.browser for agent in agents]),
                column.texts([agent.os for agent in agents]),
                column.truths([agent.bot for agent in agents]),
            ],
            names=list(Agent.__struct_fields__),
        )
        return distinct.take(coded.indices)


def _agent(text: str, parse: Callable[[str], Result], bot: bool) -> Agent:
    if text in {"", "-"}:
        return NOTHING
    result = parse(text)
    browser = result.user_agent.family if result.user_agent else None
    os = result.os.family if result.os else None
    brand = (result.device.brand or "") if result.device else ""
    bot = bot or brand == "Spider"
    return Agent("bot" if bot else _device(text, os, brand), browser, os, bot)


def _device(text: str, os: str | None, brand: str) -> Device:
    if TV.search(text):
        return "tv"
    # Android says Mobile on a telephone and nothing on a tablet.
    phone = MOBILE.search(text) is not None
    if TABLET.search(text) or (not phone and (os == "Android" or brand.endswith("Tablet"))):
        return "tablet"
    if phone or os in HAND_HELD:
        return "mobile"
    return "desktop" if os in DESKTOP else "other"
