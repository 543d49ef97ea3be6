"""The tables of docs/scale.md, computed from measured figures and stated prices.

    python benchmarks/scale_page.py        writes them into the page

In: `scale.json` and the sections of README.md, as the benchmarks wrote them; prices, which are
assumptions and stand in `PRICES`. Out: Markdown between the marks of the page. A test holds the
page against this, so that a figure that is measured anew changes the arithmetic with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import floor, log10
from pathlib import Path
from typing import Any, Final

import msgspec

from measure import HERE, README, table

PAGE: Final = HERE.parent / "docs" / "scale.md"
FIGURES: Final = HERE / "scale.json"
PRICES: Final[dict[str, tuple[float, str]]] = {
    "s3_gb_month": (0.023, "S3 Standard, a GB for a month"),
    "s3_put": (0.005 / 1000, "S3, a PUT or LIST"),
    "s3_get": (0.0004 / 1000, "S3, a GET or HEAD"),
    "dynamodb_write": (0.625 / 1e6, "DynamoDB on demand, a write unit"),
    "dynamodb_gb_month": (0.25, "DynamoDB, a GB for a month"),
    "lambda_request": (0.20 / 1e6, "Lambda, an invocation"),
    "lambda_gb_second": (0.0000166667, "Lambda (x86), a GB-second"),
    "http_api": (1.00 / 1e6, "HTTP API, a request"),
    "core_hour": (0.0446, "a vCPU of a host for an hour (c7i.large, on demand, 2 vCPU)"),
    "athena_tb": (5.0, "Athena, a TB scanned; at least 10 MB a question"),
}
"""USD, us-east-1, list prices of 2025 without any free tier."""
MONTH_S: Final = 30 * 86_400
PEAK: Final = 4
"""The busiest second beside the mean one."""
ROOM: Final = 2
"""Cores beside what is busy at the peak."""
A_REQUEST: Final = 20
"""Interactions of one request to the Lambda."""
LAMBDA_GB: Final = 0.5
LAMBDA_CORE: Final = 512 / 1769
"""A function's share of a core, by its memory (AWS gives a whole one at 1,769 MB)."""
LAMBDA_WAIT_MS: Final = 30.0
"""What an object takes S3 to answer for: an assumption, as only an emulator was asked."""
MIB: Final = 1 << 20


class Figures(msgspec.Struct, frozen=True):
    """What was measured, each for one interaction unless it says otherwise."""

    line: float
    archived: float
    row: float
    item: float
    write_units: float
    indexes: float
    ingest_us: dict[int, float]
    """CPU of the server by the interactions of a request."""
    s3_us: float
    dynamodb_us: float
    compact_us: float
    merge_us: float
    commit_puts: float
    commit_gets: float
    """Requests of one commit of 16 MiB of lines."""
    athena: float
    """Bytes that the question in the middle reads of a row."""
    lambda_one_ms: float
    lambda_hundred_ms: float
    """CPU of a warm request of one interaction, and of a hundred."""
    questions: dict[str, float]
    """CPU seconds of a question for ten million rows."""


