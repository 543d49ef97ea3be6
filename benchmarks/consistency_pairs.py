"""The pairs of sentences by which the comparison is fitted and judged, written for Lakeward.

`tests/data/consistency/pairs.tsv`: part (train, dev, test), domain (business, scene), label,
premise, hypothesis. All pairs of one premise are in one part; the test part is for judging alone.
"""

from __future__ import annotations

import pathlib

import msgspec

from lakeward.confidence.consistency.relation import Label

FILE = pathlib.Path(__file__).parent.parent / "tests/data/consistency/pairs.tsv"
LABELS: tuple[Label, ...] = ("supports", "contradicts", "not_addressed")


class Example(msgspec.Struct, frozen=True):
    part: str
    domain: str
    label: Label
    premise: str
    hypothesis: str


def examples(part: str = "") -> list[Example]:
    lines = FILE.read_text(encoding="utf-8").splitlines()[1:]
    every = [msgspec.convert(line.split("\t"), tuple[str, str, Label, str, str]) for line in lines]
    return [Example(*fields) for fields in every if not part or fields[0] == part]
