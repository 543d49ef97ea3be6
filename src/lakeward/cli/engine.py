"""Who answers a question of the command line: this machine's DuckDB, a Spark, or Athena.

In: `--engine` and settings. Out: what a question is put to, for as long as it is open, and the SQL
as that engine says it. Fails with `MissingExtra` and `Terminal` where the engine is not there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.question import Answer, Question

    Put = Callable[[Question], Answer]

ENGINES: Final = ("duckdb", "spark", "athena")


def add_engine(command: argparse.ArgumentParser) -> None:
    """Who answers."""
    command.add_argument(
        "--engine", choices=ENGINES, default="duckdb", help="who answers (duckdb: this machine)"
    )


@contextmanager
def asked_of(settings: Settings, engine: str) -> Iterator[Put]:
    """What takes questions; the files that it reads are kept so long."""
    from lakeward.analysis.engines import ask_engine
    from lakeward.analysis.question import ask
    from lakeward.lake.reading import Reading
    from lakeward.lake.scratch import scratch

    lake = open_lake(settings.lake_dir, create=False)
    memory = settings.query_memory
    with scratch(lake) as spill, Reading(lake, settings, memory=memory, spill=spill) as reading:
        if engine == "spark":
            from lakeward.analysis.spark import Spark

            yield partial(ask_engine, Spark.of(reading))
        elif engine == "athena":
            from lakeward.analysis.athena import Athena

            with closing(Athena.of(reading)) as athena:
                yield partial(ask_engine, athena)
        else:
            yield partial(ask, reading)


def said(settings: Settings, question: Question, engine: str) -> str:
    """The statement; for DuckDB with the values of its parameters as comments."""
    if engine == "athena":
        from lakeward.analysis.athena import shown

        return shown(question, settings)
    if engine == "spark":
        from lakeward.analysis.spark import shown as shown_to_spark

        return shown_to_spark(question)
    statement = question.sql()
    values = (f"-- ${name} = {value!r}" for name, value in statement.parameters.items())
    return "\n".join([statement.text, *values])
