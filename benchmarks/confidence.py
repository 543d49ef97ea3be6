"""What the PowerConfidence score promises, against simulated partners whose truth is known.

    python benchmarks/confidence.py [--partners 400] [--categories 40]

Coverage: how often the 90 % interval holds what everybody would say, had everybody been asked.
Ranking: how good the best five of thirty truly are, by lower end, by score and by plain mean.
Manipulation: what fakes gain, with and without flags, and how many honest witnesses are flagged.
Everything is seeded.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from lakeward.confidence.score import (
    DEFAULT,
    SOURCES,
    Answer,
    Options,
    Prior,
    Rating,
    Score,
    Source,
    category_priors,
    ranked,
    score,
)

NOW = 1_795_000_000_000
DAY = 86_400_000
CATEGORIES = ("satisfaction", "communication", "delivery", "expertise", "value")
NO_FLAGS = msgspec.structs.replace(DEFAULT, flags=())
Say = Callable[[random.Random, float], float]
Truth = dict[Source, float]


def content(dice: random.Random, quality: float) -> float:
    """Persons differ around the partner's quality."""
    return dice.gauss(quality, 0.15)


def divided(dice: random.Random, quality: float) -> float:
    """Most are delighted, the others are not at all."""
    return 0.97 if dice.random() < quality else 0.15


def said(dice: random.Random, taste: float) -> dict[str, Rating]:
    """A form of five categories on whole numbers of 1 to 10."""
    rated = (round(1 + 9 * min(max(dice.gauss(taste, 0.08), 0), 1)) for _ in CATEGORIES)
    return {name: Rating(value, 1, 10) for name, value in zip(CATEGORIES, rated, strict=True)}


def answer(dice: random.Random, source: Source, name: str, taste: float) -> Answer:
    """One honest witness within the last month, verified, all filled in."""
    share = min(max(taste, 0.0), 1.0)
    ratings = {"claims": Rating(share, 0, 1)} if source == "consistency" else said(dice, taste)
    return Answer(
        evidence_id=f"e-{source}-{name}", respondent_id=f"{source}-{name}", source=source,
        at_ms=NOW - dice.randrange(30 * DAY), ratings=ratings, verified=True, completeness=1.0,
        seconds=dice.uniform(40, 300),
    )  # fmt: skip


class Partner(msgspec.Struct, frozen=True):
    quality: Truth
    say: Say

    def heard(self, dice: random.Random, numbers: Mapping[Source, int], tag: str) -> list[Answer]:
        return [
            answer(dice, source, f"{tag}-{n}", self.say(dice, self.quality[source]))
            for source in SOURCES
            for n in range(numbers[source])
        ]


def partner(dice: random.Random, say: Say, centre: float = 0.75) -> Partner:
    """Its sources have a quality in common, and each a little of its own."""
    own = min(max(dice.gauss(centre, 0.08), 0.05), 0.95)
    return Partner({s: min(max(dice.gauss(own, 0.05), 0.02), 0.98) for s in SOURCES}, say)


# Coverage


def plain_bootstrap(dice: random.Random, heard: Sequence[Answer]) -> tuple[float, float]:
    """For comparison: witnesses drawn with replacement, no prior."""
    by = {source: [each.share for each in heard if each.source == source] for source in SOURCES}
    drawn = sorted(
        sum(100 * w * statistics.fmean(dice.choices(by[s], k=len(by[s])))
            for s, w in DEFAULT.weights.items())
        for _ in range(500)
    )  # fmt: skip
    return drawn[25], drawn[-26]


def coverage(partners: int) -> None:
    print("\n| witnesses of each source | world | nothing known | learnt prior | plain bootstrap |")
    print("|---|---|---|---|---|")
    worlds: list[tuple[str, Say, float]] = [
        ("content", content, 0.75), ("divided", divided, 0.75), ("far below its category", content,
                                                                 0.45),
    ]  # fmt: skip
    for world, say, centre in worlds:
        dice = random.Random(f"coverage {world}")
        learnt = [_category(dice, say) for _ in range(8)]
        for each in (1, 2, 3, 5, 10, 25):
            hits, widths = [0, 0, 0], [0.0, 0.0, 0.0]
            for n in range(partners):
                one = partner(dice, say, centre)
                truth = _near(one)
                heard = one.heard(dice, dict.fromkeys(SOURCES, each), f"p{n}")
                made = [
                    *(_ends(heard, given) for given in ({}, learnt[n % len(learnt)])),
                    plain_bootstrap(dice, heard),
                ]
                for k, (low, high) in enumerate(made):
                    hits[k] += low <= truth <= high
                    widths[k] += high - low
            cells = (
                f"{hit / partners:.1%}, {width / partners:.1f} wide"
                for hit, width in zip(hits, widths, strict=True)
            )
            print(f"| {each} | {world} | {' | '.join(cells)} |", flush=True)


