"""Commands of `lakeward` in the test's own process.

A process of its own loads the database's library anew, which takes thirty times as long as the
command; the tests of the command itself start one, others need only what it does.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from typing import Any

from conftest import Lake
from lakeward.cli import parser
from lakeward.settings import load


def answer_of(lake: Lake, *words: str, typed: str = "") -> Any:
    """What `lakeward … --format json` says of the lake, with `typed` on its stdin.

    Errors: what the command raises, which `lakeward` would say in a sentence.
    """
    arguments = parser(words).parse_args([*words, "--format", "json"])
    command = importlib.import_module(f"lakeward.cli.{words[0]}")
    settings = load({**os.environ, **lake.env}, lake.root.parent)
    before, sys.stdin = sys.stdin, io.StringIO(typed)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert command.run(settings, arguments) == 0, said.getvalue()
    finally:
        sys.stdin = before
    return json.loads(said.getvalue())
