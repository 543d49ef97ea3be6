"""The jail: what the locks hold when the guard does not, and what a question may take."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from attacks_sql import ATTACKS, QUESTIONS
from clouds import BUCKET, Cloud
from conftest import alive, wait_until
from jail_cell import LOCKED, Opened, Outcome
from lakeward import suppression
from lakeward.errors import LakewardError, MissingExtra, Rejected, Terminal
from lakeward.lake import answer as answer_module
from lakeward.lake import jail
from lakeward.lake.answer import Answer, sql
from lakeward.lake.guard import check, parser
from lakeward.lake.jailed import VIEWS, locking
from lakeward.lake.reading import Reading
from lakeward.person import Person
from lakeward.settings import Settings
from test_query_guard import filled
from test_table import NOON, Desk, line
from test_table_s3 import desk_at

TESTS = Path(__file__).parent
CANARY = "canary-7f3a"
TRACED = "trace=%file,%network,execve,memfd_create"


class Cell:
    """A jail without a guard: a lake with rows in table and log, and a folder with a secret."""

    def __init__(self, root: Path) -> None:
        desk = Desk(root)
        desk.log.append(line(user_id=f"u{n}", response_time_ms=n / 2) for n in range(1000))
        desk.compact()
        desk.log.append(line(user_id=f"t{n}", interaction_type="api_call") for n in range(100))
        self.root = desk.lake.root
        self.outside = root / "outside"
        self.outside.mkdir()
        self.secret = self.outside / "secret.csv"
        self.secret.write_text(f"a,b\n{CANARY},1\n")
        shutil.copy(next(self.root.glob("table/*/*.parquet")), self.outside / "x.parquet")
        self.before = {path: path.read_bytes() for path in self.outside.iterdir()}
        self.trace = root / "trace"
        command = [sys.executable, str(TESTS / "jail_cell.py"), str(self.root)]
        if shutil.which("strace"):
            traced = ["strace", "-f", "-qq", "-s", "4096", "-e", TRACED, "-o", str(self.trace)]
            command = [*traced, *command]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root,
            stderr=subprocess.DEVNULL,
            env=os.environ | jail.LEAN | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        self.files = msgspec.json.decode(self._said(), type=Opened).files

    def _said(self) -> bytes:
        return cast(IO[bytes], self._child.stdout).readline()

    def ask(self, sql: str) -> Outcome:
        stdin = cast(IO[bytes], self._child.stdin)
        stdin.write(msgspec.json.encode(sql) + b"\n")
        stdin.flush()
        return msgspec.json.decode(self._said(), type=Outcome)

    def places(self, sql: str) -> str:
        places = {"out": self.outside / "out", "secret": self.secret, "folder": self.outside}
        return filled(sql, {name: str(path) for name, path in places.items()})

    def opened(self) -> list[str]:
        """What the system was asked to open, run or reach since the lock; ends the cell."""
        self.close()
        _, _, locked = self.trace.read_text(errors="replace").partition(LOCKED)
        assert locked
        calls = re.findall(r"^\d+ +(?:<\.\.\. )?(\w+).*", locked, re.MULTILINE)
        assert calls
        reaching = re.compile(
            r"^\d+ +((?:open|openat|openat2|creat|execve|connect|socket|memfd_create|mkdir|mkdirat"
            r"|rename|renameat2?|link|linkat|symlink|truncate|chmod)\(.*)$",
            re.MULTILINE,
        )
        return [call for call in reaching.findall(locked) if not self._expected(call)]

    def _expected(self, call: str) -> bool:
        if (
            call.startswith(("open(", "openat("))
            and "O_WRONLY" not in call
            and "O_RDWR" not in call
        ):
            path = re.search(r'"([^"]*)"', call)
            # Python itself may load a module of its own that it needs late.
            own = (sys.prefix, sys.base_prefix, "/proc/self/", "/sys/", "/usr/lib", "/lib")
            return path is not None and (path[1] in self.files or path[1].startswith(own))
        return False

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            cast(IO[bytes], self._child.stdin).close()
        cast(IO[bytes], self._child.stdout).close()
        self._child.wait(120)


@pytest.fixture
def own_cell(tmp_path: Path) -> Iterator[Cell]:
    made = Cell(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    made = Cell(tmp_path_factory.mktemp("cell"))
    yield made
    made.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_without_the_guard_no_attack_reads_or_writes_a_file(cell: Cell, name: str) -> None:
    outcome = cell.ask(cell.places(ATTACKS[name]))
    assert CANARY not in outcome.rows
    assert CANARY not in outcome.error
    assert {path: path.read_bytes() for path in cell.outside.iterdir()} == cell.before


def test_after_all_attacks_nothing_but_the_listed_files_was_opened(own_cell: Cell) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not there to see what is opened")
    for attack in ATTACKS.values():
        own_cell.ask(own_cell.places(attack))
    assert own_cell.opened() == []


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A cell that only gets what the guard passed."""
    made = Cell(tmp_path_factory.mktemp("asked"))
    yield made
    made.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_passes_is_answered_in_the_jail(asked: Cell, question: str) -> None:
    assert asked.ask(question).error == ""