def _category(dice: random.Random, say: Say) -> Mapping[Source, Prior]:
    """Priors of fifteen other partners with eight witnesses of each source."""
    others = {
        f"o{n}": partner(dice, say).heard(dice, dict.fromkeys(SOURCES, 8), f"o{n}")
        for n in range(15)
    }
    return category_priors(others, now_ms=NOW)


def _ends(heard: Sequence[Answer], priors: Mapping[Source, Prior]) -> tuple[float, float]:
    made = score(heard, now_ms=NOW, priors=priors)
    return made.low, made.high


def _near(one: Partner) -> float:
    """The truth: what 1,000 witnesses of each source say (to about 0.3 points)."""
    dice = random.Random(str(sorted(one.quality.items())))
    return sum(
        100 * w * statistics.fmean(
            answer(dice, s, "t", one.say(dice, one.quality[s])).share for _ in range(1_000)
        )
        for s, w in DEFAULT.weights.items()
    )  # fmt: skip


# Ranking


def happiest(dice: random.Random, quality: float) -> float:
    """Of three who might be asked, the partner invites the happiest."""
    return max(content(dice, quality) for _ in range(3))


def ranking(categories: int, few: Say, told: str) -> None:
    """Thirty partners with 1 to 40 witnesses of each source; who buys looks at the first five."""
    found: dict[str, list[float]] = {}
    for n in range(categories):
        dice = random.Random(f"ranking {n}")
        thirty = {f"p{k}": partner(dice, content) for k in range(30)}
        truth = {name: _near(each) for name, each in thirty.items()}
        heard = {
            name: _asked(dice, each, round(40 ** dice.random()), few, name)
            for name, each in thirty.items()
        }
        scores = {name: _with_priors(heard, name) for name in heard}
        flat = {name: msgspec.structs.replace(each, provisional=False)
                for name, each in scores.items()}  # fmt: skip
        orders = {
            "truth itself": sorted(truth, key=lambda name: -truth[name]),
            "lower end, provisional ones last": [each.partner_id for each in ranked(scores)],
            "lower end alone": [each.partner_id for each in ranked(flat)],
            "score": sorted(scores, key=lambda name: -scores[name].value),
            "plain mean": sorted(heard, key=lambda name: -_plain(scores[name])),
            "chance": sorted(heard, key=lambda name: dice.random()),
        }
        for by, order in orders.items():
            top = [truth[name] for name in order[:5]]
            found.setdefault(by, []).append(statistics.fmean(top))
            found.setdefault(f"{by}/worst", []).append(min(top))
    print(f"\n{told}\n\n| best five of thirty by | their true score | the worst of them |")
    print("|---|---|---|")
    for by in orders:
        print(f"| {by} | {statistics.fmean(found[by]):.1f} | "
              f"{statistics.fmean(found[by + '/worst']):.1f} |")  # fmt: skip


def _asked(dice: random.Random, one: Partner, each: int, few: Say, name: str) -> list[Answer]:
    say = few if each < 6 else one.say
    return Partner(one.quality, say).heard(dice, dict.fromkeys(SOURCES, each), name)


def _with_priors(heard: Mapping[str, Sequence[Answer]], name: str) -> Score:
    others = {other: said for other, said in heard.items() if other != name}
    priors = category_priors(others, now_ms=NOW, options=NO_FLAGS)
    return score(heard[name], now_ms=NOW, priors=priors)


def _plain(made: Score) -> float:
    return sum(part.weight * (part.mean or 0.0) for part in made.sources)


# Manipulation


COPIED = (
    "They delivered our migration two weeks early and stayed on the line until every team worked."
)
EDITS = ("Truly, ", "", "Honestly: ", "We can say that ", "In short, ")


def fakes(dice: random.Random, attack: str, m: int) -> Iterator[Answer]:
    """Customers who never were, with the highest rating in everything."""
    for n in range(m):
        one = msgspec.structs.replace(
            answer(dice, "customers", f"fake-{n}", 2.0), seconds=dice.uniform(40, 300),
            at_ms=NOW - 3 * DAY - dice.randrange(20 * DAY),
        )  # fmt: skip
        more: dict[str, object] = {
            "one device": {"device": "d"},
            "one network": {"address": "a"},
            "one text, edited": {"text": dice.choice(EDITS) + COPIED + " " + "thanks " * (n % 3)},
            "open links in an hour": {"verified": False, "at_ms": NOW - n * 60_000},
            "clicked through": {"seconds": 4.0},
            "employees' telephones": {"contact": f"c{n % 5}"},
            "no trace": {},
        }[attack]  # type: ignore[assignment] # a mapping of fields of Answer
        yield msgspec.structs.replace(one, **more)


