"""Writes the relations between words that `lakeward.confidence.consistency` reads.

In: a folder with the database files of WordNet 3.1 (`index.*` and `data.*` of nouns, verbs,
adjectives and adverbs) and a list of common words, one a line. Out: `lexicon.tsv`, one line a
word and part of speech:

    word <tab> n|v|a|r <tab> synonyms <tab> wider words <tab> opposites

each of the last three a comma-separated list. Only common words and their common senses are
kept: a rare sense makes two words synonyms that no reader takes for such. Fails on a folder
that lacks a file.

    python tests/write_lexicon.py DICT_FOLDER WORDS
"""

from __future__ import annotations

import pathlib
import sys
from typing import NamedTuple

OUT = pathlib.Path(__file__).parent.parent / "src/lakeward/confidence/consistency/lexicon.tsv"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
# Common senses by part of speech, and how far a wider word may lie.
SENSES = {"n": 3, "v": 4, "a": 3, "r": 2}
STEPS = {"n": 4, "v": 2, "a": 0, "r": 0}
# Wider words that say nothing: everything is a thing.
EMPTY = """
entity object whole thing unit abstraction matter substance act event state attribute group
grouping artifact artefact cause agent relation part piece content measure quantity amount
instrumentality instrumentation causal move change make get be have do act travel go
displace alter modify being organism cover covering device creation action activity
process quality property condition shape form feature conveyance physical
"""


class Synset(NamedTuple):
    """Words of one meaning and where its relations lead."""

    words: tuple[str, ...]
    wider: tuple[int, ...]
    # (number of the word here, or 0 for all; part of speech, place, number of the word there)
    opposites: tuple[tuple[int, str, int, int], ...]


def synsets(folder: pathlib.Path, part: str) -> dict[int, Synset]:
    """All meanings of one part of speech by their place in its file."""
    found: dict[int, Synset] = {}
    for line in (folder / f"data.{PARTS[part]}").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = tuple(word.split("(")[0].lower() for word in fields[4 : 4 + 2 * count : 2])
        at = 4 + 2 * count
        wider, opposites = [], []
        for number in range(int(fields[at])):
            symbol, place, pos, ends = fields[at + 1 + 4 * number : at + 5 + 4 * number]
            if symbol in ("@", "@i"):
                wider.append(int(place))
            elif symbol == "!":
                target = ("a" if pos == "s" else pos, int(place))
                opposites.append((int(ends[:2], 16), *target, int(ends[2:], 16)))
        found[int(fields[0])] = Synset(words, tuple(wider), tuple(opposites))
    return found


def senses(folder: pathlib.Path, part: str) -> dict[str, tuple[int, ...]]:
    """The common meanings of each word, the commonest first."""
    found: dict[str, tuple[int, ...]] = {}
    for line in (folder / f"index.{PARTS[part]}").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split()
        count = int(fields[2])
        tagged = int(fields[-count - 1])
        keep = min(SENSES[part], max(tagged, 1))
        found[fields[0]] = tuple(int(place) for place in fields[-count:][:keep])
    return found


def wider_words(
    start: tuple[int, ...], every: dict[int, Synset], steps: int, common: frozenset[str]
) -> set[str]:
    """Words that are true of whatever the meanings name."""
    found: set[str] = set()
    level = set(start)
    for _ in range(steps):
        level = {up for place in level for up in every[place].wider}
        found |= {word for place in level for word in every[place].words if word in common}
    return found - set(EMPTY.split())


def lines(folder: pathlib.Path, common: frozenset[str]) -> list[str]:
    """The table, sorted."""
    files = {part: synsets(folder, part) for part in PARTS}
    written = []
    for part, every in files.items():
        for word, places in senses(folder, part).items():
            if word not in common or "_" in word:
                continue
            same = {other for place in places for other in every[place].words} & common
            wider = wider_words(places, every, STEPS[part], common)
            opposite = {
                files[pos][there].words[number - 1]
                for place in places
                for own, pos, there, number in every[place].opposites
                if own == 0 or every[place].words[own - 1] == word
            } & common
            same -= {word}
            wider -= {word} | same
            if same or wider or opposite:
                cells = (",".join(sorted(cell)) for cell in (same, wider, opposite - same))
                written.append("\t".join((word, part, *cells)))
            else:
                written.append(f"{word}\t{part}\t\t\t")
    return sorted(written)


def main() -> None:
    """Write the table."""
    folder, words = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    common = frozenset(
        word
        for word in words.read_text(encoding="utf-8").splitlines()
        if word.isascii() and word.isalpha() and len(word) > 1
    )
    OUT.write_text("\n".join(lines(folder, common)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