def _functions() -> list[str]:
    with duckdb.connect() as con:
        rows = con.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()
    return sorted(name for (name,) in rows if re.fullmatch(r"\w+", name))


VALUES = [
    "'{secret}'", "'{folder}/*'", "'{folder}/x.parquet'", "1", "'a'", "user_id", "[1, 2]", "NULL",
    "['{secret}']", "(SELECT max(user_id) FROM click)", "properties", "'SELECT 1'", "lambda x: x",
]  # fmt: skip
SOURCES = [
    "click", "interactions", "api_call t", "'{secret}'", '"{secret}"', "'{folder}/x.parquet'",
    "tail",
    "range(3) t(user_id)", "(SELECT 1 AS user_id) t", "main.click", "duckdb_logs", "a",
]  # fmt: skip
CALLS = st.builds(
    lambda name, given: f"{name}({', '.join(given)})",
    st.sampled_from(_functions()),
    st.lists(st.sampled_from(VALUES), max_size=3),
)
SHAPES = [
    "SELECT {0} FROM {1}",
    "SELECT {0} FROM {1} WHERE {0} IS NOT NULL LIMIT 3",
    "FROM {0}",
    "FROM {1}, {0}",
    "WITH a AS (SELECT {0} AS user_id FROM {1}) SELECT count(*) FROM a",
    "SELECT count(*) FROM {1} ORDER BY {0}",
    "SELECT list_transform([1], lambda x: {0}) FROM {1}",
    "SELECT (SELECT {0} FROM {1} LIMIT 1)",
    "DESCRIBE SELECT {0} FROM {1}",
    "COPY (SELECT {0} FROM {1}) TO '{{folder}}/out'",
    "SELECT 1; SELECT {0} FROM {1}",
]


def test_whatever_the_guard_passes_opens_the_listed_files_only(own_cell: Cell) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not there to see what is opened")
    cell = own_cell
    passed: list[str] = []
    with parser() as parsing:

        @hypothesis_settings(
            max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        @given(st.sampled_from(SHAPES), CALLS, st.sampled_from(SOURCES))
        def asks(shape: str, call: str, source: str) -> None:
            query = cell.places(shape.format(call, source))
            try:
                check(query, VIEWS, parsing)
            except Rejected:
                return
            passed.append(query)
            outcome = cell.ask(query)
            assert CANARY not in outcome.rows
            assert "Permission" not in outcome.error, "the guard let through what the lock stopped"

        asks()
    assert len(passed) > 20
    assert {path: path.read_bytes() for path in cell.outside.iterdir()} == cell.before
    assert cell.opened() == []


# What a question may take


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("desk"))
    made.log.append(line(user_id=f"u{n}", response_time_ms=n / 2) for n in range(100))
    made.compact()
    made.log.append(line(user_id=f"t{n}", interaction_type="api_call") for n in range(10))
    return made


def within(desk: Desk, seconds: float = 60, memory: int = 1 << 30) -> Settings:
    return msgspec.structs.replace(
        desk.settings, lake_dir=desk.lake.root, query_seconds=seconds, query_memory=memory
    )


def ask(settings: Settings, query: str) -> list[dict[str, object]]:
    with Answer(settings, query) as answer:
        return [row for batch in answer for row in batch.to_pylist()]


def test_table_and_log_are_asked_together_each_row_once(desk: Desk) -> None:
    query = "SELECT interaction_type AS kind, count(*) AS n FROM interactions GROUP BY 1 ORDER BY 1"
    assert ask(within(desk), query) == [{"kind": "api_call", "n": 10}, {"kind": "click", "n": 100}]


