"""The values of a statement: each gets a name in it, and never stands in its text.

In: values of whoever asks, in the order in which a question is built. Out: `$p1`, `$p2`, … and the
parameters by these names. The same value has one name, so the same question has the same statement.
Nothing fails.
"""

from __future__ import annotations

from lakeward.analysis.question import Value


class Values:
    """Collects the parameters of one statement."""

    def __init__(self) -> None:
        self._names: dict[tuple[type[Value], Value], str] = {}

    def __call__(self, value: Value) -> str:
        """The placeholder of a value."""
        found = self._names.setdefault((type(value), value), f"p{len(self._names) + 1}")
        return f"${found}"

    def list(self, values: tuple[Value, ...]) -> str:
        """The placeholders of several, separated by commas."""
        return ", ".join(self(value) for value in values)

    @property
    def parameters(self) -> dict[str, Value]:
        """The values by their names."""
        return {name: value for (_, value), name in self._names.items()}
