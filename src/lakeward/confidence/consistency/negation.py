"""Which words of a sentence are denied.

In: the sentence's tokens. Out: one flag a token, and the words that deny. Two denials of one word
cancel each other ("never fails to answer"); idioms that only look like a denial do not count
("not only", "no doubt", "cannot recommend enough"). Pure; any tokens will do.

    The team  does not  answer the phone , but  the office is clean
                        ^^^^^^ ^^^ ^^^^^ denied
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from lakeward.confidence.consistency.lexicon import listed
from lakeward.confidence.consistency.wording import Token

NOT: Final = listed(
    "not never hardly barely scarcely rarely seldom nor neither infrequently nowhere"
)
"""Deny what is said from here on."""
NONE: Final = listed("no none nobody nothing noone zero no-one few")
"""Deny that there is any."""
LACKING: Final = listed("without lack lacking minus absence absent devoid sans")
"""Deny what they are followed by, up to the next verb."""
REFUSING: Final = listed(
    "fail refuse decline cease forget neglect refrain reluctant hesitant unable impossible "
    "incapable unwilling untrue false deny denies incorrect wrong"
)
"""Deny what one fails to do: only with `to`, `of`, `that` or `-ing` behind them."""
IDIOMS: Final = tuple(
    tuple(idiom.split())
    for idiom in [
        "not only",
        "not just",
        "not merely",
        "no doubt",
        "no wonder",
        "no problem",
        "no problems",
        "no worries",
        "no matter",
        "nothing but",
        "none other than",
        "not to mention",
        "could not be happier",
        "could not be more",
        "could not have been better",
        "could not have been happier",
        "can not fault",
        "can not recommend enough",
        "can not praise enough",
        "can not thank enough",
        "can not complain",
        "no less than",
        "not least",
        "why not",
        "nothing less than",
        "no question",
        "can not wait",
        "could not ask for more",
        "not bad",
        "could not be better",
        "never better",
        "no more than",
        "not more than",
        "no later than",
        "not later than",
    ]
)
STOPPING: Final = listed("stop quit avoid")
"""Deny what one no longer does: "stopped answering"."""
DOUBTED: Final = listed("that whether if the they we he she their our")
EVERYTHING: Final = listed("everything all anything everyone anyone everybody anybody every each")
PAIRS: Final = frozenset({("used", "to"), ("yet", "to"), ("rather", "than"), ("instead", "of")})
"""Two words that deny what follows; "is used to" affirms it."""
PAIRS_OF_TRAITS: Final = frozenset({("far", "from"), ("less", "than")})
"""Two words that deny a trait; "less than two hours" is a number."""
ENOUGH: Final = ("can", "not", "enough")
BREAKS: Final = listed(
    "but although though because since however while whereas yet except unless , ; : . ( ) ! ?"
)
FINITE: Final = listed("be have do will would can could shall should may might must")
STRONG: Final = listed(", ; : . ! ? but although though while whereas however because")


class Denial(msgspec.Struct, frozen=True):
    """The denied words of one sentence."""

    denied: tuple[bool, ...]
    cues: tuple[int, ...]
    loose: int
    """Words that deny by their form and reach nothing."""


def denial(words: Sequence[Token]) -> Denial:
    """Which words are denied, by parity of the denials that reach them."""
    ignored = _idiomatic(words)
    counts = [0] * len(words)
    cues = []
    loose = 0
    for at, word in enumerate(words):
        if at in ignored or (word.text == "few" and _denied_few(words, at)):
            continue
        if not (reach := _reach(words, at)):
            loose += is_cue(word)
            continue
        cues.append(at)
        for denied in reach:
            counts[denied] += 1
    return Denial(tuple(count % 2 == 1 for count in counts), tuple(cues), loose)


def clauses(words: Sequence[Token]) -> tuple[int, ...]:
    """The number of the clause that each word is in."""
    number = 0
    found = []
    for at, word in enumerate(words):
        if word.text in STRONG or (word.text in ("and", "or", "nor") and _new_clause(words, at)):
            number += 1
        found.append(number)
    return tuple(found)


def is_cue(word: Token) -> bool:
    """Whether the word only denies and says nothing else."""
    return (
        word.text in NOT
        or word.text in NONE
        or word.text in LACKING
        or word.lemmas[0] in ("lack", "fail", "refuse")
    )


def _idiomatic(words: Sequence[Token]) -> frozenset[int]:
    texts = tuple(word.text for word in words)
    found: set[int] = set()
    for at in range(len(texts)):
        for idiom in IDIOMS:
            if texts[at : at + len(idiom)] == idiom:
                found.update(range(at, at + len(idiom)))
        # "I cannot recommend them enough", however long it is.
        if texts[at : at + 2] == ENOUGH[:2] and "enough" in texts[at + 2 : at + 8]:
            found.add(at + 1)
        if texts[at] == "no" and texts[at + 1 : at + 2] == (",",):
            found.add(at)
    return frozenset(found)


def _reach(words: Sequence[Token], at: int) -> list[int]:
    """The words that the one at `at` denies; none when it denies nothing."""
    word = words[at]
    following = words[at + 1].text if at + 1 < len(words) else ""
    if word.text == "no" and following == "longer":
        return _until(words, at + 2, noun_only=False)
    if word.text in NOT or word.text in NONE:
        reach = _until(words, at + 1, noun_only=_of_a_noun(words, at))
        return reach or _before(words, at)
    if word.text in LACKING or word.lemmas[0] == "lack":
        return _until(words, at + 1, noun_only=True)
    if word.lemmas[0] in REFUSING and (
        following in ("to", "of", "that", "from") or following.endswith("ing") or "_" in following
    ):
        return _until(words, at + 1, noun_only=False)
    after = words[at + 1] if at + 1 < len(words) else None
    if word.lemmas[0] in STOPPING and after is not None and after.role == "content":
        return _until(words, at + 1, noun_only=False)
    if word.lemmas[0] == "doubt" and following in DOUBTED:
        return _until(words, at + 1, noun_only=False)
    before = words[at - 1].text if at else ""
    if word.text == "except" or (word.text == "but" and before in EVERYTHING):
        return _until(words, at + 1, noun_only=True)
    if (word.text, following) in PAIRS and before not in ("is", "are", "was", "were", "no"):
        return _until(words, at + 2, noun_only=False)
    if (word.text, following) in PAIRS_OF_TRAITS and not _number_after(words, at + 2):
        return _until(words, at + 2, noun_only=False)
    return []


def _denied_few(words: Sequence[Token], at: int) -> bool:
    """ "No few" denies once."""
    return any(word.text in NOT | NONE for word in words[max(at - 2, 0) : at])


def _number_after(words: Sequence[Token], at: int) -> bool:
    return at < len(words) and words[at].role == "number"


def _of_a_noun(words: Sequence[Token], at: int) -> bool:
    """`no` inside a sentence ("a man with no hat is sitting") denies the noun alone."""
    return words[at].text in NONE and at > 0 and words[at - 1].text in ("with", "have", "has")


def _until(words: Sequence[Token], start: int, *, noun_only: bool) -> list[int]:
    reach: list[int] = []
    for at in range(start, len(words)):
        word = words[at]
        if word.text in STRONG or (word.text in ("(", ")") and reach):
            if reach:
                break
            continue
        if word.text in ("and", "or", "nor") and _new_clause(words, at):
            break
        if noun_only and word.role == "function" and word.lemmas[0] in FINITE and reach:
            break
        reach.append(at)
    return [at for at in reach if words[at].role in ("content", "number", "place")]


def _new_clause(words: Sequence[Token], conjunction: int) -> bool:
    """Whether a clause with a verb of its own follows: "and the office is clean"."""
    for word in words[conjunction + 1 : conjunction + 9]:
        if word.text in STRONG or word.text in ("and", "or", "who", "which", "that"):
            return False
        if word.lemmas[0] in FINITE and word.role == "function":
            return True
    return False


def _before(words: Sequence[Token], at: int) -> list[int]:
    """A denial at the end denies what went before: "Reliable? Never.", "problems: none"."""
    reach: list[int] = []
    for place in range(at - 1, -1, -1):
        if words[place].text in STRONG and reach:
            break
        if words[place].role in ("content", "number"):
            reach.append(place)
    return reach
