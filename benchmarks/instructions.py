"""Instructions of a captured call, counted by valgrind: a figure that no neighbour disturbs.

The application of `capture.py` is called twice by a fresh interpreter, a few thousand times and
three times as often; the difference is what a call takes, start and imports left out. Needs
valgrind; about a minute and a half.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys

from measure import HERE, Report, scratch, table
from traffic import App, application, receive, scopes, send

FEW, MANY = 2_000, 6_000
KINDS = ("bare", "lakeward")


async def drive(app: App, count: int) -> None:
    """`count` calls, one after the other."""
    made = scopes(FEW)
    for n in range(count):
        await app(dict(made[n % FEW]), receive, send)


def call(kind: str, count: int) -> None:
    """The program that is counted; the ring is large enough for all, so no keeper is needed."""
    app: App = application()
    if kind == "lakeward":
        from lakeward.capture.asgi import LakewardMiddleware

        app = LakewardMiddleware(app)
    asyncio.run(drive(app, count))


def counted(kind: str, count: int, environ: dict[str, str]) -> int:
    """Instructions of a whole run."""
    program = [sys.executable, str(HERE / "instructions.py"), "--call", kind]
    subprocess.run([*program, "1"], env=environ, check=True)  # compiles what is not compiled yet
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        *program,
        str(count),
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found, done.stderr
    return int(found[1])


def main() -> None:
    """Count and report."""
    report = Report("instructions")
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is missing: install it to count instructions")
    each: dict[str, float] = {}
    for kind in KINDS:
        totals = []
        for count in (FEW, MANY):
            with scratch() as environ:
                environ |= {"LAKEWARD_KEEPER": "external", "LAKEWARD_RING_BYTES": "64MiB"}
                totals.append(counted(kind, count, environ))
        each[kind] = (totals[1] - totals[0]) / (MANY - FEW)
    added = each["lakeward"] - each["bare"]
    report.figures = {**each, "added": added}
    rows = [[kind, f"{n:,.0f}"] for kind, n in [*each.items(), ("added by capture", added)]]
    report.say("Instructions for each request.")
    report.say(table(["", "instructions"], rows))
    report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--call"]:
        call(sys.argv[2], int(sys.argv[3]))
    else:
        main()
