"""Two sentences: one supports the other, contradicts it, or does not address it; and why."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistency_pairs import examples
from lakeward.confidence.consistency import Model, Relation, compare, embedding, lexical
from lakeward.confidence.consistency import embedding as embedding_of
from lakeward.confidence.consistency.embedding import PACKAGED, PINNED, files
from lakeward.errors import MissingExtra, Terminal

LEXICAL = lexical()


def relation(premise: str, hypothesis: str) -> Relation:
    return compare(premise, hypothesis, LEXICAL)


@pytest.mark.parametrize("model", [LEXICAL, embedding()], ids=lambda model: model.name)
@pytest.mark.parametrize(
    ("premise", "hypothesis", "label"),
    [
        ("It usually takes them a day to answer.", "We answer within one hour.", "contradicts"),
        ("They answered in 45 minutes.", "We answer within one hour.", "supports"),
        ("We answer within two hours.", "We answer within one hour.", "not_addressed"),
        ("We have 12 employees.", "We have 40 employees.", "contradicts"),
        ("Two dogs are running.", "Three dogs are running.", "not_addressed"),
        ("The bill was $2,500.", "The bill was $2500.", "supports"),
        ("They are often late.", "They are always on time.", "contradicts"),
        ("The support was terrible.", "The support is excellent.", "contradicts"),
        ("A woman is slicing a pepper.", "Someone is cutting a vegetable.", "supports"),
        ("Someone is cutting a vegetable.", "A woman is slicing a pepper.", "not_addressed"),
        ("A dog is chasing a cat.", "A cat is chasing a dog.", "not_addressed"),
        ("A cat is being chased by a dog.", "A dog is chasing a cat.", "supports"),
        ("The roof is made of slate.", "We train our apprentices.", "not_addressed"),
    ],
)  # fmt: skip
def test_known_pairs(model: object, premise: str, hypothesis: str, label: str) -> None:
    found = compare(premise, hypothesis, model)  # type: ignore[arg-type] # parametrised
    assert (found.label, found.model) == (label, model.name)  # type: ignore[attr-defined] # as above


@pytest.mark.parametrize("model", [LEXICAL, embedding()], ids=lambda model: model.name)
def test_nearness_alone_never_supports(model: Model) -> None:
    assert compare("Their price was fair.", "They are expensive.", model).label != "supports"


def test_the_best_model_that_is_here_is_taken_and_named() -> None:
    assert compare("The staff is kind.", "The staff is friendly.").model == "minilm-l6-v2-int8"
    assert relation("The staff is kind.", "The staff is friendly.").model == "lexical-fallback"


def test_each_reason_names_the_words_of_both_texts() -> None:
    number = relation("It takes them two days to answer.", "They answer within one hour.")
    assert [reason.kind for reason in number.reasons] == ["number"]
    assert number.reasons[0].sentence == "Numbers differ: two days and within one hour."
    opposite = relation("The site was left dirty.", "The site was left clean.")
    assert ("dirty", "clean") in {(r.premise, r.hypothesis) for r in opposite.reasons}
    support = relation("The crew fixed the boiler.", "The staff repaired the boiler.")
    assert support.reasons[0].kind == "answered"
    assert support.reasons[0].premise == "crew, fixed, boiler"
    missing = relation("The van is white.", "The van is white and electric.")
    assert missing.reasons[0].sentence == "The first text does not say: electric."


def test_texts_of_several_sentences_are_compared_sentence_by_sentence() -> None:
    premise = "The staff is friendly. The invoice was wrong. It rained."
    assert relation(premise, "The staff is friendly.").label == "supports"
    assert relation(premise, "The invoice was correct.").label == "contradicts"
    both = relation(premise, "The staff is friendly. The roof is new.")
    assert both.label == "not_addressed"


@given(st.sampled_from(examples()))
def test_identical_text_supports_itself(example: object) -> None:
    text = example.premise  # type: ignore[attr-defined] # an Example
    found = relation(text, text)
    assert found.label == "supports"
    assert found.similarity == pytest.approx(1.0)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_have_a_relation(one: str, other: str) -> None:
    found = relation(one, other)
    assert 0.0 <= found.similarity <= 1.0
    assert found.reasons
    assert all(reason.sentence for reason in found.reasons)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no letters"),
        ("12345 !!", "no letters"),
        ("🙂🙂🙂", "no letters"),
        ("Wir antworten immer innerhalb einer Stunde und sind freundlich", "not English"),
        ("Nous répondons toujours dans l'heure avec le sourire", "not English"),
        ("Siempre respondemos en una hora y con una sonrisa", "not English"),
        ("我们总是在一小时内答复", "not English"),
        ("Мы всегда отвечаем в течение часа", "not English"),
    ],
)
def test_what_is_not_english_is_not_addressed_and_named(text: str, why: str) -> None:
    for found in (relation(text, "We answer within one hour."), relation(text, text)):
        assert found.label == "not_addressed"
        assert found.reasons[0].kind == "unreadable"
        assert why in found.reasons[0].sentence
    assert "second text" in relation("We answer.", text).reasons[0].sentence


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 1_000_000,
        "not " * 250_000,
        "and the dog " * 80_000,
        "1" * 1_000_000,
        "We answer.\0\0 The\u202e staff\u200b is \u2066kind. " * 20_000,
        "Yes. " * 200_000,
        "🙂 no " * 100_000,
        "'" * 1_000_000,
        "(" * 500_000 + ")" * 500_000,
        "e.g. " * 200_000,
    ],
    ids=range(10),
)
def test_hostile_text_is_cut_and_said_to_be(hostile: str) -> None:
    for found in (relation(hostile, "We answer."), relation("We answer.", hostile)):
        assert 0.0 <= found.similarity <= 1.0
        kinds = {reason.kind for reason in found.reasons}
        assert kinds & {"cut", "unreadable"}


def test_invisible_marks_and_curly_apostrophes_change_nothing() -> None:
    plain = relation("The team doesn't answer.", "The team answers.")
    odd = relation("The\u200b team doesn\u2019t\u202e answer.", "The team\0 answers.")
    assert (odd.label, odd.similarity) == (plain.label, plain.similarity)
    assert plain.label == "contradicts"


def test_a_folder_that_lacks_a_file_is_one_sentence(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Terminal, match=r"lacks model\.onnx and tokenizer\.json"):
        embedding_of(tmp_path)


def test_a_folder_of_ones_own_is_used_and_named(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    for name, path in files().items():
        shutil.copy(path, folder / name)
    found = compare("The staff is kind.", "The staff is friendly.", embedding_of(folder))
    assert (found.model, found.label) == ("embedding:my-model", "supports")


def test_the_packaged_files_are_those_that_were_reviewed() -> None:
    for name, path in files().items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == PINNED[name]


def test_a_packaged_file_that_differs_is_refused(tmp_path: pathlib.Path) -> None:
    for package, inside in PACKAGED.values():
        place = tmp_path / package / inside
        place.parent.mkdir(parents=True)
        place.write_bytes(b"another model")
        (tmp_path / package / "__init__.py").touch()
    script = (
        "from lakeward.confidence.consistency import compare\n"
        "from lakeward.errors import Terminal\n"
        "try:\n    compare('We answer.', 'We answer.')\n"
        "except Terminal as error:\n    print(error)\n"
    )
    said = run(script, f"{tmp_path}")
    assert "is not the file that was reviewed" in said


def test_without_the_extra_the_fallback_says_its_name_and_the_model_names_the_extra() -> None:
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('onnxruntime', 'tokenizers'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n in ('onnxruntime', 'tokenizers') else find(n, *a)\n"
        "from lakeward.confidence.consistency import compare, embedding\n"
        "print(compare('The staff is kind.', 'The staff is friendly.').model)\n"
        "try:\n    embedding()\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    said = run(script)
    assert said.splitlines()[0] == "lexical-fallback"
    assert MissingExtra.__name__ in said
    assert "lakeward[embeddings]" in said


def test_importing_the_package_imports_no_heavy_library() -> None:
    script = (
        "import sys, lakeward.confidence.consistency\n"
        "print(sorted({'numpy', 'onnxruntime', 'tokenizers', 'torch', 'scipy'} & set(sys.modules)))"
    )
    assert run(script).strip() == "[]"


def run(script: str, first_on_path: str = "") -> str:
    """The output of a Python process of its own."""
    code = (
        f"import sys; sys.path.insert(0, {first_on_path!r})\n{script}" if first_on_path else script
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout
