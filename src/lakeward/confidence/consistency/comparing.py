"""Comparing two texts: sentence by sentence, with one model.

In: a premise and a hypothesis. Out: one `Relation`. Fails only as the model does. Texts of several
sentences: a contradiction of any two of their sentences is one of the texts; support needs an
answer to every sentence of the hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lakeward.confidence.consistency.models import Model, default
from lakeward.confidence.consistency.relation import Reason, Relation, View, relate
from lakeward.confidence.consistency.sentences import sentences
from lakeward.confidence.consistency.wording import LONGEST
from lakeward.settings import load

MOST_SENTENCES: Final = 12
"""Sentences of one text that are compared."""
LONGEST_TEXT: Final = MOST_SENTENCES * LONGEST


def compare(premise: str, hypothesis: str, model: Model | None = None) -> Relation:
    """Whether the hypothesis follows from the premise, is contradicted by it, or neither.

    Without a model the best one that is here is taken; the relation says which by name.
    """
    chosen = model if model is not None else default(load().embedding_model)
    (first, cut_first), (second, cut_second) = _parts(premise), _parts(hypothesis)
    views = chosen.views([*first, *second])
    found = _together(views[: len(first)], views[len(first) :], chosen)
    if cut_first or cut_second:
        cut = Reason("cut", "Only the beginning of a long text was compared.")
        return Relation(
            found.label, found.similarity, (*found.reasons, cut), found.model, found.certainty
        )
    return found


def strongest(relations: Iterable[Relation]) -> Relation | None:
    """The relation that says most: what addresses it surely, before what does not."""
    return max(
        relations,
        key=lambda r: (r.label != "not_addressed", r.certainty + r.similarity, r.label),
        default=None,
    )


def _parts(text: str) -> tuple[list[str], bool]:
    shorter = text[:LONGEST_TEXT]
    found = [sentence.text for sentence in sentences(shorter, MOST_SENTENCES + 1)]
    # A question affirms nothing, whatever answers it: "They answer? Never."
    found = [part for part in found if not part.endswith("?")] or found
    cut = len(text) > LONGEST_TEXT or len(found) > MOST_SENTENCES
    return found[:MOST_SENTENCES] or [shorter], cut


def _together(premises: Sequence[View], hypotheses: Sequence[View], model: Model) -> Relation:
    answers = []
    for hypothesis in hypotheses:
        each = [relate(one, hypothesis, model.coefficients, model.name) for one in premises]
        against = [relation for relation in each if relation.label == "contradicts"]
        answer = strongest(against or each)
        if answer is None:
            raise ValueError("a text without sentences")  # _parts gives at least one
        answers.append(answer)
    against = [answer for answer in answers if answer.label == "contradicts"]
    silent = [answer for answer in answers if answer.label == "not_addressed"]
    chosen = strongest(against or silent or answers)
    if chosen is None:
        raise ValueError("a text without sentences")
    return chosen
