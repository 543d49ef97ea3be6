"""What a partner may see of the evidence about it: never so little that it says who said it.

In: responses about a partner. Out: which of them are released, in groups that are given once. Pure.

k-anonymity with k = 3: of each kind of witness, answers wait in the order in which they came, until
three different people are among them; these are a group, and get its number for good. So two looks
at different times never differ by fewer than three people, be they new ones or known ones who
answered again, and no subtraction shows what one of them said. People who share a telephone, an
address or a device are not different ones. A group that loses one of its three, because the person
was forgotten, is shown no more. Demos are the partner's own and rated by the team: they are shown
at once.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from lakeward.confidence.evidence import MAIL_PROVIDERS, SOURCES
from lakeward.confidence.score import Source
from lakeward.store.invitations import Form
from lakeward.store.responses import Response
from lakeward.store.witnesses import Witness

K: Final = 3
PEOPLE: Final[tuple[Source, ...]] = ("employees", "customers")
QUOTED: Final[Mapping[Form, tuple[str, ...]]] = {
    "employee": ("strengths", "improvements"),
    "reference": ("results", "comments"),
    "quarterly": ("comments",),
}
MOST_QUOTES: Final = 12
SHORTEST: Final = 12
"""Of a quote, in characters: less says nothing."""
ADDRESS: Final = re.compile(r"\S+@\S+|https?://\S+|www\.\S+|@\w+|\+?\d[\d\s().-]{6,}\d")
LETTER: Final = r"[^\W\d_]"


class Quote(msgspec.Struct, frozen=True):
    """Words of a witness, without whom."""

    source: Source
    field: str
    text: str


def groups(responses: Iterable[Response], contacts: Mapping[str, str]) -> dict[str, int]:
    """Numbers for responses that have none yet and whose group is whole now; `contacts` are the
    keyed digests of the witnesses' addresses."""
    rows = sorted(responses, key=lambda one: one.response_id)  # as they came, whatever their date
    number = max((one.released or 0 for one in rows), default=0)
    given: dict[str, int] = {}
    for source in PEOPLE:
        group: list[Response] = []
        people = 0
        marks: set[str] = set()
        for one in rows:
            if one.released is not None or SOURCES[one.form] != source:
                continue
            own = _marks(one, contacts)
            people += not own & marks
            marks |= own
            group.append(one)
            if people == K:
                number += 1
                given |= dict.fromkeys((each.response_id for each in group), number)
                group, people, marks = [], 0, set()
    return given


def _marks(one: Response, contacts: Mapping[str, str]) -> set[str]:
    """By what two answers are known to be of one person."""
    told = {f"witness {one.witness_id}", f"contact {contacts.get(one.witness_id, one.witness_id)}"}
    return told | ({f"device {one.device}"} if one.device else set())


def shown(responses: Iterable[Response]) -> frozenset[str]:
    """The ids of those that the partner may see: of groups in which three people are still."""
    members: dict[int, list[Response]] = {}
    for one in responses:
        if one.released is not None:
            members.setdefault(one.released, []).append(one)
    return frozenset(
        one.response_id
        for group in members.values()
        if len({one.witness_id for one in group}) >= K
        for one in group
    )


def waiting(responses: Iterable[Response]) -> dict[str, int]:
    """How many answers by source are in no group yet: for the team, as it tells when one came."""
    counts = dict.fromkeys(map(str, PEOPLE), 0)
    for one in responses:
        counts[SOURCES[one.form]] += one.released is None
    return counts


def quotable(one: Response, names: re.Pattern[str] | None) -> dict[str, str]:
    """The words of an answer that may be quoted, by field, without names and addresses."""
    found = {field: without(one.answers.texts.get(field, ""), names) for field in QUOTED[one.form]}
    return {field: text for field, text in found.items() if len(text) >= SHORTEST}


def quotes(responses: Iterable[Response], ids: Collection[str]) -> list[Quote]:
    """Quotable words of the released answers with these ids, in an order that says nothing of who
    and when."""
    found = [
        Quote(SOURCES[one.form], field, text)
        for one in responses
        if one.response_id in ids
        for field, text in (one.quotable or {}).items()
    ]
    distinct = list(dict.fromkeys(found))
    distinct.sort(key=lambda one: hashlib.sha256(one.text.encode()).digest())
    return distinct[:MOST_QUOTES]


def names_of(people: Sequence[Witness]) -> re.Pattern[str] | None:
    """Names of everybody who may have been asked, whole and in parts, as `folded` has them."""
    parts = {
        part
        for one in people
        for whole in (one.name, one.company or "", *_of_mail(one.email))
        for part in (whole, *re.split(r"[\W_]+", whole))
        if len(part) > 1
    }
    if not parts:
        return None
    longest = sorted({folded(part) for part in parts}, key=lambda part: (-len(part), part))
    listed = "|".join(map(re.escape, longest))
    return re.compile(rf"(?<!{LETTER})(?:{listed})(?!{LETTER})|{_joined(longest)}", re.IGNORECASE)


def _joined(parts: Iterable[str]) -> str:
    """Names in writing that has no blanks between words: there they stand within others."""
    wide = [re.escape(part) for part in parts if any(ord(sign) > 0x2E7F for sign in part)]
    return "|".join(wide) or r"(?!)"


def _of_mail(address: str | None) -> tuple[str, ...]:
    """What an e-mail address says of a person: who, and of which company."""
    local, _, domain = (address or "").lower().partition("@")
    if domain in MAIL_PROVIDERS:
        return (local,)
    return local, domain, domain.partition(".")[0]


def folded(text: str) -> str:
    """The text letter for letter as names are looked for: without accents, in straight quotes."""
    plain = text.replace("\u2019", "'").replace("\u02bc", "'")
    return "".join(unicodedata.normalize("NFKD", sign)[:1] or sign for sign in plain)


def without(text: str, names: re.Pattern[str] | None) -> str:
    """The text without these names, and without addresses."""
    plain = ADDRESS.sub("\u2026", unicodedata.normalize("NFC", text))
    if names is None:
        return plain.strip()
    looked, kept, at = folded(plain), [], 0  # of the same length: places are places
    for found in names.finditer(looked):
        kept += [plain[at : found.start()], "\u2026"]
        at = found.end()
    return "".join([*kept, plain[at:]]).strip()


def nameless(report: Mapping[str, Any], names: re.Pattern[str] | None) -> dict[str, Any]:
    """A comparison without who said what."""
    kept = {name: value for name, value in report.items() if name != "witness_alignment"}
    kept["discrepancies"] = [
        {
            name: without(value, names) if name in ("quote", "reason") else value
            for name, value in one.items()
            if name != "witness_id"
        }
        for one in report["discrepancies"]
    ]
    kept["recommendations"] = [without(one, names) for one in report["recommendations"]]
    return kept