def test_the_least_memory_that_can_be_set_is_enough_to_ask(desk: Desk) -> None:
    [row] = ask(within(desk, memory=256 << 20), "SELECT sum(response_time_ms) AS s FROM click")
    assert row == {"s": 2475.0}


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT count(*) FROM range(1000000000000) a, range(1000000) b",
        "SELECT max(md5(a::VARCHAR)) FROM range(1000000000000) t(a)",
        "SELECT max(len(list_transform(range(a % 99), lambda x: a))) FROM range(999999999) t(a)",
    ],
)
def test_an_endless_query_is_killed_when_its_time_is_over(desk: Desk, query: str) -> None:
    settings = within(desk, seconds=3)
    with pytest.raises(Terminal, match=r"longer than 3 seconds.*LAKEWARD_QUERY_SECONDS"):
        ask(settings, query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(a) FROM range(10000000000) t(a)",
        "SELECT len(repeat('x', 2000000000) || repeat('y', 2000000000))",
        "SELECT count(DISTINCT md5(a::VARCHAR)) FROM range(1000000000) t(a)",
        "SELECT a FROM range(1000000000) t(a) ORDER BY hash(a)",
        "SELECT len(range(500000000))",
    ],
)
def test_a_memory_bomb_is_refused_in_one_sentence(desk: Desk, query: str) -> None:
    with pytest.raises(Terminal, match=r"memory.*LAKEWARD_QUERY_MEMORY \(now 256 MiB\)"):
        ask(within(desk, memory=256 << 20), query)


def test_an_answer_without_end_is_cut_off_with_an_error(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jail, "ANSWER_BYTES", 8 << 20)
    with pytest.raises(Terminal, match="more than 8 MiB: count, group or LIMIT it"):
        ask(within(desk), "SELECT repeat('x', 1000) FROM range(1000000000000)")


def test_the_kernel_holds_the_bounds_where_duckdb_does_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "import duckdb\n"
        "from lakeward.lake.jailed import bound, lock_connection\n"
        "bound(256 << 20, 60); lock_connection(duckdb.connect(), [])\n"
        "found = []\n"
        "try: bytearray(1 << 30)\n"
        "except MemoryError: found.append('memory')\n"
        "try: Path(sys.argv[1]).write_bytes(b'x')\n"
        "except OSError: found.append('file')\n"
        "try: fds = [open('/dev/null') for _ in range(2000)]\n"
        "except OSError: found.append('descriptors')\n"
        "print(found)\n"
    )
    path = tmp_path / "written"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120,
    )  # fmt: skip
    assert done.stdout == "['memory', 'file', 'descriptors']\n", done.stderr
    assert not path.exists() or path.read_bytes() == b""


ENDLESS = "SELECT count(*) FROM range(1000000000000) a, range(1000000) b"


def test_the_child_sees_neither_the_environment_nor_the_descriptors_of_its_parent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAKEWARD_DATABASE_URL", "postgresql://ada:secret@h/d")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-parent")
    with open(tmp_path / "held", "w") as held:
        os.set_inheritable(held.fileno(), True)
        run = jail.Run(within(desk), ENDLESS)
        pid = run._child.pid
        proc = Path(f"/proc/{pid}")
        wait_until(lambda: "readers" in _links(proc / "fd"), what="opening of the lake")
        environ = (proc / "environ").read_bytes()
        links = _links(proc / "fd")
        limits = (proc / "limits").read_text()
        session = os.getsid(pid)
        run.close()
    assert b"secret" not in environ
    assert b"of-the-parent" not in environ
    assert str(tmp_path / "held") not in links
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(r"Max data size +1476395008 +1476395008 ", limits)
    assert session == pid != os.getsid(0)
    assert not alive(pid)


def _links(folder: Path) -> str:
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(path))
    return "\n".join(found)


def test_leaving_an_answer_early_ends_the_child(desk: Desk) -> None:
    with Answer(within(desk), "SELECT * FROM range(100000000000)") as answer:
        assert next(iter(answer)).num_rows > 0
        pid = answer._run._child.pid
        assert alive(pid)
    assert not alive(pid)
    assert list((desk.lake.root / ".lakeward/readers").glob(".*")) == []


def test_a_child_dies_with_its_parent(desk: Desk) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from lakeward.lake.jail import Run\nfrom lakeward.settings import load\n"
        "run = Run(load({'LAKEWARD_LAKE_DIR': sys.argv[1]}), sys.argv[2])\n"
        "print(run._child.pid, flush=True)\n"
        "run.stream.read(1)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(desk.lake.root), ENDLESS], stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    with parent:
        child = int(cast(IO[bytes], parent.stdout).readline())
        wait_until(
            lambda: "readers" in _links(Path(f"/proc/{child}/fd")), what="the lake's opening"
        )
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(child), what="the child's end")


