"""Coverage-guided fuzzing of everything that reads bytes of others.

    python benchmarks/fuzz.py [--seconds 600] [--target NAME] [--findings FOLDER]

Each target of `tests/fuzzing.py` runs in a process of its own under atheris (libFuzzer), for an
equal share of the time, with bounds on memory and on one input's time. An input that breaks a
promise is written to FOLDER (`findings/`) and fails the run; `--replay FILE` with `--target` runs
it again.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

TESTS = Path(__file__).parent.parent / "tests"
INPUT_SECONDS, INPUT_BYTES, MEMORY_MB = 10, 65_536, 1024


def fuzz(name: str, seconds: int, findings: Path, scratch: Path) -> NoReturn:
    """Drive one target in this process; libFuzzer ends it."""
    import atheris

    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["lakeward"]):
        from fuzzing import TARGETS, seeds
    logging.disable()
    corpus = scratch / "corpus"
    for folder in (corpus, scratch / "target", scratch / "seeds"):
        folder.mkdir()
    for n, seed in enumerate(seeds(name, scratch / "seeds")):
        (corpus / f"seed-{n}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS}", f"-max_len={INPUT_BYTES}",
        f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={findings}/{name}-",
        "-print_final_stats=1", "-verbosity=0", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], TARGETS[name](scratch / "target"))
    atheris.Fuzz()
    raise SystemExit("unreachable: libFuzzer ends the process")


def again(name: str, file: Path) -> None:
    """Run one target on one file, with the traceback that it has."""
    sys.path.insert(0, str(TESTS))
    from fuzzing import TARGETS

    with tempfile.TemporaryDirectory() as scratch:
        TARGETS[name](Path(scratch))(file.read_bytes())


def main() -> int:
    """All targets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.findings.mkdir(exist_ok=True)
    if options.replay:
        again(options.target, options.replay)
        return 0
    if options.scratch:
        fuzz(options.target, options.seconds, options.findings, options.scratch)
    sys.path.insert(0, str(TESTS))
    from fuzzing import TARGETS

    names = [options.target] if options.target else list(TARGETS)
    share = max(options.seconds // len(names), 1)
    red = [name for name in names if not _passed(name, share, options.findings)]
    print(f"broken: {', '.join(red)}; see {options.findings}/" if red else "nothing was found")
    return 1 if red else 0


def _passed(name: str, seconds: int, findings: Path) -> bool:
    command = [sys.executable, __file__, "--target", name, "--seconds", str(seconds),
               "--findings", str(findings)]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix=f"lakeward-fuzz-{name}-") as scratch:
        command += ["--scratch", scratch]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
        except subprocess.TimeoutExpired:
            print(f"{name:10} hangs", flush=True)
            return False
    said = done.stderr + done.stdout
    stats = dict(
        line.removeprefix("stat::").split(":") for line in said.splitlines() if "stat::" in line
    )
    inputs = int(stats.get("number_of_executed_units", "0"))
    peak = int(stats.get("peak_rss_mb", "0"))
    ok = done.returncode == 0 and inputs > 0 and peak < MEMORY_MB
    print(f"{name:10} {inputs:>12,} inputs, {peak} MB{'' if ok else '   BROKEN'}", flush=True)
    if not ok:
        print(said[-4000:], flush=True)
    return ok


if __name__ == "__main__":
    sys.exit(main())
