"""The commands as a shell runs them: real processes, their exit codes, and what they print."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from conftest import Lake, alive, wait_until
from lakeward.interaction import id_ms, parse_iso
from lakeward.keeper import Keeper
from lakeward.ledger import State
from lakeward.log import read_lines
from test_keeper import keeping

COMMAND = [sys.executable, "-m", "lakeward.cli"]
IN_FOREGROUND = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "runpy.run_module('lakeward.cli', run_name='__main__', alter_sys=True)"
)
"""The same as in a terminal: a job in the background may have Ctrl-C ignored."""
Done = subprocess.CompletedProcess[str]


def environment(lake: Lake, **more: str) -> dict[str, str]:
    """A shell's environment, in which output to a pipe is held back as it usually is."""
    environ = lake.process_env(**more)
    environ.pop("PYTHONUNBUFFERED", None)
    return environ


def lakeward(lake: Lake, *arguments: str | bytes, **environ: str) -> Done:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(lake, **environ), cwd=lake.root.parent,
        capture_output=True, text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


@contextmanager
def running(lake: Lake, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until the test ends it; Ctrl-C reaches it as in a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-c", IN_FOREGROUND, *arguments], env=environment(lake, **environ),
        cwd=lake.root.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8",
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def out(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def sentence(done: Done) -> str:
    """The one line on stderr."""
    [line] = done.stderr.splitlines()
    assert line.startswith("lakeward: "), done.stderr
    return line.removeprefix("lakeward: ")


@pytest.fixture
def kept(lake: Lake) -> Iterator[Lake]:
    """A lake with a keeper, so that no command has to start one."""
    lake.env["LAKEWARD_KEEPER"] = "external"
    lake.root.parent.mkdir(exist_ok=True)
    with keeping_until_done(lake):
        yield lake


@contextmanager
def keeping_until_done(lake: Lake) -> Iterator[None]:
    lake.collector(LAKEWARD_KEEPER="external").attach()
    with keeping(lake):
        yield


# record


def test_record_prints_the_id_of_what_is_durable_by_then(lake: Lake) -> None:
    done = lakeward(lake, "record", "hello", "name=you", "n=1", 'nested={"a":[1,null]}', "x=a=b")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = lake.rows()
    assert done.stdout == row["interaction_id"] + "\n"
    assert row["interaction_type"] == "hello"
    assert row["properties"] == {"name": "you", "n": 1, "nested": {"a": [1, None]}, "x": "a=b"}


def test_record_as_json(kept: Lake) -> None:
    done = lakeward(kept, "record", "hello", "--format", "json")
    assert json.loads(done.stdout) == {"interaction_id": kept.ids()[0]}


def test_record_takes_time_id_and_environment(kept: Lake) -> None:
    done = lakeward(
        kept, "record", "hello", "timestamp=2025-08-14T16:11:28.677Z", "interaction_id=evt_17",
        "environment=staging",
    )  # fmt: skip
    [row] = kept.rows()
    assert id_ms(done.stdout.strip()) == parse_iso("2025-08-14T16:11:28.677Z")
    assert (row["timestamp"], row["environment"]) == ("2025-08-14T16:11:28.677Z", "staging")


@pytest.mark.parametrize("word", ["novalue", "=value", ""])
def test_record_refuses_a_word_that_is_no_field(kept: Lake, word: str) -> None:
    done = lakeward(kept, "record", "hello", "good=1", word)
    assert done.returncode == 2
    assert "key=value" in sentence(done)
    assert kept.rows() == []


@pytest.mark.parametrize(
    "value", [b"x=\xff\xfe", b"x=" + b"[" * 90_000, b"x=\xed\xa0\x80", b"x=\x1b[2J", b"x=1e999"],
    ids=["not UTF-8", "deep", "a surrogate", "control characters", "a number too large"],
)  # fmt: skip
def test_record_keeps_any_bytes_that_a_shell_can_pass(kept: Lake, value: bytes) -> None:
    done = lakeward(kept, "record", "hello", value)
    assert (done.returncode, done.stderr) == (0, "")
    assert kept.ids() == [done.stdout.strip()]


def test_a_rejected_record_exits_1_says_why_and_is_quarantined(kept: Lake) -> None:
    done = lakeward(kept, "record", "partner_match", "partner_id=p1", "score=101")
    assert (done.returncode, done.stdout) == (1, "")
    assert "partner_match refused: `score`" in done.stderr
    assert "(quarantined)" in done.stderr
    assert [row["record"] for row in kept.quarantined()] == [{"partner_id": "p1", "score": 101}]


def test_a_rejected_record_as_json(kept: Lake) -> None:
    done = lakeward(kept, "record", "partner_match", "score=101", "--format", "json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["interaction_id"] is None
    assert "partner_match refused" in answer["error"]


def test_a_record_that_is_not_kept_names_the_reason(kept: Lake) -> None:
    done = lakeward(
        kept, "record", "partner_match", "partner_id=p1", ENABLE_OUTCOME_TRACKING="false"
    )
    assert (done.returncode, sentence(done)) == (1, "not kept: disabled")


def test_record_says_so_when_collection_is_off(kept: Lake) -> None:
    done = lakeward(kept, "record", "hello", ENABLE_DATA_COLLECTION="false")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence(done) == "collection is off: set ENABLE_DATA_COLLECTION=true"


def test_record_says_so_when_nobody_makes_it_durable(lake: Lake) -> None:
    done = lakeward(
        lake, "record", "hello", "--timeout", "0.2", LAKEWARD_KEEPER="external",
        LAKEWARD_EXIT_SECONDS="0",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "lakeward: not durable after 0.2 s" in done.stderr


# tail


def test_tail_shows_the_newest_ten_or_as_many_as_asked(kept: Lake) -> None:
    collector = kept.collector()
    for n in range(13):
        collector.record("hello", user_id=f"user-{n}")
    collector.commit(60)
    shown = lakeward(kept, "tail")
    assert re.findall(r"user=user-(\d+)", shown.stdout) == [str(n) for n in range(3, 13)]
    assert re.findall(r"user-(\d+)", lakeward(kept, "tail", "-n", "2").stdout) == ["11", "12"]
    assert len(lakeward(kept, "tail", "-n", "99").stdout.splitlines()) == 13
    assert lakeward(kept, "tail", "-n", "0").stdout == ""


def test_tail_tells_a_call_in_one_line(kept: Lake) -> None:
    collector = kept.collector()
    collector.record(
        "api_call", method="GET", path="/api/partners", response_status=500, response_time_ms=12.5,
        user_id="ann", error_type="LookupError", timestamp="2025-08-14T16:11:28.677Z",
    )  # fmt: skip
    collector.commit(60)
    assert lakeward(kept, "tail").stdout == (
        "2025-08-14T16:11:28.677Z  api_call  GET  /api/partners  500  12.5 ms  user=ann"
        "  error=LookupError\n"
    )


def test_tail_as_json_is_the_log_line_by_line(kept: Lake) -> None:
    collector = kept.collector()
    for n in range(3):
        collector.record("hello", n=n, city="Zürich \N{SNOWMAN}")
    collector.commit(60)
    done = lakeward(kept, "tail", "--format", "json", PYTHONIOENCODING="ascii")
    assert [json.loads(line) for line in done.stdout.splitlines()] == kept.rows()


def test_a_terminal_that_lacks_a_letter_still_shows_the_line(kept: Lake) -> None:
    collector = kept.collector()
    collector.record("hello", user_id="Zoë")
    collector.commit(60)
    done = lakeward(kept, "tail", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "user=Zo?" in done.stdout


HOSTILE = "".join(map(chr, [*range(32), *range(127, 160), 0x202E, 0x2066, 0x200B, 0x2028, 0xFEFF]))


def test_control_characters_of_visitors_do_not_reach_the_terminal(kept: Lake) -> None:
    collector = kept.collector()
    collector.record(
        "api_call", method=f"GET{HOSTILE}", path=f"/a{HOSTILE}b", user_id=f"u{HOSTILE}v",
        error_type=f"E{HOSTILE}", route=f"/r{HOSTILE}",
    )  # fmt: skip
    collector.record("hello", user_id=f"w{HOSTILE}x")
    collector.commit(60)
    done = lakeward(kept, "tail")
    lines = done.stdout.removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert "/a" in lines[0]
    assert "user=w" in lines[1]
    assert [c for line in lines for c in line if c in HOSTILE or not c.isprintable()] == []


def test_a_line_that_somebody_else_wrote_is_shown_without_control_characters(kept: Lake) -> None:
    collector = kept.collector()
    for _ in range(2):
        collector.record("hello", filler="x" * 50)
    collector.commit(60)
    path = next(kept.root.glob("raw/*/*/*/*.jsonl"))
    content = path.read_bytes()
    at = content.index(b"\n") - 40
    path.write_bytes(content[:at] + b"\x1b]0;title\x07" + content[at + 10 :])
    done = lakeward(kept, "tail")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    assert "title" in done.stdout
    assert "\x1b" not in done.stdout


def test_tail_follows_what_becomes_durable_and_ends_on_ctrl_c(kept: Lake) -> None:
    collector = kept.collector()
    collector.record("hello", user_id="before")
    collector.commit(60)
    with running(kept, "tail", "-f", "-n", "1") as tail:
        assert "user=before" in out(tail.stdout).readline()
        for n in range(5):
            collector.record("hello", user_id=f"during-{n}")
            collector.commit(60)
            assert f"user=during-{n}" in out(tail.stdout).readline()
        tail.send_signal(signal.SIGINT)
        rest, errors = tail.communicate(timeout=120)
        assert (tail.returncode, rest, errors) == (130, "", "")


def test_tail_follows_a_lake_that_is_still_empty(kept: Lake) -> None:
    with running(kept, "tail", "-f", "--format", "json") as tail:
        collector = kept.collector()
        wanted = [collector.record("hello") for _ in range(3)]
        collector.commit(60)
        shown = [json.loads(out(tail.stdout).readline())["interaction_id"] for _ in range(3)]
        assert shown == wanted


# doctor


def test_doctor_is_green_and_exits_0_when_the_sum_holds(kept: Lake) -> None:
    collector = kept.collector()
    for _ in range(5):
        collector.record("hello")
    collector.commit(60)
    done = lakeward(kept, "doctor")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^ +5  delivered", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("the sum holds\n")
    assert "keeper    running" in done.stdout
    answer = json.loads(lakeward(kept, "doctor", "--format", "json").stdout)
    assert (answer["ok"], answer["keeper"], answer["sum"]["delivered"]) == (True, True, 5)


def test_doctor_is_red_and_exits_1_when_a_line_is_missing(kept: Lake) -> None:
    collector = kept.collector()
    for _ in range(5):
        collector.record("hello")
    collector.commit(60)
    path = next(kept.root.glob("raw/*/*/*/*.jsonl"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    done = lakeward(kept, "doctor")
    assert done.returncode == 1
    assert "FAULT" in done.stdout
    assert done.stdout.endswith("the sum does NOT hold\n")
    done = lakeward(kept, "doctor", "--format", "json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert answer["faults"]


@pytest.mark.parametrize("command", ["doctor", "tail"])
def test_a_command_that_reads_makes_no_lake_and_says_that_there_is_none(
    lake: Lake, command: str
) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    done = lakeward(lake, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence(done).startswith(f"there is no lake at {lake.root}")
    assert not lake.root.exists()


def test_a_lake_of_a_later_version_is_refused_with_a_sentence(kept: Lake) -> None:
    identity = kept.root / ".lakeward" / "lake.json"
    identity.write_bytes(identity.read_bytes().replace(b'"format":1', b'"format":9'))
    for command in ("doctor", "tail"):
        done = lakeward(kept, command)
        assert done.returncode == 2
        assert "is of lake format 9 and this Lakeward knows 1" in sentence(done)


# run


def stopped(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """Signal the process and wait for its end; its exit code."""
    process.send_signal(number)
    return process.wait(120)


def test_run_makes_a_lake_and_keeps_it_until_sigterm(lake: Lake) -> None:
    with running(lake, "run") as keeper:
        wait_until(lambda: lake.root.exists() and lake.keeper_pid() == keeper.pid, what="keeping")
        collector = lake.collector(LAKEWARD_KEEPER="external")
        wanted = [collector.record("hello") for _ in range(20)]
        collector.commit(60)
        assert lake.ids() == wanted
        collector.close()
        assert stopped(keeper) == 0
        assert f"keeping {lake.root}" in out(keeper.stderr).read()
    assert lake.keeper_pid() is None
    assert lake.audit().ok


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_run_drains_what_waits_before_it_leaves(lake: Lake, number: int) -> None:
    with running(lake, "run") as keeper:
        wait_until(lambda: lake.root.exists() and lake.keeper_pid() == keeper.pid, what="keeping")
        collector = lake.collector(LAKEWARD_KEEPER="external", LAKEWARD_EXIT_SECONDS="0")
        collector.record("met")
        collector.commit(60)
        keeper.send_signal(signal.SIGSTOP)
        wait_until(lambda: process_state(keeper.pid) == "T", what="the stop")
        for _ in range(500):
            collector.record("hello")
        collector.close()
        assert len(lake.rows()) == 1
        keeper.send_signal(number)
        keeper.send_signal(signal.SIGCONT)
        assert keeper.wait(120) == 0
    assert len(lake.rows()) == 501
    report = lake.audit()
    assert (report.ok, report.rings) == (True, [])


class StopsLate:
    """A task in the middle of whose step the last app says goodbye and the keeper is told to go."""

    def __init__(self, lake: Lake) -> None:
        self.collector = lake.collector(LAKEWARD_KEEPER="external", LAKEWARD_EXIT_SECONDS="0")
        self.collector.attach()
        self.keeper = Keeper(lake.open(), lake.ring_dir, tasks=[self])

    def step(self, state: State) -> None:
        """Act once."""
        for _ in range(50):
            self.collector.record("hello")
        self.collector.close()
        self.keeper.stop()

    def close(self) -> None:
        """Hold nothing."""


def test_a_keeper_told_to_stop_behind_its_round_drains_in_one_more(lake: Lake) -> None:
    StopsLate(lake).keeper.run()
    assert len(lake.rows()) == 50


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def impatient(lake: Lake, seconds: float) -> subprocess.Popen[str]:
    """`lakeward run` that waits for another keeper only so long."""
    code = (
        f"import sys, lakeward.cli.run as run; run.HANDOVER_SECONDS = {seconds}\n"
        "from lakeward.cli import main; sys.exit(main(['run']))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment(lake), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_second_run_says_who_keeps_the_lake_and_exits_2(lake: Lake) -> None:
    with running(lake, "run") as keeper:
        wait_until(lambda: lake.root.exists() and lake.keeper_pid() == keeper.pid, what="keeping")
        second = impatient(lake, 0.2)
        printed, errors = second.communicate(timeout=120)
        assert (second.returncode, printed) == (2, "")
        assert f"lakeward: another keeper holds {lake.root}" in errors
        assert str(keeper.pid) in errors
        assert "Traceback" not in errors
        assert alive(keeper.pid)
        assert stopped(keeper) == 0


def test_a_run_that_waits_for_another_keeper_can_be_told_to_stop(lake: Lake) -> None:
    with running(lake, "run") as keeper:
        wait_until(lambda: lake.root.exists() and lake.keeper_pid() == keeper.pid, what="keeping")
        second = impatient(lake, 2)
        out(second.stderr).readline()
        second.terminate()
        errors = second.communicate(timeout=120)[1]
        assert "another keeper holds" not in errors
        assert second.returncode in {0, -signal.SIGTERM}


def test_run_takes_the_lake_over_from_a_spawned_keeper(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn", LAKEWARD_KEEPER_IDLE_SECONDS="60")
    wanted = [collector.record("before")]
    collector.commit(60)
    spawned = lake.keeper_pid()
    assert spawned not in (None, os.getpid())
    with running(lake, "run") as keeper:
        wait_until(lambda: lake.keeper_pid() == keeper.pid, what="the hand-over")
        wait_until(lambda: not alive(spawned or 0), what="the spawned keeper's end")
        wanted.append(collector.record("after"))
        collector.commit(60)
        assert lake.ids() == wanted
        collector.close()
        assert stopped(keeper) == 0
    assert lake.audit().ok


# import


def lines_of(count: int) -> bytes:
    return b"".join(
        b'{"interaction_type":"page_view","timestamp":"2025-08-14T16:%02d:%02d.000Z","n":%d}\n'
        % (n // 60 % 60, n % 60, n)
        for n in range(count)
    )


def test_import_reads_a_file_once_and_a_second_time_adds_nothing(
    kept: Lake, tmp_path: Path
) -> None:
    (tmp_path / "pages.jsonl").write_bytes(lines_of(300) + b"{broken\n")
    done = lakeward(kept, "import", str(tmp_path / "pages.jsonl"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "pages.jsonl: 300 interactions imported, 1 line quarantined\n"
    assert len(kept.rows()) == 300
    (tmp_path / "renamed.jsonl").write_bytes((tmp_path / "pages.jsonl").read_bytes())
    done = lakeward(kept, "import", str(tmp_path / "renamed.jsonl"), "--format", "json")
    assert done.returncode == 0
    [file] = json.loads(done.stdout)["files"]
    assert (file["name"], file["state"], file["recorded"]) == ("renamed.jsonl", "skipped", 0)
    assert len(kept.rows()) == 300
    assert kept.audit().sum["quarantined"] == 1


def test_import_as_json_counts_each_file(kept: Lake, tmp_path: Path) -> None:
    for name, count in (("a.jsonl", 3), ("b.jsonl", 4)):
        (tmp_path / name).write_bytes(lines_of(count))
    done = lakeward(
        kept, "import", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"), "--format", "json"
    )
    files = json.loads(done.stdout)["files"]
    assert [(f["name"], f["state"], f["lines"], f["recorded"]) for f in files] == [
        ("a.jsonl", "imported", 3, 3),
        ("b.jsonl", "imported", 4, 4),
    ]
    assert {row["properties"]["n"] for row in kept.rows()} == {0, 1, 2, 3}


def test_import_of_a_missing_file_exits_2_and_imports_none_of_the_others(
    kept: Lake, tmp_path: Path
) -> None:
    (tmp_path / "there.jsonl").write_bytes(lines_of(3))
    done = lakeward(kept, "import", str(tmp_path / "there.jsonl"), str(tmp_path / "not.jsonl"))
    assert done.returncode == 2
    assert sentence(done) == f"there is no file {tmp_path / 'not.jsonl'}"
    assert kept.rows() == []


def test_import_reads_standard_input(kept: Lake) -> None:
    done = subprocess.run(
        [*COMMAND, "import", "-", "--type", "page_view"], env=environment(kept),
        input=b'{"n":1}\n{"n":2}\n', capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [row["properties"] for row in kept.rows()] == [{"n": 1}, {"n": 2}]


def test_an_import_killed_at_random_ends_with_each_line_exactly_once(
    kept: Lake, tmp_path: Path
) -> None:
    count = 6000
    lines = lines_of(count // 2) + lines_of(count // 2)  # each line occurs twice
    (tmp_path / "pages.jsonl").write_bytes(lines)
    dice = random.Random(20250814)
    kills = 0
    while len(kept.rows()) < count - 500 and kills < 6:
        threshold = len(kept.rows()) + dice.randrange(1, 1500)
        with running(kept, "import", str(tmp_path / "pages.jsonl")) as importer:
            wait_until(lambda: reached(kept, importer, threshold), what="progress")  # noqa: B023
            importer.kill()
            kills += importer.wait(120) == -signal.SIGKILL
    assert kills >= 1
    done = lakeward(kept, "import", str(tmp_path / "pages.jsonl"))
    assert done.returncode == 0, done.stderr
    found = Counter(row["properties"]["n"] for row in kept.rows())
    assert found == dict.fromkeys(range(count // 2), 2)
    assert len(set(kept.ids())) == count
    report = kept.settled()
    assert report.ok, report.faults


def reached(lake: Lake, importer: subprocess.Popen[str], threshold: int) -> bool:
    durable = sum(1 for _ in read_lines(lake.open()))
    return durable >= threshold or importer.poll() is not None


# demo


def test_a_demo_without_its_extra_says_what_to_install(lake: Lake) -> None:
    code = (
        "import sys; sys.modules['fastapi'] = sys.modules['uvicorn'] = None\n"
        "from lakeward.cli import main; sys.exit(main(['demo']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(lake), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'lakeward[demo]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plain_installation_has_a_doctor(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("signed_up")
    collector.commit()
    code = (
        "import sys, importlib.util as found; looked = found.find_spec\n"
        "absent = {'sqlalchemy', 'alembic', 'duckdb', 'pyarrow', 'deltalake', 'obstore'}\n"
        "sys.modules.update(dict.fromkeys(absent))\n"
        "found.find_spec = lambda name, *more: None if name in absent else looked(name, *more)\n"
        "from lakeward.cli import main; sys.exit(main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(lake), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the sum holds\n")
    assert "watched" not in done.stdout


# Every command


def test_the_lake_option_wins_over_the_environment(kept: Lake, tmp_path: Path) -> None:
    other = tmp_path / "other-lake"
    done = lakeward(kept, "tail", "--lake", str(other))
    assert sentence(done).startswith(f"there is no lake at {other}:")
    shutil.copytree(kept.root, other)
    assert lakeward(kept, "tail", "--lake", "other-lake").returncode == 0
    environ = {"LAKEWARD_LAKE_DIR": str(tmp_path / "nowhere")}
    assert lakeward(kept, "tail", "--lake", str(kept.root), **environ).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["record", "hello"], ["import", "x"]],
    ids=lambda arguments: arguments[0],
)
def test_a_setting_that_cannot_be_read_exits_2_and_is_named(
    lake: Lake, arguments: list[str]
) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    done = lakeward(lake, *arguments, LAKEWARD_RING_LANES="several")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence(done) == "LAKEWARD_RING_LANES must be a number"
    assert not lake.root.exists()


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["tail"], {}),
        (["doctor"], {"LAKEWARD_IP": "some"}),
        (["import", "/not/there"], {}),
        (["record", "hello", "novalue"], {}),
        (["tail", "--lake", b"/not/\xff"], {}),
    ],
    ids=["no lake", "a setting", "no file", "no value", "a path of any bytes"],
)
def test_an_error_as_json_is_one_object_with_the_same_sentence(
    lake: Lake, arguments: list[str | bytes], environ: dict[str, str]
) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    done = lakeward(lake, *arguments, "--format", "json", **environ)
    assert done.returncode == 2
    assert json.loads(done.stdout) == {"error": sentence(done)}


@pytest.mark.parametrize("arguments", [[], ["dance"], ["tail", "-n", "many"]])
def test_a_wrong_argument_exits_2(lake: Lake, arguments: list[str]) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    done = lakeward(lake, *arguments)
    assert done.returncode == 2
    assert "; see `lakeward" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(["tail"], ""), (["doctor"], ""), (["doctor"], "1"), (["record", "hello"], ""),
     (["tail", "--lake", "/not/there", "--format", "json"], ""),
     (["tail", "--lake", "/not/there", "--format", "json"], "1")],
    ids=["tail", "doctor", "doctor, unbuffered", "record", "error", "error, unbuffered"],
)  # fmt: skip
def test_a_reader_that_went_away_is_no_error(
    kept: Lake, arguments: list[str], unbuffered: str
) -> None:
    collector = kept.collector()
    collector.record("hello")
    collector.commit(60)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody_reads:
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=nobody_reads, stderr=subprocess.PIPE, text=True,
            env=kept.process_env(PYTHONUNBUFFERED=unbuffered), timeout=120,
        )  # fmt: skip
    assert "rror" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 2}


def test_tail_into_head_is_quiet(kept: Lake) -> None:
    collector = kept.collector()
    for _ in range(3000):
        collector.record("hello", user_id="somebody-with-a-long-name")
    collector.commit(60)
    done = subprocess.run(
        ["sh", "-c", '"$0" -m lakeward.cli tail -n 3000 | head -1', sys.executable],
        env=environment(kept), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_the_version_is_printed(lake: Lake) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    done = lakeward(lake, "--version")
    assert re.fullmatch(r"lakeward \d+\.\d+\S*\n", done.stdout)


def test_a_command_reads_its_own_module_and_none_of_the_others() -> None:
    code = (
        "import sys; from lakeward.cli import COMMANDS, main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*(n for n in COMMANDS if f'lakeward.cli.{n}' in sys.modules), file=sys.stderr)"
    )
    for words in (["tail", "--help"], ["--", "tail", "--help"], ["--help"], ["nothing"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert done.stderr.splitlines()[-1] == ("tail" if "tail" in words else ""), words
