"""Studies: several questions put to one look at the lake, and what is made of their answers.

In: a study, which is its parameters, and who answers questions. Out: a document of plain data. They
are asked as questions are, by processes of their own; what may be asked of whom is for their
callers to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Protocol

import msgspec

from lakeward.analysis.experiment.course import ExperimentCourse
from lakeward.analysis.experiment.study import ExperimentReport
from lakeward.analysis.question import Answer, Question
from lakeward.analysis.today import Today


class Study(Protocol):
    """What is made of several questions."""

    name: ClassVar[str]

    def document(
        self, put: Callable[[Question], Answer], over: Callable[[], bool]
    ) -> Mapping[str, Any]:
        """The answer; `over` says that no more time is left than to put together what is there."""


STUDIES: Final[dict[str, type[msgspec.Struct]]] = {
    kind.name: kind for kind in (ExperimentReport, ExperimentCourse, Today)
}
