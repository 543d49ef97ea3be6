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


FOUND = {
    "a ring without lanes": ("ring", bytes.fromhex("00120000000000000000")),
    "a ring whose label is no UTF-8": ("ring", bytes.fromhex("206002008ce4")),
    "a head over memory that nobody wrote": ("ring", bytes.fromhex("00000800006300000000000000")),
    "a head that is laps ahead": (
        "ring",
        bytes.fromhex("5c000887fffeff8b" + "ff" * 65 + "f8" + "ff" * 13),
    ),
    "a table of segments that is no UTF-8": (
        "segments",
        b'\0{"segment":1,"stream":"\xed\xa0\x80"}\n',
    ),
    "an identity that is no UTF-8": ("identity", b'{"format":1,"lake_id":"\xff","epoch":1}'),
    "a ledger whose head is no object": ("ledger", b"\x00         []\n"),
    "a ledger of another script": ("ledger", b'\x00         {"kind":"state","lake_id":"\xff"}'),
}


@pytest.mark.parametrize(("name", "data"), FOUND.values(), ids=FOUND)
def test_what_was_found_once_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    TARGETS[name](tmp_path)(data)