def figures() -> Figures:
    """All that the tables are made of."""
    found: dict[str, Any] = msgspec.json.decode(FIGURES.read_bytes())
    text = README.read_text()
    commit = found["compact_log"]
    asked = {kind: n / commit["commits"] for kind, n in commit["requests"].items()}
    read = sorted(found["athena_bytes"].values())
    ingest = {int(n.replace(",", "")): float(us) for n, us in re.findall(
        r"\| ([\d,]+) +\|(?: +[\d.]+ \([\d.…]+\) +\|){2} +([\d.]+) \(", section(text, "ingest")
    )}  # fmt: skip
    ten, _, _ = section(text, "questions").partition("50,000,000 rows")
    questions = {name: float(s) for name, s in re.findall(r"\| (\w+) +\| ([\d.]+) \(", ten)}
    return Figures(
        found["line_bytes"], found["archive_bytes"], found["table_bytes"], found["item_bytes"],
        found["write_units"], found["indexes"], ingest, found["ship_s3_cpu_us"]["median"],
        found["ship_dynamodb_cpu_us"]["median"],
        number(text, "lake", r"Lakeward compacts +\| ([\d.]+)"),
        number(text, "lake", r"costs ([\d.]+) µs of CPU a row"),
        asked["PUT"] + asked["LIST"], asked["GET"] + asked["HEAD"], read[len(read) // 2],
        number(text, "functions", WARM.format(1)), number(text, "functions", WARM.format(100)),
        questions,
    )  # fmt: skip


WARM: Final = r"\| {} +\| [\d.]+ \([^)]*\) +\| ([\d.]+)"


def number(text: str, name: str, pattern: str) -> float:
    """A figure in what a benchmark wrote."""
    found = re.search(pattern, section(text, name))
    if found is None:
        raise SystemExit(f"README.md has no such figure of {name}: run its benchmark with --write")
    return float(found[1])


def section(text: str, name: str) -> str:
    """What a benchmark wrote into README.md."""
    _, _, rest = text.partition(f"<!-- {name}: begin -->")
    return rest.partition(f"<!-- {name}: end -->")[0]


def price(name: str) -> float:
    """One of the assumptions."""
    return PRICES[name][0]


def prices(_: Figures) -> str:
    """The assumptions."""
    return table(["USD", "for"], [[f"{usd:.10f}".rstrip("0").rstrip("."), what]
                                  for usd, what in PRICES.values()])  # fmt: skip


def units(f: Figures) -> str:
    """What one interaction weighs, and costs its host."""
    rows = [
        ["line of the log", f"{f.line:.0f} bytes", "scale.py"],
        ["in the archive (gzip)", f"{f.archived:.1f} bytes", "scale.py"],
        ["row of the table", f"{f.row:.1f} bytes", "scale.py"],
        ["item in DynamoDB", f"{f.item:.0f} bytes, {f.write_units:.2f} write units", "scale.py"],
        ["taken over HTTP, one a request", f"{f.ingest_us[1]:.0f} µs of CPU", "ingest.py"],
        ["… a hundred a request", f"{f.ingest_us[100]:.0f} µs", "ingest.py"],
        ["shipped to S3", f"{f.s3_us:.1f} µs", "scale.py"],
        ["put into DynamoDB", f"{f.dynamodb_us:.0f} µs", "scale.py"],
        ["into the table, merged later", f"{f.compact_us + f.merge_us:.1f} µs", "lake.py"],
        ["a commit of 16 MiB to a table in S3",
         f"{f.commit_puts:.0f} PUT and LIST, {f.commit_gets:.0f} GET and HEAD", "scale.py"],
        ["Athena, the question in the middle", f"{f.athena:.1f} bytes a row", "scale.py"],
        ["Lambda, warm, a request of one", f"{f.lambda_one_ms:.2f} ms of CPU", "functions.py"],
        ["… of a hundred", f"{f.lambda_hundred_ms:.2f} ms of CPU", "functions.py"],
    ]  # fmt: skip
    return table(["an interaction", "measured", "by"], rows)


STEPS: Final = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


def day(f: Figures) -> str:
    """What a day makes at each rate, kept up all day, and the cores that are busy with it."""
    rows = []
    for rate in STEPS:
        lines = rate * 86_400
        slices = max(lines * f.line / (16 * MIB), min(lines, 86_400 / 60))
        cores = rate * (f.ingest_us[100] + f.s3_us + f.compact_us + f.merge_us) / 1e6
        rows.append([
            f"{rate:,}", size(lines * f.line), size(lines * f.archived), size(lines * f.row),
            f"{slices:,.0f}", short(cores), short(rate * f.dynamodb_us / 1e6),
        ])  # fmt: skip
    head = ["events/s", "log, a day", "archive", "table", "objects, and commits, a day",
            "cores: take, ship, compact", "more for DynamoDB"]  # fmt: skip
    return table(head, rows)


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:.3g} {unit}" if number < 100 else f"{number:,.0f} {unit}"
        number /= 1000
    raise AssertionError


def hosts(f: Figures, events: float, dynamodb: bool) -> float:
    """USD a month for cores: as many as the peak needs, with room, and at least one host of two."""
    each = f.ingest_us[10] + f.s3_us + f.compact_us + f.merge_us + dynamodb * f.dynamodb_us
    cores = max(events / MONTH_S * PEAK * ROOM * each / 1e6, 2)
    return cores * price("core_hour") * MONTH_S / 3600


