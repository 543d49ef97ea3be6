"""Users of an experiment in a CSV: one row for each, with its arm and what was measured.

In: a file with the columns `user`, `arm` and any of numbers; `NAME_before` is what `NAME` was
before the exposure, its covariate. Out: the population, and the metrics asked for. Fails with
`Terminal`, naming the line, for a row that cannot be read.

    user,arm,orders,orders_before       a user in several arms is set aside with all rows
    u1,control,2,1                      a row that comes again counts once
    u2,treatment,0,0                    a user whose rows differ is set aside
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from lakeward.analysis.experiment.metric import Kind, written
from lakeward.analysis.experiment.moments import Estimate, Moments, of_rows, quantile
from lakeward.analysis.experiment.result import Aside, Observed, Population, Role
from lakeward.errors import Rejected, Terminal

USER: Final = "user"
ARM: Final = "arm"
BEFORE: Final = "_before"
LONGEST: Final = 512
MOST_COLUMNS: Final = 200
Z95: Final = 1.959963984540054


class Sheet:
    """Users by arm, with their numbers."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.arms: dict[str, list[tuple[float, ...]]] = {}
        self.set_aside: list[Aside] = []

    def population(self, experiment: str) -> Population:
        """Who took part."""
        arms = {arm: len(rows) for arm, rows in self.arms.items()}
        return Population(experiment=experiment, arms=arms, set_aside=self.set_aside)

    def names(self) -> list[str]:
        """The columns that are metrics of their own."""
        return [name for name in self.columns if not name.endswith(BEFORE)]

    def observed(self, text: str, role: Role = "metric") -> Observed:
        """What a metric showed."""
        wanted = written(text)
        places = [self._place(name, text) for name in wanted.parts]
        kind: Kind = wanted.kind
        if kind == "share" and not self._is_share(places[0]):
            kind = "mean"
        if wanted.quantile is not None:
            held = self._quantiles(places[0], wanted.quantile)
            return Observed(
                metric=wanted.label, kind=kind, role=role, lower=wanted.lower, arms=held
            )
        fields = "yd"[: len(places)]
        before = [name + BEFORE for name in wanted.parts]
        covariate = all(name in self.columns for name in before)
        if covariate:
            places += [self.columns.index(name) for name in before]
            fields += "xz"[: len(before)]
        moments: dict[str, Moments] = {
            arm: of_rows([[row[n] for n in places] for row in rows], fields)
            for arm, rows in self.arms.items()
        }
        return Observed(
            metric=wanted.label, kind=kind, role=role, lower=wanted.lower, arms=moments,
            covariate=covariate,
        )  # fmt: skip

    def _place(self, name: str, text: str) -> int:
        if name not in self.columns:
            raise Rejected(
                f"{text[:60]!r}: there is no column {name[:60]!r}: take one of "
                f"{', '.join(self.names()) or 'those you add'}."
            )
        return self.columns.index(name)

    def _is_share(self, n: int) -> bool:
        """Whether a column holds nothing but 0 and 1."""
        return all(row[n] in (0.0, 1.0) for rows in self.arms.values() for row in rows)

    def _quantiles(self, n: int, share: float) -> dict[str, Estimate]:
        return {
            arm: order_statistics(sorted(row[n] for row in rows), share)
            for arm, rows in self.arms.items()
        }


def order_statistics(values: Sequence[float], share: float) -> Estimate:
    """A quantile by nearest rank, and the values at the ends of its interval: one per unit."""
    n = len(values)
    if n < 2:
        return quantile(n, None, None, None, Z95)
    half = Z95 * math.sqrt(share * (1 - share) / n)
    low = max(1, math.ceil(max(0.0, share - half) * n))
    high = min(n, math.floor(min(1.0, share + half) * n) + 1)
    middle = max(1, math.ceil(share * n))
    return quantile(n, values[middle - 1], values[low - 1], values[high - 1], Z95)


def read(path: Path) -> Sheet:
    """The users of a file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            try:
                columns = _header(next(lines, []), path)
                return _sheet(columns, _rows(lines, columns, path))
            except csv.Error as error:
                raise Terminal(f"{path}, line {lines.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise Terminal(f"{path} is not UTF-8: save it as such") from None


def _header(names: list[str], path: Path) -> list[str]:
    names = [name.strip() for name in names]
    if USER not in names or ARM not in names:
        raise Terminal(f"{path}, line 1: the columns must be user, arm and numbers")
    if len(set(names)) < len(names) or "" in names:
        raise Terminal(f"{path}, line 1: each column needs a name of its own")
    if len(names) > MOST_COLUMNS:
        raise Terminal(f"{path}, line 1: there are more than {MOST_COLUMNS} columns")
    return names


Row = tuple[str, str, tuple[float, ...]]


def _rows(lines: Iterator[list[str]], columns: Sequence[str], path: Path) -> Iterator[Row]:
    user, arm = columns.index(USER), columns.index(ARM)
    for cells in lines:
        if not cells:
            continue
        where = f"{path}, line {lines.line_num}"  # type: ignore[attr-defined]  # csv.reader's own
        if len(cells) != len(columns):
            raise Terminal(f"{where}: {len(cells)} cells for {len(columns)} columns")
        for n in (user, arm):
            if not 0 < len(cells[n].strip()) <= LONGEST:
                raise Terminal(f"{where}: {columns[n]} must have 1 to {LONGEST} letters")
        numbers = tuple(
            _number(cell, name, where)
            for n, (name, cell) in enumerate(zip(columns, cells, strict=True))
            if n not in (user, arm)
        )
        yield cells[user].strip(), cells[arm].strip(), numbers


def _number(cell: str, name: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in cell:
        empty = " (an empty one counts as nothing: write 0)" if not cell.strip() else ""
        raise Terminal(f"{where}: {name} must be a number{empty}")
    return value


def _sheet(columns: Sequence[str], rows: Iterator[Row]) -> Sheet:
    """Users of one arm and one set of numbers; the others are set aside and counted."""
    sheet = Sheet([name for name in columns if name not in (USER, ARM)])
    first: dict[str, tuple[str, tuple[float, ...]]] = {}
    crossed: dict[str, set[str]] = {}
    differing: set[str] = set()
    repeated = 0
    for user, arm, numbers in rows:
        sheet.arms.setdefault(arm, [])
        if user not in first:
            first[user] = (arm, numbers)
        elif first[user] == (arm, numbers):
            repeated += 1
        elif first[user][0] == arm:
            differing.add(user)
        else:
            crossed.setdefault(user, {first[user][0]}).add(arm)
    for user, (arm, numbers) in first.items():
        if user not in crossed and user not in differing:
            sheet.arms[arm].append(numbers)
    sheet.set_aside = [*_counted("several_arms", crossed)]
    for reason, units in (("repeated_rows", repeated), ("differing_rows", len(differing))):
        if units:
            sheet.set_aside.append(Aside(reason, None, units))
    return sheet


def _counted(reason: str, crossed: Mapping[str, set[str]]) -> Iterator[Aside]:
    counts: dict[str, int] = {}
    for arms in crossed.values():
        together = " + ".join(sorted(arms))
        counts[together] = counts.get(together, 0) + 1
    return (Aside(reason, arms, units) for arms, units in sorted(counts.items()))