def manipulation(rounds: int) -> None:
    print("\n| attack on 15 honest witnesses | fakes | gained without flags | gained with flags |")
    print("|---|---|---|---|")
    attacks = (
        "one device", "one network", "one text, edited", "open links in an hour",
        "clicked through", "employees' telephones", "no trace",
    )  # fmt: skip
    for attack in attacks:
        for m in (5, 20):
            gained: list[list[float]] = [[], []]
            for n in range(rounds):
                dice = random.Random(f"{attack} {m} {n}")
                heard = partner(dice, content, 0.5).heard(dice, dict.fromkeys(SOURCES, 5), "h")
                heard = [
                    msgspec.structs.replace(each, contact=f"c{k % 5}")
                    if each.source == "employees" else each
                    for k, each in enumerate(heard)
                ]  # fmt: skip
                faked = [*heard, *fakes(dice, attack, m)]
                for k, options in enumerate((NO_FLAGS, DEFAULT)):
                    before, after = (_value(each, options) for each in (heard, faked))
                    gained[k].append(after - before)
            off, on = (statistics.fmean(each) for each in gained)
            print(f"| {attack} | {m} | {off:.1f} | {on:.1f} |", flush=True)


def _value(heard: Sequence[Answer], options: Options) -> float:
    return score(heard, now_ms=NOW, options=options).value


def honest(rounds: int) -> None:
    """Employees of one office, customers by two's in one household network, links in batches."""
    flagged: dict[str, int] = {}
    cost, witnesses = [], 0
    for n in range(rounds):
        dice = random.Random(f"honest {n}")
        heard = partner(dice, content).heard(dice, dict.fromkeys(SOURCES, 8), "h")
        heard = [_lifelike(dice, each, k) for k, each in enumerate(heard)]
        with_flags, without = (score(heard, now_ms=NOW, options=o) for o in (DEFAULT, NO_FLAGS))
        cost.append(with_flags.value - without.value)
        witnesses += 24
        for flag in with_flags.flags:
            flagged[flag.kind] = flagged.get(flag.kind, 0) + len(flag.respondents)
    print("\n| honest witnesses flagged | of them |\n|---|---|")
    for kind in DEFAULT.flags:
        print(f"| {kind} | {flagged.get(kind, 0) / witnesses:.1%} |")
    print(f"\nThe score moves by {statistics.fmean(map(abs, cost)):.2f} points, "
          f"at most {max(map(abs, cost)):.2f}.")  # fmt: skip


def _lifelike(dice: random.Random, one: Answer, k: int) -> Answer:
    address = "office" if one.source == "employees" else f"a{k // 2 if k % 8 < 2 else k}"
    sent = NOW - 9 * DAY + dice.randrange(DAY // 8)  # all links went out on one morning
    quick = min(ratings := [r.value for r in one.ratings.values()]) == max(ratings)
    return msgspec.structs.replace(
        one, address=address, device=f"d-{one.source}-{k}", at_ms=sent,
        seconds=dice.lognormvariate(2.9 if quick else 4.0, 0.5),
    )  # fmt: skip


def speed() -> None:
    print("\n| witnesses of each source | ms for a score |\n|---|---|")
    for each in (5, 25, 125):
        dice = random.Random(each)
        heard = partner(dice, content).heard(dice, dict.fromkeys(SOURCES, each), "s")
        heard = [
            msgspec.structs.replace(one, text=" ".join(dice.choices(WORDS, k=50)))
            for one in heard
        ]  # fmt: skip
        times = []
        for _ in range(5):
            began = time.perf_counter()
            score(heard, now_ms=NOW)
            times.append(time.perf_counter() - began)
        print(f"| {each} | {1_000 * statistics.median(times):.0f} |")


WORDS = (__doc__ or "").split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partners", type=int, default=400)
    parser.add_argument("--categories", type=int, default=40)
    given = parser.parse_args()
    speed()
    manipulation(given.categories)
    honest(given.categories)
    ranking(given.categories, content, "Witnesses as they come")
    ranking(given.categories, happiest, "Who asks fewer than six asks the happiest of three")
    coverage(given.partners)


if __name__ == "__main__":
    main()