def archive(f: Figures, events: float) -> float:
    """USD a month: a month's objects, kept for a month."""
    objects = max(events * f.line / (16 * MIB), min(events, MONTH_S / 60))
    return objects * price("s3_put") + events * f.archived / 1e9 * price("s3_gb_month")


def in_s3(f: Figures, events: float) -> float:
    """USD a month: the table's commits, and a month's rows."""
    commits = max(events * f.line / (16 * MIB), min(events, MONTH_S / 60))
    asked = f.commit_puts * price("s3_put") + f.commit_gets * price("s3_get")
    return commits * asked + events * f.row / 1e9 * price("s3_gb_month")


def items(f: Figures, events: float) -> float:
    """USD a month: putting a month's items, and keeping them with their indexes."""
    kept = events * f.item * (1 + f.indexes) / 1e9
    return events * f.write_units * price("dynamodb_write") + kept * price("dynamodb_gb_month")


def function(f: Figures, events: float) -> float:
    """USD a month: API, Lambda, an object for each request, and the cores that compact."""
    requests = events / A_REQUEST
    cpu_ms = f.lambda_one_ms + (f.lambda_hundred_ms - f.lambda_one_ms) * (A_REQUEST - 1) / 99
    gb_seconds = (cpu_ms / LAMBDA_CORE + LAMBDA_WAIT_MS) / 1000 * LAMBDA_GB
    each = ("http_api", "lambda_request", "s3_put", "s3_get")  # compaction gets the object
    a_request = sum(map(price, each)) + gb_seconds * price("lambda_gb_second")
    compacting = events * (f.compact_us + f.merge_us) / 1e6 / 3600 * price("core_hour") * ROOM
    return requests * a_request + compacting


def asking(f: Figures, events: float) -> float:
    """USD for one question over a month by Athena."""
    return max(events * f.athena, 10e6) / 1e12 * price("athena_tb")


VOLUMES: Final = ((1e6, "1 million"), (1e7, "10 million"), (1e8, "100 million"), (1e9, "1 billion"))
COSTS: Final[tuple[tuple[str, Callable[[Figures, float], float]], ...]] = (
    ("hosts that take, ship and compact", lambda f, n: hosts(f, n, False)),
    ("… and put items into DynamoDB", lambda f, n: hosts(f, n, True)),
    ("archive in S3", archive),
    ("table in S3", in_s3),
    ("DynamoDB, items of a month", items),
    ("Lambda in the place of hosts", function),
    ("one question by Athena over the month", asking),
)  # fmt: skip


def costs(f: Figures) -> str:
    """USD a month for each part, by how many interactions a month has."""
    rows = [[name, *(usd(cost(f, n)) for n, _ in VOLUMES)] for name, cost in COSTS]
    return table(["USD a month", *(name for _, name in VOLUMES)], rows)


def short(number: float) -> str:
    """Two digits that matter, never an exponent."""
    if number < 0.001:
        return "< 0.001"
    digits = max(1 - floor(log10(number)), 0)
    return f"{round(number, 1 - floor(log10(number))):,.{digits}f}"


def usd(amount: float) -> str:
    """As an invoice has it."""
    if amount < 0.01:
        return "< 0.01"
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2f}"


def asked(f: Figures) -> str:
    """CPU of questions, by rows."""
    rows = [[name, *(short(cpu * n / 1e7) for n in (1e7, 1e8, 1e9))]
            for name, cpu in f.questions.items()]  # fmt: skip
    return table(["CPU seconds over", "10 million rows", "100 million", "1 billion"], rows)


TABLES: Final = {"units": units, "day": day, "costs": costs, "asked": asked, "prices": prices}


def rendered(page: str) -> str:
    """The page with its tables as they must be."""
    found = figures()
    for name, make in TABLES.items():
        first, last = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, mark, rest = page.partition(first)
        _, end, after = rest.partition(last)
        if not (mark and end):
            raise SystemExit(f"the page has no marks for {name}")
        page = f"{before}{first}{make(found)}\n{last}{after}"
    return page


def main(path: Path = PAGE) -> None:
    """Write the page's tables."""
    path.write_text(rendered(path.read_text()))


if __name__ == "__main__":
    main()
