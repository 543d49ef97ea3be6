"""Mutated input of every kind, the same each time; `make soak` goes on by coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzing import TARGETS, seeds, wild


@pytest.mark.parametrize("name", TARGETS)
def test_a_mutated_input_is_taken_or_refused(tmp_path: Path, name: str) -> None:
    for folder in ("seeds", "target"):
        (tmp_path / folder).mkdir()
    target = TARGETS[name](tmp_path / "target")
    inputs = [*seeds(name, tmp_path / "seeds"), *wild(name, tmp_path / "seeds", 300)]
    for data in inputs:
        try:
            target(data)
        except BaseException:
            print(f"the input was {data!r}")
            raise
