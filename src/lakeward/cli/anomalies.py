"""`lakeward anomalies --csv FILE`: which rows of a series are worth a person's time.

In: CSV of timestamps and values, a file or standard input (`-`), with a header or without. Out: CSV
`timestamp,value,anomaly_score,label`, a line for each row, in its order; what stands in a line
depends on that row and those before it alone. Fails with `Terminal` naming the line that cannot
be read; a missing value (empty, nan, null) is a row of its own, with score 0.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Final

from lakeward.analysis.anomaly import Detector
from lakeward.analysis.anomaly.clock import seconds_of
from lakeward.analysis.anomaly.verdict import DIRECTIONS, KINDS
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

FORMATS: Final = ("csv",)
TIMES: Final = ("timestamp", "timestamps", "time", "datetime", "date", "ts", "ds")
VALUES: Final = ("value", "values", "y", "count", "v")
MISSING: Final = ("", "nan", "null", "none", "na", "n/a")
HEAD: Final = "timestamp,value,anomaly_score,label"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which series, and what is known of it."""
    command.add_argument(
        "--csv", required=True, metavar="FILE", help="timestamp,value rows; - is standard input"
    )
    command.add_argument(
        "--season", default="auto", metavar="S",
        help="auto (default), none, hour, day, week, or its length in rows or seconds (24, 3600s)",
    )  # fmt: skip
    command.add_argument("--kind", choices=KINDS, default="value", help="what values are")
    command.add_argument(
        "--direction", choices=DIRECTIONS, default="both", help="which side is worth an alarm"
    )
    command.add_argument(
        "--step", type=float, default=0.0, metavar="SECONDS", help="between rows; else found out"
    )
    command.add_argument("--zone", default="UTC", metavar="ZONE", help="whose days and weeks count")
    command.add_argument(
        "--min-volume", type=float, default=0.0, metavar="N", help="no alarm below this value"
    )
    command.add_argument(
        "--exclude", action="append", default=[], metavar="START/END",
        help="a range that is neither judged nor learned; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--sensitivity", type=float, default=1.0, metavar="X",
        help="2 is twice as many false alarms, 0.5 half as many",
    )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Judge every row as it is read."""
    try:
        detector = Detector(
            arguments.season, kind=arguments.kind, step=arguments.step,
            direction=arguments.direction, zone=arguments.zone, min_volume=arguments.min_volume,
            exclude=[_range(text) for text in arguments.exclude],
            sensitivity=arguments.sensitivity,
        )  # fmt: skip
    except Rejected as error:
        raise Terminal(str(error)) from None
    live = arguments.csv == "-"
    with (
        nullcontext(sys.stdin) if live
        else Path(arguments.csv).open(encoding="utf-8-sig", newline="")
    ) as file:  # fmt: skip
        print(HEAD, flush=live)
        name = "standard input" if live else arguments.csv
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        for time, value, number, text in _rows(file, name):
            try:
                verdict = detector.update(time, number)
            except Rejected as error:
                raise Terminal(f"{name}, line {text}: {error}") from None
            write((time, value, f"{verdict.score:.6g}", int(verdict.is_anomaly)))
            if live:
                sys.stdout.flush()
    return 0


def _range(text: str) -> tuple[float, float]:
    start, _, end = text.partition("/")
    try:
        return seconds_of(start), seconds_of(end)
    except Rejected as error:
        raise Rejected(f"--exclude takes START/END: {error}") from None


def _rows(file: IO[str], name: str) -> Iterator[tuple[str, str, float, int]]:
    """Timestamp and value as they stand there, the number, and the line."""
    try:
        first = file.readline().lstrip("\ufeff")
        marks = {mark: first.count(mark) for mark in (",", ";", "\t")}
        reader = csv.reader(_again(first, file), delimiter=max(marks, key=marks.__getitem__))
        places: tuple[int, int] | None = None
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if places is None:
                places = _places(cells)
                if _is_head(cells):
                    continue
            yield _row(cells, places, name, reader.line_num)
    except UnicodeDecodeError:
        raise Terminal(f"{name} is no UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise Terminal(f"{name} is no CSV: {error}") from None


def _again(first: str, file: IO[str]) -> Iterator[str]:
    yield first
    yield from file


def _row(
    cells: list[str], places: tuple[int, int], name: str, line: int
) -> tuple[str, str, float, int]:
    if len(cells) <= max(places):
        raise Terminal(f"{name}, line {line}: {len(cells)} columns, where timestamp,value is due")
    time, value = cells[places[0]].strip(), cells[places[1]].strip()
    number = _number(value)
    if number is None:
        raise Terminal(f"{name}, line {line}: {value[:40]!r} is no number")
    return time, value, number, line


def _number(text: str) -> float | None:
    if text.lower() in MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return None


def _is_head(cells: list[str]) -> bool:
    """Whether the first row names columns: nothing in it is a number or a moment."""
    return all(not cell.strip() or _number(cell.strip()) is None for cell in cells) and not any(
        any(letter.isdigit() for letter in cell) and _moment(cell) for cell in cells
    )


def _moment(text: str) -> bool:
    try:
        seconds_of(text)
    except Rejected:
        return False
    return True


def _places(cells: list[str]) -> tuple[int, int]:
    """Which columns are meant: by their names, else the first two."""
    names = [cell.strip().lower() for cell in cells]
    time = next((names.index(each) for each in TIMES if each in names), 0)
    value = next((names.index(each) for each in VALUES if each in names), None)
    return time, value if value is not None else (1 if time == 0 else 0)
