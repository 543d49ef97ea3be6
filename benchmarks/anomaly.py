"""How good are alarms? Precision, recall, false alarms beside a z-score, on seeds for the test.

classes   five kinds of anomaly at five volumes, three seasons each; and series without any
natures   series like machines, cities and crowds write them, of which the detector is told nothing

The baseline is the z-score of the last day; its threshold is the one that did best on the tuning
seeds (by F1), which is more than people usually give it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

from anomaly_kinds import NATURES, made
from anomaly_scoring import Score, average_precision, inside, score, z_scores
from anomaly_series import CLASSES, TEST, TUNING, VOLUMES, WEEK, Labelled, every
from lakeward.analysis.anomaly import Detector
from measure import Report, table

THRESHOLDS = (3.0, 3.5, 4.0, 4.5, 5.0, 6.0)
Key = tuple[str, int]


def judged(series: Labelled) -> tuple[list[bool], list[float]]:
    """What the detector calls anomalous, and its scores."""
    detector = Detector(kind=series.kind)
    verdicts = [detector.update(t, v) for t, v in zip(series.times, series.values, strict=True)]
    return [each.is_anomaly for each in verdicts], [each.score for each in verdicts]


def best_threshold(rows: Iterable[tuple[Labelled, int]]) -> float:
    """The z-score's best threshold over these series."""
    totals = {limit: Score() for limit in THRESHOLDS}
    for series, first in rows:
        z = list(z_scores(series.values))
        for limit, total in totals.items():
            total.add(score(series, [each > limit for each in z], first))
    return max(totals, key=lambda limit: f1(totals[limit]))


def f1(of: Score) -> float:
    """Harmonic mean of precision and recall."""
    both = of.precision + of.recall
    return 2 * of.precision * of.recall / both if both else 0.0


def cells(of: Score) -> list[str]:
    """Precision, recall and false alarms a week."""
    return [f"{of.precision:.2f}", f"{of.recall:.2f}", f"{of.weekly:.2f}"]


def classes(report: Report, seeds: int) -> None:
    """Per class and volume, on the test seeds."""
    tuned = ((series, 2 * WEEK) for _, _, series in every(TUNING[:1], volumes=(1, 100, 10_000)))
    limit = best_threshold(tuned)
    ours: dict[Key, Score] = defaultdict(Score)
    theirs: dict[Key, Score] = defaultdict(Score)
    rows, seconds = 0, 0.0
    for klass, volume, series in every(TEST[:seeds], (*CLASSES, "quiet")):
        started = time.process_time()
        called, _ = judged(series)
        seconds += time.process_time() - started
        rows += len(called)
        ours[klass, volume].add(score(series, called, 2 * WEEK))
        flagged = [z > limit for z in z_scores(series.values)]
        theirs[klass, volume].add(score(series, flagged, 2 * WEEK))
    head = ["class", "a minute", "precision", "recall", "false a week"]
    report.say(
        table(
            [*head, f"z > {limit:g}: precision", "recall", "false a week"],
            [
                [klass, f"{volume:,}", *_shown(klass, ours[klass, volume]),
                 *_shown(klass, theirs[klass, volume])]
                for klass in (*CLASSES, "quiet") for volume in VOLUMES
            ],
        )
    )  # fmt: skip
    for klass in CLASSES:
        total = Score()
        for volume in VOLUMES:
            total.add(ours[klass, volume])
        report.goal(f"{klass}: precision", total.precision, 0.9, "", at_most=False)
        report.goal(f"{klass}: recall", total.recall, 0.8, "", at_most=False)
    worst = max(ours["quiet", volume].weekly for volume in VOLUMES)
    report.goal("quiet: false alarms a week, worst volume", worst, 1.0, "")
    report.goal("a row", 1e6 * seconds / rows, 50.0, "µs")
    report.figures["classes"] = {
        f"{klass}/{volume}": [ours[klass, volume], theirs[klass, volume]] for klass, volume in ours
    }


def _shown(klass: str, of: Score) -> list[str]:
    return ["", "", cells(of)[2]] if klass == "quiet" else cells(of)


def natures(report: Report, seeds: int) -> None:
    """Per nature; the first 15 % are for learning."""
    rows = []
    for nature in NATURES:
        tuning = (made(nature, seed) for seed in TUNING)
        limit = best_threshold((series, len(series.values) * 15 // 100) for series in tuning)
        ours, theirs, areas = Score(), Score(), [0.0, 0.0]
        for seed in TEST[:seeds]:
            series = made(nature, seed)
            first = len(series.values) * 15 // 100
            called, scores = judged(series)
            z = list(z_scores(series.values))
            ours.add(score(series, called, first))
            theirs.add(score(series, [each > limit for each in z], first))
            truth = inside(series)[first:]
            areas[0] += average_precision(scores[first:], truth) / seeds
            areas[1] += average_precision(z[first:], truth) / seeds
        rows.append([
            nature, *cells(ours)[:2], str(ours.false), f"{areas[0]:.2f}", f"> {limit:g}",
            *cells(theirs)[:2], str(theirs.false), f"{areas[1]:.2f}",
        ])  # fmt: skip
    side = ["precision", "recall", "false alarms", "average precision"]
    report.say(table(["nature", *side, "z-score", *side], rows))


def main() -> None:
    """Run all and print the tables."""
    report = Report("anomaly")
    seeds = report.rounds(len(TEST))
    classes(report, seeds)
    natures(report, seeds)
    report.finish()


if __name__ == "__main__":
    main()
