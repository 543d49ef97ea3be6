"""Message consistency: whether a partner's employees, customers and demos say what its CEO says.

In: texts. Out: `compare` gives the relation of two, `claims` what one claims, `report` the whole
picture with alignments, discrepancies and recommendations. Pure but for the model's files.
"""

from __future__ import annotations

from lakeward.confidence.consistency.claims import Claim, Figure, claims
from lakeward.confidence.consistency.comparing import compare
from lakeward.confidence.consistency.fields import fields_of
from lakeward.confidence.consistency.findings import (
    Alignment,
    Checked,
    Discrepancy,
    Report,
    Source,
    Statement,
    Votes,
)
from lakeward.confidence.consistency.models import Model, default, embedding, lexical
from lakeward.confidence.consistency.relation import Label, Reason, Relation
from lakeward.confidence.consistency.reporting import report
from lakeward.confidence.consistency.sentences import Sentence, sentences

__all__ = [
    "Alignment",
    "Checked",
    "Claim",
    "Discrepancy",
    "Figure",
    "Label",
    "Model",
    "Reason",
    "Relation",
    "Report",
    "Sentence",
    "Source",
    "Statement",
    "Votes",
    "claims",
    "compare",
    "default",
    "embedding",
    "fields_of",
    "lexical",
    "report",
    "sentences",
]
