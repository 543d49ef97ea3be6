"""What is denied in one text and affirmed in the other never supports, whatever the figures say."""

from __future__ import annotations

import pathlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistency_pairs import examples
from lakeward.confidence.consistency import Label, Model, compare, embedding, lexical
from lakeward.confidence.consistency.relation import relate

DATA = pathlib.Path(__file__).parent / "data/consistency"
WHO = ("the team", "the technician", "our support", "a waiter", "the old baker", "management")
DEEDS = (
    ("answer", "answers", "answering", "the phone"),
    ("keep", "keeps", "keeping", "every promise"),
    ("deliver", "delivers", "delivering", "the parts on time"),
    ("clean", "cleans", "cleaning", "the kitchen"),
    ("carry", "carries", "carrying", "a wooden ladder"),
    ("explain", "explains", "explaining", "the bill"),
)
DENIED_DEEDS = (
    "{who} does not {do} {what}",
    "{who} doesn't {do} {what}",
    "{who} doesn\u2019t {do} {what}",
    "{who} doesnt {do} {what}",
    "{who} never {does} {what}",
    "{who} no longer {does} {what}",
    "{who} fails to {do} {what}",
    "{who} hardly {does} {what}",
    "{who} hardly ever {does} {what}",
    "{who} rarely {does} {what}",
    "{who} cannot {do} {what}",
    "{who} can't {do} {what}",
    "{who} won\u2019t {do} {what}",
    "{who} refuses to {do} {what}",
    "{who} is unable to {do} {what}",
    "{who} has stopped {doing} {what}",
    "{who} is not {doing} {what}",
    "{who} isn't {doing} {what}",
    "{who} works without {doing} {what}",
    "nobody {does} {what}",
    "it is not true that {who} {does} {what}",
    "there is nobody {doing} {what}",
)
TRAITS = ("friendly", "reliable", "punctual", "cheap", "asleep", "open", "tidy")
DENIED_TRAITS = (
    "{who} is not {how}",
    "{who} isn't {how}",
    "{who} isn\u2019t {how}",
    "{who} is never {how}",
    "{who} is hardly {how}",
    "{who} is by no means {how}",
    "{who} is far from {how}",
    "{who} is anything but {how}",
    "{who} was not {how}",
    "{who} is no longer {how}",
)
THINGS = ("warranty", "spare key", "plan", "helmet", "licence")
DENIED_THINGS = (
    "{who} has no {what}",
    "{who} lacks a {what}",
    "{who} is without a {what}",
    "{who} does not have any {what}",
    "{who} hasn't got a {what}",
)


def look_alikes() -> list[tuple[str, str]]:
    """Each affirmed sentence with its denials."""
    deeds = [
        (f"{who} {does} {what}", form.format(who=who, do=do, does=does, doing=doing, what=what))
        for who in WHO
        for do, does, doing, what in DEEDS
        for form in DENIED_DEEDS
    ]
    traits = [
        (f"{who} is {how}", form.format(who=who, how=how))
        for who in WHO
        for how in TRAITS
        for form in DENIED_TRAITS
    ]
    things = [
        (f"{who} has a {what}", form.format(who=who, what=what))
        for who in WHO
        for what in THINGS
        for form in DENIED_THINGS
    ]
    return deeds + traits + things


def labels(pairs: list[tuple[str, str]], model: Model) -> list[Label]:
    """The label of each pair; the model sees all texts at once."""
    texts = sorted({text for pair in pairs for text in pair})
    views = dict(zip(texts, model.views(texts), strict=True))
    return [
        relate(views[one], views[other], model.coefficients, model.name).label
        for one, other in pairs
    ]


MODELS = pytest.mark.parametrize("model", [lexical(), embedding()], ids=lambda model: model.name)


def denials(text: str) -> list[str]:
    """A sentence of the repository's pairs, denied in several ways; nothing when it denies."""
    if DENYING.search(text):
        return []
    found = []
    if auxiliary := re.search(r"\b(is|are|was|were|can|will|have|has)\b", text):
        at = auxiliary.end()
        found += [
            f"{text[:at]} {cue}{text[at:]}" for cue in ("not", "never", "no longer", "hardly")
        ]
    if article := re.match(r"(A|An|The|Some) ", text):
        rest = text[article.end() :]
        found += [f"No {rest}", f"There is no {rest}", f"It is not true that the {rest}"]
    if pronoun := re.match(r"(We|They) (?!are|were|have|had|will|can)", text):
        rest = text[pronoun.end() :]
        found += [
            f"{pronoun[0]}{cue} {rest}" for cue in ("never", "do not", "don\u2019t", "rarely")
        ]
    return found


