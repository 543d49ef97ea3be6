"""What one sentence says, as far as the comparison needs it.

In: a text. Out: a `Reading`: its words, which of them are denied, who acts and who is acted upon,
its numbers, and how it judges. Pure; any text will do, an empty one has no words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from lakeward.confidence.consistency.lexicon import lexicon, listed
from lakeward.confidence.consistency.negation import clauses, denial, is_cue
from lakeward.confidence.consistency.quantities import Quantity, quantities
from lakeward.confidence.consistency.wording import LONGEST, Token, cleaned, tokens

Side = Literal["left", "verb", "right", "place"]
AUXILIARY: Final = listed("be have do will would can could shall should may might must")
BE: Final = listed("is are was were be been being am")


VERB_ALONE: Final = frozenset("v")


class Word(msgspec.Struct, frozen=True, gc=False):
    """A content word or a number, with its place in the sentence."""

    token: Token
    at: int
    denied: bool
    side: Side
    before: str
    """The word of place that leads to it, such as `under`."""
    head: int
    """The last of the content words that follow it without a gap: what it describes."""
    deed: bool
    """It has the form of a verb."""
    clause: int


class Reading(msgspec.Struct, frozen=True):
    """One sentence, read."""

    text: str
    words: tuple[Word, ...]
    tokens: tuple[Token, ...]
    quantities: tuple[Quantity, ...]
    denies: int
    """Words that deny."""
    loose: int
    """Words that look as if they denied and deny nothing: a reason for care."""
    judged: float
    """Praise above 0, blame below."""
    always: tuple[str, ...]
    exceptions: tuple[str, ...]
    partial: bool
    """Of most or some, not of all."""
    unreadable: str
    """Why it cannot be compared; empty when it can."""
    cut: bool
    pronoun: bool
    """Of them or us: whoever works there may be meant."""
    scene: bool
    """Describes what somebody is doing: its small numbers count people, and claim nothing."""


def read(text: str) -> Reading:
    """Read one sentence."""
    words = tokens(text)
    flags = denial(words)
    sides = _sides(words)
    known = lexicon()
    parts = clauses(words)
    counted = quantities(words)
    measured = {at for quantity in counted for at in range(*quantity.places)}
    content = tuple(
        _word(words, at, flags.denied[at], sides[at], parts[at])
        for at, word in enumerate(words)
        if (word.role in ("content", "number") or _adverbial(words, at))
        and at not in measured
        and not is_cue(word)
    )
    return Reading(
        text=text,
        words=content,
        tokens=words,
        quantities=counted,
        denies=len(flags.cues),
        # "The lights are not on": what is denied is no content word.
        loose=flags.loose + (len(flags.cues) % 2 and not any(word.denied for word in content)),
        judged=sum(_judgement(word, flags.denied[at]) for at, word in enumerate(words)),
        always=_of(words, known.always),
        exceptions=_of(words, known.exception),
        partial=bool(_of(words, known.partial)),
        unreadable=_unreadable(text, words),
        cut=len(text) > LONGEST,
        pronoun=any(word.text in ("they", "we", "you") for word in words),
        scene=_scene(words),
    )


def _word(words: Sequence[Token], at: int, denied: bool, side: Side, clause: int) -> Word:
    before = _place_before(words, at)
    head = at
    while head + 1 < len(words) and words[head + 1].role == "content":
        head += 1
    text = words[at].text
    deed = text.endswith(("ing", "ed")) or not (text in words[at].lemmas or text.endswith("s"))
    if before and side != "verb":
        side = "place"
    return Word(words[at], at, denied, side, before, head, deed, clause)


def _adverbial(words: Sequence[Token], at: int) -> bool:
    """`outside` at the end of a clause is where they are, not where something else is."""
    if words[at].text not in ("outside", "inside"):
        return False
    return at + 1 == len(words) or words[at + 1].role == "stop" or words[at + 1].text == "and"


def _of(words: Sequence[Token], table: frozenset[str]) -> tuple[str, ...]:
    return tuple(word.text for word in words if word.text in table)


def _judgement(word: Token, denied: bool) -> float:
    known = lexicon()
    for form in (word.text, *word.lemmas):
        if form in known.good:
            return -1.0 if denied else 1.0
        if form in known.bad:
            return 1.0 if denied else -1.0
    return 0.0


def _unreadable(text: str, words: Sequence[Token]) -> str:
    letters = [c for c in text[: 4 * LONGEST] if c.isalpha()]
    if not letters:
        return "no letters"
    latin = sum(1 for c in letters if _latin(c))
    if latin < 0.7 * len(letters):
        return "not English"
    if len(words) and max(len(word.text) for word in words) > 60:
        return "not language"
    content = [w for w in words if w.role in ("content", "function", "place")]
    known = lexicon().parts
    familiar = sum(
        1
        for w in content
        if w.role != "content" or any(form in known for form in w.lemmas) or "_" in w.text
    )
    accents = sum(1 for c in cleaned(text) if c.isalpha() and not c.isascii())
    foreign = sum(1 for w in content if w.text in FOREIGN)
    english = sum(1 for w in content if w.role != "content")
    if len(content) >= 3 and (familiar < 0.5 * len(content) or accents > 0.08 * len(letters)):
        return "not English"
    if foreign >= 2 and foreign > english:
        return "not English"
    return ""


FOREIGN: Final = listed(
    "der die das und ist nicht wir sie ein eine mit von zu den dem im auf fur le la les des "
    "est et une nous vous pas dans pour avec sur el los las es y una con por para nuestro "
    "nuestra il di che non sono gli della per een het niet van zijn voor met os da um uma nao "
    "nossa"
)
"""The commonest words of other languages that are written in the same letters."""


def _latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH"))


def _place_before(words: Sequence[Token], at: int) -> str:
    for word in reversed(words[max(at - 4, 0) : at]):
        if word.role == "place":
            return word.text
        if word.role in ("stop",) or word.lemmas[0] in AUXILIARY:
            break
    return ""


def _scene(words: Sequence[Token]) -> bool:
    return any(
        word.lemmas[0] == "be" and _verb_after(words, at, ("ing",)) for at, word in enumerate(words)
    )


def _verb_after(words: Sequence[Token], at: int, endings: tuple[str, ...]) -> int:
    """The place of a verb form right behind an auxiliary, past adverbs and denials; else 0."""
    for place in range(at + 1, min(at + 4, len(words))):
        word = words[place]
        if word.role == "content" and not word.text.endswith("ly") and word.text != "not":
            forms = word.lemmas
            known = lexicon().parts
            is_verb = any("v" in known.get(form, "v") for form in forms)
            return place if is_verb and word.text.endswith(endings) else 0
        if word.role in ("stop", "place"):
            return 0
    return 0


def _sides(words: Sequence[Token]) -> tuple[Side, ...]:
    """Who acts (left) and what is acted upon (right), turned round for the passive voice."""
    verb, passive = _main_verb(words)
    if not verb:
        return tuple("left" for _ in words)
    plain: list[Side] = [
        "left" if at < verb else "verb" if at == verb else "right" for at in range(len(words))
    ]
    if not passive:
        return tuple(plain)
    by = next((at for at in range(verb, len(words)) if words[at].text == "by"), len(words))
    turned: list[Side] = []
    for at in range(len(words)):
        agent = by < at and not any(w.role == "place" for w in words[by + 1 : at])
        turned.append("verb" if at == verb else "left" if agent else "right")
    return tuple(turned)


def _main_verb(words: Sequence[Token]) -> tuple[int, bool]:
    for at, word in enumerate(words):
        if word.lemmas[0] not in AUXILIARY or word.role != "function":
            continue
        being = [w.text for w in words[at : at + 3]]
        if "being" in being or "been" in being:
            start = at + being.index("being" if "being" in being else "been")
            if verb := _verb_after(words, start, ("",)):
                return verb, not words[verb].text.endswith("ing")
        if verb := _verb_after(words, at, ("ing",)):
            return verb, False
        if word.text in BE and (verb := _verb_after(words, at, ("ed", "en", "wn", "ne", "id"))):
            return verb, any(w.text == "by" for w in words[verb : verb + 3])
        if word.text in BE or not (verb := _verb_after(words, at, ("",))):
            continue
        # "has experience" has no verb behind it, "has answered" and "will answer" do.
        if word.lemmas[0] != "have" or words[verb].text not in words[verb].lemmas:
            return verb, False
    for at, word in enumerate(words):
        if at and word.role == "content" and lexicon().parts.get(word.lemmas[0]) == VERB_ALONE:
            return at, False
    return 0, False