def test_a_child_that_is_killed_is_one_sentence(desk: Desk) -> None:
    with Answer(within(desk), "SELECT * FROM range(100000000000)") as answer:
        batches = iter(answer)
        next(batches)
        os.kill(answer._run._child.pid, signal.SIGKILL)
        with pytest.raises(Terminal, match=r"the query's process died \(SIGKILL\)"):
            list(batches)


# What can be wrong


def test_an_unknown_column_is_named(desk: Desk) -> None:
    with pytest.raises(Rejected, match='"nope" not found'):
        ask(within(desk), "SELECT nope FROM interactions")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT user_id::INTEGER FROM interactions",
        "SELECT strptime(user_id, '%Y') FROM interactions",
        "SELECT json_extract(user_id, '$.a') FROM interactions",
        "SELECT (hash(user_id) % 2)::TINYINT + 127::TINYINT FROM interactions",
    ],
)
def test_an_error_at_a_row_does_not_quote_the_row(desk: Desk, query: str) -> None:
    with pytest.raises(LakewardError) as failed:
        ask(within(desk), query)
    assert not re.search(r"\bu\d", str(failed.value)), failed.value
    assert "\n" not in str(failed.value)


def test_where_there_is_no_lake_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="there is no lake"):
        sql("SELECT 1", lake_dir=tmp_path)


def test_a_missing_extra_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'lakeward\[lake\]'"):
        sql("SELECT 1", lake_dir=desk.lake.root)


def test_sql_returns_an_arrow_table_whatever_is_in_it(desk: Desk) -> None:
    table = sql("SELECT user_id, timestamp FROM click ORDER BY user_id", lake_dir=desk.lake.root)
    assert table.num_rows == 100
    assert table.column_names == ["user_id", "timestamp"]
    assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"
    empty = sql("SELECT user_id FROM click WHERE false", lake_dir=desk.lake.root)
    assert (empty.num_rows, empty.column_names) == (0, ["user_id"])


def test_a_table_in_a_folder_of_its_own_is_found_by_a_relative_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path, LAKEWARD_TABLE="elsewhere")
    desk.log.append([line(user_id="u1")])
    desk.compact()
    assert list((tmp_path / "elsewhere").glob("event_date=*/*.parquet"))
    assert ask(within(desk), "SELECT user_id FROM click") == [{"user_id": "u1"}]


def test_a_table_in_s3_is_asked_from_inside_the_jail(cloud: Cloud, tmp_path: Path) -> None:
    """Whole, and nothing else of the bucket."""
    cloud.bucket(versions="")
    client = cloud.client("s3")
    client.put_object(Bucket=BUCKET, Key="secret.csv", Body=f"a\n{CANARY}\n".encode())
    desk = desk_at(cloud, tmp_path)
    desk.log.append(line(user_id=f"u{n}") for n in range(50))
    desk.compact()
    desk.log.append([line(user_id="new")])
    settings = within(desk)
    query = "SELECT count(*) AS n, max(user_id) AS last FROM interactions"
    assert ask(settings, query) == [{"n": 51, "last": "u9"}]
    with pytest.raises(Rejected):
        ask(settings, f"SELECT * FROM read_csv('s3://{BUCKET}/secret.csv')")
    with Reading(desk.lake, settings, memory=512 << 20) as reading:
        for statement in locking(reading.files):
            reading.con.execute(statement)
        assert reading.con.execute("SELECT count(*) FROM interactions").fetchall() == [(51,)]
        for attack in (
            f"SELECT * FROM read_csv('s3://{BUCKET}/secret.csv')",
            f"SELECT * FROM read_text('s3://{BUCKET}/*')",
            f"COPY (SELECT 1 AS a) TO 's3://{BUCKET}/written.csv'",
        ):
            with pytest.raises(duckdb.PermissionException):
                reading.con.execute(attack)
    desk.log.close()


def test_who_was_erased_is_hidden_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.log.append([line(user_id="ada"), line(user_id="bob")])
    suppression.add(desk.lake, Person("user_id", "ada"), NOON + 1)
    assert ask(within(desk), "SELECT user_id FROM interactions") == [{"user_id": "bob"}]
