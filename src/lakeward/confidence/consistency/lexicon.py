"""What words mean to each other: same, wider, opposite, praise, blame.

In: two base forms. Out: how the one follows from the other. Two tables stand behind it: one of
our own for business and everyday talk (`everyday.txt`, `phrases.txt`), which comes first, and one
derived from WordNet 3.1 (`lexicon.tsv`, made by `tests/write_lexicon.py`; its notice is
`lexicon.LICENSE`). They are files of the package: only a broken installation can fail here.

    lexicon.tsv   word <tab> n|v|a|r <tab> synonyms <tab> wider words <tab> opposites
    everyday.txt  [section], then a line for each group or pair
    phrases.txt   several words = the one word they are
    irregular.txt base form, then the forms that no ending explains
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Literal

import msgspec

Kin = Literal[
    "same", "synonym", "wider", "stem", "narrower", "sibling", "opposite", "converse", "none"
]
"""How a word of the hypothesis relates to one of the premise.

`wider`: it is true of it; `converse`: one is the denied opposite of the other, "not late"."""

Table = dict[str, frozenset[str]]
NOTHING: frozenset[str] = frozenset()


def listed(words: str) -> frozenset[str]:
    """A list of words, written as a sentence is."""
    return frozenset(words.split())


PREFIXES = ("un", "in", "im", "ir", "dis", "non", "non-")
PERSONS = frozenset({"man", "woman", "boy", "girl", "male", "female", "lady", "gentleman"})
"""WordNet calls man and woman opposites; two people in one scene are not a contradiction."""
SEVERAL = listed(
    "black white red green blue yellow brown grey gray pink orange purple stand sit lie"
)
"""Nor are two colours or two postures: who stands here is not who sits there."""


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """All tables, read once."""

    parts: Table
    synonyms: Table
    wider: Table
    opposites: Table
    said_same: Table
    said_wider: Table
    good: frozenset[str]
    bad: frozenset[str]
    always: frozenset[str]
    exception: frozenset[str]
    partial: frozenset[str]
    irregular: dict[str, str]
    phrases: dict[str, tuple[tuple[tuple[str, ...], str], ...]]


@functools.cache
def lexicon() -> Lexicon:
    """The tables of the package; the first call reads them in some 50 ms."""
    parts, synonyms, wider, opposites = _derived()
    said = _sections()
    groups: dict[str, set[str]] = {}
    for group in said["same"]:
        for word in group:
            groups.setdefault(word, set()).update(group)
    for pair in said["opposite"]:
        for one, other in (pair, pair[::-1]):
            # What is the opposite of a word is that of its synonyms too.
            opposites[one] = opposites.get(one, NOTHING) | {other} | groups.get(other, set())
    widened: dict[str, set[str]] = {}
    for name, *others in said["wider"]:
        for word in others:
            widened.setdefault(word, set()).add(name.rstrip(":"))
    for section in ("same", "wider", "opposite", "good", "bad"):
        for word in (word.rstrip(":") for line in said[section] for word in line):
            parts.setdefault(word, NOTHING)
    return Lexicon(
        parts=parts,
        synonyms=synonyms,
        wider=wider,
        opposites=opposites,
        said_same={word: frozenset(group) for word, group in groups.items()},
        said_wider={word: frozenset(names) for word, names in widened.items()},
        good=frozenset(word for line in said["good"] for word in line),
        bad=frozenset(word for line in said["bad"] for word in line),
        always=frozenset(word for line in said["always"] for word in line),
        exception=frozenset(word for line in said["exception"] for word in line),
        partial=frozenset(word for line in said["partial"] for word in line),
        irregular={
            form: base
            for line in _read("irregular.txt")
            if not line.startswith("#")
            for base, *forms in [line.split()]
            for form in forms
        },
        phrases=_phrases(),
    )


def _read(name: str) -> list[str]:
    file = resources.files(__package__).joinpath(name)
    return file.read_text(encoding="utf-8").splitlines()


def _derived() -> tuple[Table, Table, Table, Table]:
    tables: tuple[Table, Table, Table, Table] = ({}, {}, {}, {})
    for line in _read("lexicon.tsv"):
        word, part, *cells = line.split("\t")
        tables[0][word] = tables[0].get(word, NOTHING) | {part}
        for table, cell in zip(tables[1:], cells, strict=True):
            if cell:
                table[word] = table.get(word, NOTHING) | frozenset(cell.split(","))
    return tables


def _sections() -> dict[str, list[list[str]]]:
    sections: dict[str, list[list[str]]] = {}
    lines: list[list[str]] = []
    for line in _read("everyday.txt"):
        if line.startswith("["):
            lines = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line.split())
    return sections


def _phrases() -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for line in _read("phrases.txt"):
        if line and not line.startswith("#"):
            said, meant = line.split(" = ")
            words = tuple(said.split())
            by_first.setdefault(words[0], []).append((words, meant))
    # The longest first: "at no extra cost" before "at no cost".
    return {
        first: tuple(sorted(several, key=lambda phrase: -len(phrase[0])))
        for first, several in by_first.items()
    }


def _negated_form(one: str, other: str) -> bool:
    for prefix in PREFIXES:
        if one == prefix + other or other == prefix + one:
            return min(len(one), len(other)) > 3
    for good, bad in (("ful", "less"),):
        if one.removesuffix(good) == other.removesuffix(bad) and one.endswith(good):
            return other.endswith(bad)
        if other.removesuffix(good) == one.removesuffix(bad) and other.endswith(good):
            return one.endswith(bad)
    return False


def _stem(word: str) -> str:
    for suffix in ("boarder", "boarding"):
        word = word.replace(suffix, "board")
    for suffix in ("ation", "ment", "ness", "ings", "ing", "ers", "er", "or", "ly", "ed", "y", "e"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word.removesuffix(suffix)
    return word


def _derived_from(one: str, other: str) -> bool:
    """`deliver` and `delivery`, `install` and `installer`."""
    short, long = sorted((one, other), key=len)
    ending = long.removeprefix(short)
    if ending == long or len(short) < 4:
        return False
    return ending in DERIVING or (ending == "y" and len(short) > 5)


DERIVING = listed("er or ing ment ion ation ness ly al")


@functools.lru_cache(maxsize=65_536)
def kin(premise: tuple[str, ...], hypothesis: tuple[str, ...]) -> Kin:
    """How the hypothesis' word, by its possible base forms, relates to the premise's."""
    if set(premise) & set(hypothesis):
        return "same"
    found: Kin = "none"
    for one in premise:
        for other in hypothesis:
            here = _kin(one, other)
            if RANK[here] < RANK[found]:
                found = here
    return found


RANK: dict[Kin, int] = {
    "same": 0, "opposite": 1, "synonym": 2, "wider": 3, "stem": 4, "narrower": 5, "sibling": 6,
    "converse": 7, "none": 8,
}  # fmt: skip
"""Of several readings of two words the first of these is meant."""


def _kin(one: str, other: str) -> Kin:
    words = lexicon()
    if other in words.said_same.get(one, NOTHING):
        return "synonym"
    if _opposite(one, other, words):
        return "opposite"
    if other in words.said_wider.get(one, NOTHING):
        return "wider"
    if one in words.said_wider.get(other, NOTHING):
        return "narrower"
    if one in PERSONS and other in PERSONS:
        return "sibling"
    if other in words.synonyms.get(one, NOTHING) or one in words.synonyms.get(other, NOTHING):
        return "synonym"
    upward, downward = words.wider.get(one, NOTHING), words.wider.get(other, NOTHING)
    if other in upward:
        return "wider"
    if one in downward:
        return "narrower"
    if (len(one) > 4 and _stem(one) == _stem(other)) or _derived_from(one, other):
        return "stem"
    return "sibling" if upward & downward else "none"


def _opposite(one: str, other: str, words: Lexicon) -> bool:
    if {one, other} & PERSONS or {one, other} & SEVERAL:
        return False
    if other in words.opposites.get(one, NOTHING) or one in words.opposites.get(other, NOTHING):
        return True
    return _negated_form(one, other)
