"""Questions put by the command, all in one process: an engine's session is opened once.

    python tests/asking_engine.py ENGINE ANSWERS < QUESTIONS

QUESTIONS has a line `["trend", {…}]` for each, ANSWERS gets the rows of each as a line, as soon as
they are there.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

from lakeward.cli import main


def ask(engine: str, name: str, parameters: object) -> Any:
    """`lakeward ask`."""
    words = ("ask", name, json.dumps(parameters), "--engine", engine, "--format", "json")
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(words) == 0, words
    return json.loads(out.getvalue())


if __name__ == "__main__":
    with open(sys.argv[2], "w", buffering=1) as answers:
        for asked in map(json.loads, sys.stdin):
            answers.write(json.dumps(ask(sys.argv[1], *asked)) + "\n")