DENYING = re.compile(
    r"\b(no|not|nobody|nothing|never|none|cannot|without|hardly|failed|only)\b|n't",
    re.IGNORECASE,
)


@MODELS
def test_a_denial_of_any_sentence_of_the_pairs_never_supports(model: Model) -> None:
    texts = sorted({text for e in examples() for text in (e.premise, e.hypothesis)})
    # The embedding model reads a fourth of them: it takes its time.
    texts = texts if model.name == lexical().name else texts[::4]
    pairs = [
        pair
        for text in texts
        for denied in denials(text)
        for pair in ((text, denied), (denied, text))
    ]
    assert len(pairs) > 1_000
    found = labels(pairs, model)
    wrong = [pair for pair, label in zip(pairs, found, strict=True) if label == "supports"]
    assert wrong == []
    assert found.count("contradicts") > 0.9 * len(pairs)


@MODELS
def test_a_denied_look_alike_never_supports_in_either_direction(model: Model) -> None:
    pairs = [pair for both in look_alikes() for pair in (both, both[::-1])]
    found = labels(pairs, model)
    wrong = [pair for pair, label in zip(pairs, found, strict=True) if label == "supports"]
    assert wrong == []


@MODELS
def test_what_is_denied_in_other_words_never_supports(model: Model) -> None:
    lines = (DATA / "denials.tsv").read_text(encoding="utf-8").splitlines()[1:]
    pairs = [(line.split("\t")[0], line.split("\t")[1]) for line in lines]
    assert len(pairs) > 80
    wrong = [
        (one, other)
        for both in pairs
        for one, other in (both, both[::-1])
        if compare(one, other, model).label == "supports"
    ]
    assert wrong == []


@MODELS
def test_a_plain_denial_contradicts_in_both_directions(model: Model) -> None:
    plain = [
        (affirmed, denied)
        for affirmed, denied in look_alikes()
        if any(cue in denied for cue in (" not ", "n't ", "n\u2019t ", " never "))
        and not any(other in denied for other in ("not true", " have ", " got "))
    ]
    pairs = [pair for both in plain for pair in (both, both[::-1])]
    assert len(pairs) > 600
    found = labels(pairs, model)
    wrong = [pair for pair, label in zip(pairs, found, strict=True) if label != "contradicts"]
    assert wrong == []


@given(
    st.lists(
        st.sampled_from(
            ["really", "often", "the", "big", "on", "Monday", "with", "care", "and", "soon"]
        ),
        max_size=4,
    ),
    st.sampled_from(look_alikes()),
    st.booleans(),
)
def test_words_around_a_denial_do_not_make_it_support(
    around: list[str], pair: tuple[str, str], turned: bool
) -> None:
    one, other = pair[::-1] if turned else pair
    tail = " ".join(around)
    assert compare(f"{one} {tail}", f"{other} {tail}", lexical()).label != "supports"
    assert compare(f"{one} {tail}", other, lexical()).label != "supports"


@pytest.mark.parametrize(
    ("premise", "hypothesis"),
    [
        ("They never fail to answer", "They answer"),
        ("The team does not lack experience", "The team has experience"),
        ("Their prices are not high", "Their prices are low"),
        ("We cannot recommend this company enough", "We recommend this company"),
        ("There is no doubt that the staff is friendly", "The staff is friendly"),
        ("They not only repair roofs, they also clean them", "They repair roofs"),
    ],
)
def test_two_denials_and_idioms_affirm(premise: str, hypothesis: str) -> None:
    assert compare(premise, hypothesis, lexical()).label == "supports"


def test_a_denied_wider_statement_supports_the_narrower_one() -> None:
    assert compare("Nobody is dancing", "Nobody is dancing in the hall", lexical()).label == (
        "supports"
    )
    assert compare("Nobody is dancing in the hall", "Nobody is dancing", lexical()).label == (
        "not_addressed"
    )


def test_a_denial_of_another_matter_leaves_the_rest_alone() -> None:
    premise = "The office is bright and the phone is never answered"
    assert compare(premise, "The office is bright", lexical()).label == "supports"
    assert compare(premise, "The phone is answered", lexical()).label == "contradicts"


def test_the_reason_of_a_denial_names_the_words() -> None:
    relation = compare("The team never answers the phone", "The team answers the phone", lexical())
    (reason,) = relation.reasons
    assert reason.kind == "negation"
    assert "answers" in reason.premise
    assert "phone" in reason.hypothesis
    assert reason.sentence == "Only the first text denies it: answers, phone."
