"""The documentation is true: what it shows runs, what it lists is all there is, its links lead
somewhere, and nothing of the machine it was written on is in it."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from uuid_utils import uuid7

import lakeward
from conftest import Lake
from lakeward.ai.draft import Drafts
from lakeward.catalog import TYPES
from lakeward.cli import COMMANDS, parser
from lakeward.collector import Collector
from lakeward.interaction import SEED_FIELDS
from lakeward.lakedir import open_lake
from lakeward.ledger import CATEGORY, Reason
from lakeward.removal import lines_of, remove_lines
from lakeward.ring import PUT, Label, create
from lakeward.ring_reader import RingReader
from lakeward.settings import PLACEHOLDER, SETTINGS, load, read_env_file
from write_docs import PAGES

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs/operations.md"
ENV_FILES = (".env.development", ".env.production.example")


def tracked() -> list[Path]:
    """Files of the repository, those included that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")]
        names += [path.name for path in ROOT.glob("*.md")]
    else:
        names = [name for name in listed.decode().split("\0") if name]
    return sorted(path for name in names if (path := ROOT / name).is_file())


MARKDOWN = [path for path in tracked() if path.suffix == ".md"]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


class Block(msgspec.Struct, frozen=True):
    """A fenced block of a page, and the output that stands right after it."""

    page: Path
    language: str
    text: str
    output: str | None = None


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    for block, following in zip_longest(found, found[1:]):
        output = None
        if (
            following
            and following[1] == "text"
            and not text[block.end() : following.start()].strip()
        ):
            output = following[2]
        yield Block(page, block[1], block[2], output)


RUNNABLE = [
    block
    for page in MARKDOWN
    if page.name
    not in ("types.md", "open-lake.md", "engines.md")  # test_open_lake.py, test_engines.py
    for block in blocks(page)
    if block.language == "python"
]


@pytest.fixture
def here(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake that `Collector.from_env()` finds, in an empty working directory."""
    monkeypatch.chdir(lake.root.parent)
    for name, value in {**lake.env, "LAKEWARD_KEEPER": "thread"}.items():
        monkeypatch.setenv(name, value)
    return lake


def run(code: str, **names: Any) -> dict[str, Any]:
    """Execute a block; what it defines."""
    namespace: dict[str, Any] = {"__name__": "documented", **names}
    exec(compile(code, "<documentation>", "exec", dont_inherit=True), namespace)
    return namespace


def close(namespace: dict[str, Any]) -> None:
    for value in namespace.values():
        if isinstance(value, Collector):
            value.close()


def python_of(name: str) -> str:
    return next(block.text for block in blocks(ROOT / name) if block.language == "python")


# What the pages show runs


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: short(block.page))
def test_a_python_block_runs_and_prints_what_the_page_says(
    block: Block, here: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    close(run(block.text))
    if block.output is not None:
        assert capsys.readouterr().out == block.output
    if (here.root / ".lakeward" / "lake.json").exists():
        assert here.quarantined() == []
        assert here.settled().ok


def test_every_example_of_the_types_page_is_recorded(lake: Lake) -> None:
    collector = lake.collector()
    examples = [b.text for b in blocks(ROOT / "docs/types.md") if b.language == "python"]
    for example in examples:
        run(example, collector=collector)
    collector.commit()
    assert lake.quarantined() == []
    assert [row["interaction_type"] for row in lake.rows()] == list(TYPES)


def test_the_readme_shows_the_records_that_its_ten_lines_make(here: Lake) -> None:
    namespace = run(python_of("README.md"))

    async def call() -> None:
        transport = httpx.ASGITransport(app=namespace["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/api/partners/p1?focus=crm&token=s3cr3t")
        assert answer.text == '{"partner_id":"p1"}'

    asyncio.run(call())
    namespace["collector"].commit()
    close(namespace)
    shown = [json.loads(block.text) for block in blocks(README) if block.language == "json"]
    rows = {row["interaction_type"]: row for row in here.rows()}
    assert [row["interaction_type"] for row in shown] == ["api_call", "partner_match"]
    for record in shown:
        row = rows[record["interaction_type"]]
        assert list(record) == list(row)
        changing = {"interaction_id", "timestamp", "session_id", "user_agent", "response_time_ms"}
        changing |= {"ttfb_ms", "trace_id", "parent_interaction_id"}
        for name in record.keys() - changing:
            assert record[name] == row[name], name
    assert shown[0]["trace_id"] == shown[1]["trace_id"]
    assert shown[0]["interaction_id"] == shown[1]["parent_interaction_id"]
    assert list(shown[0])[:14] == list(SEED_FIELDS)


def test_the_readme_names_the_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    assert "$ make demo" in text
    assert "$ make test" in text


def test_the_readme_has_every_promise() -> None:
    promises = re.findall(r"^\| \*\*(P\d)\*\*", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert promises == [f"P{n}" for n in range(1, 8)]


def test_the_reader_of_the_ring_page_reads_a_real_ring(tmp_path: Path) -> None:
    read_ring = run(python_of("docs/formats/ring.md"))["read_ring"]
    dice = random.Random(7)
    label = Label(pid=1, host="h", service="s", version="0", started="2025-08-14T16:11:28.677Z")
    ring = create(
        tmp_path, lake_id="0198a959-c225-7f8b-8d56-238c645cadb6", epoch=1, total=512 * 1024,
        lanes=4, frame=16 * 1024, label=label,
    )  # fmt: skip
    reader = RingReader(ring.path)
    for _ in range(120):  # many times round every lane, so that each way to wrap is met
        put = [dice.randbytes(dice.choice((1, 20, 500, 9_000, 16_000))) for _ in range(20)]
        kept = [payload for payload in put if ring.append(payload) == PUT]
        assert sorted(read_ring(str(ring.path))) == sorted(kept)
        drained = reader.drain(1 << 62)
        assert drained is not None
        assert drained.lines == read_ring(str(ring.path))
        reader.release(drained.positions)
        assert read_ring(str(ring.path)) == []
    reader.close()
    ring.close()
    damaged = bytearray(ring.path.read_bytes())
    damaged[30] ^= 1
    ring.path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged header"):
        read_ring(str(ring.path))


def test_the_reader_of_the_ring_page_finds_what_a_collector_put_in(lake: Lake) -> None:
    read_ring = run(python_of("docs/formats/ring.md"))["read_ring"]
    with lake.collector(LAKEWARD_KEEPER="external", LAKEWARD_EXIT_SECONDS="0") as collector:
        ids = [collector.record("signed_up", n=n) for n in range(50)]
        waiting = read_ring(collector.stats()["ring"]["path"])
        assert [json.loads(payload)["interaction_id"] for payload in waiting] == ids


def test_the_reader_of_the_draft_page_reads_what_turns_have_received(lake: Lake) -> None:
    read_drafts = run(python_of("docs/formats/draft.md"))["read_drafts"]
    with lake.collector(LAKEWARD_EXIT_SECONDS="0") as collector:
        drafts = Drafts(collector)
        opened = [str(uuid7()) for _ in range(3)]
        for n, turn in enumerate(opened):
            draft = drafts.open(turn, {"turn": n})
            for piece in ("one ", "long " * 3_000, "three"):
                draft.text(piece)
            draft.fields({"feature": f"f{n}"})
        drafts.open(str(uuid7()), {}).close()
        (path,) = lake.ring_dir.glob("*.draft")
        found = read_drafts(str(path))
        assert sorted(found) == sorted(opened)
        assert [(found[turn][0]["turn"], found[turn][0]["feature"]) for turn in opened] == [
            (n, f"f{n}") for n in range(3)
        ]
        assert {answer for _, answer in found.values()} == {"one " + "long " * 3_000 + "three"}


def test_the_reader_of_the_log_page_reads_a_real_log(lake: Lake) -> None:
    read_log = run(python_of("docs/formats/log.md"))["read_log"]
    with lake.collector(LAKEWARD_SEGMENT_BYTES="4KiB") as collector:
        for n in range(60):
            collector.record("signed_up", n=n)
            if n % 20 == 0:
                collector.record("demo_booking", status="later")
                collector.commit()
    assert len(list(lake.root.glob("raw/*/*/*/*.jsonl"))) > 1
    assert [row["properties"]["n"] for row in read_log(str(lake.root))] == list(range(60))
    assert read_log(str(lake.root)) == lake.rows()

    newest = max(lake.root.glob("raw/*/*/*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    [first, *_] = [cut for cut, line in lines_of(open_lake(lake.root), "raw") if b'"n":59' in line]
    assert remove_lines(open_lake(lake.root), [first], "erased") == 1
    with newest.open("ab") as file:
        file.write(b'{"torn":')
    assert len(read_log(str(lake.root))) == 59
    assert read_log(str(lake.root)) == lake.rows()
    assert lake.audit().ok


# What the pages list is all there is


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_equals_its_source(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_every_command_and_flag_is_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    general, *rest = re.split(r"^## ", text, flags=re.MULTILINE)
    sections = {part.partition("\n")[0].strip(): part for part in rest}
    assert sorted(sections) == sorted(COMMANDS)
    top = parser()
    for flag in (flag for action in top._actions for flag in action.option_strings):
        assert f"{flag}" in general, flag
    commands = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        verbs = [a for a in command._actions if isinstance(a, argparse._SubParsersAction)]
        below = [
            action for verb in verbs for sub in verb.choices.values() for action in sub._actions
        ]
        for action in [*command._actions, *below]:
            words = action.option_strings or [str(action.metavar)]
            missing = [w for w in words if w not in sections[name] and w not in general]
            assert not missing, f"{name}: {missing}"
            for choice in action.choices or ():
                assert str(choice) in sections[name] + general, f"{name}: {choice}"


def test_every_command_that_a_page_shows_can_be_parsed() -> None:
    shown = [
        line.removeprefix("$ lakeward").partition(" | ")[0]
        for page in MARKDOWN
        for block in blocks(page)
        for line in block.text.splitlines()
        if line.startswith("$ lakeward ")
    ]
    assert len(shown) > 10
    for line in shown:
        parser().parse_args(shlex.split(line, comments=True))


def test_every_reason_is_explained_under_its_category() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE))
    assert rows == {reason.name: CATEGORY.get(reason, "dropped") for reason in Reason}


def test_the_failure_table_has_every_column_filled() -> None:
    section = OPERATIONS.read_text(encoding="utf-8").partition("## When things fail")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    assert len(rows) > 20
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 5, row
        assert all(cells), row


def test_the_development_file_has_every_setting_at_its_default(tmp_path: Path) -> None:
    found = read_env_file(ROOT / ".env.development")
    assert sorted(found) == sorted(row.env for row in SETTINGS)
    for row in SETTINGS:
        assert found[row.env] == row.default or PLACEHOLDER.match(found[row.env]), row.env
    shutil.copy(ROOT / ".env.development", tmp_path)
    (empty := tmp_path / "empty").mkdir()
    loaded, defaults = load({}, tmp_path), load({}, empty)
    here = {"lake_dir": defaults.lake_dir, "source": defaults.source}
    assert msgspec.structs.replace(loaded, **here) == defaults
    assert not loaded.use_s3
    assert not loaded.use_dynamodb


def test_the_production_example_loads_without_an_error(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.production.example", tmp_path / ".env.production")
    loaded = load({"LAKEWARD_ENV": "production"}, tmp_path)
    assert loaded.environment == "production"
    assert loaded.ip == "truncate"
    assert (loaded.aws_access_key_id, loaded.aws_secret_access_key) == ("", "")
    names = {row.env for row in SETTINGS}
    text = (ROOT / ".env.production.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", text, re.MULTILINE)) <= names


def test_every_setting_that_a_page_names_exists() -> None:
    names = {row.env for row in SETTINGS}
    for page in MARKDOWN:
        for name in re.findall(r"`(LAKEWARD_[A-Z0-9_]+)", page.read_text(encoding="utf-8")):
            assert name in names, f"{short(page)}: {name}"


def test_every_decision_is_short_complete_and_in_the_index() -> None:
    folder = ROOT / "docs/adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    numbers = []
    for path in sorted(folder.glob("0*.md")):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path.name
        assert re.findall(r"^## (.*)", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]
        assert text.count("\n") < 40, path.name
        assert f"[{path.name[:4]}]({path.name})" in index
        numbers.append(int(path.name[:4]))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 20
    for file, name in named:
        assert re.search(rf"def {name}\b", (ROOT / "tests" / file).read_text(encoding="utf-8")), (
            name
        )


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_data_dictionary_counts_what_the_pages_say() -> None:
    for name in ("README.md", "CHANGELOG.md"):
        assert f"{len(TYPES)} documented" in (ROOT / name).read_text(encoding="utf-8")


# Links and strays


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", MARKDOWN, ids=short)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"`[^`\n]+`", "`code`", FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s\[]+)\)", prose):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


REGISTRY = re.compile(
    r"https?://[^\s\"'`)>]*(?:/simple\b|pypi\.|pythonhosted|npmjs|registry|artifactory|nexus)"
    r"|--(?:extra-)?index-url[ =]h",
    re.IGNORECASE,
)
SOMEBODYS = re.compile(r"(?<![\w.~-])/(?:home|Users|tmp|private)/\w")


def test_no_text_file_holds_a_path_of_this_machine_or_a_registrys_address() -> None:
    homes = [f"{folder}/" for folder in (ROOT, Path.home()) if folder != Path("/")]
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not any(home in text for home in homes), short(path)
        if path == Path(__file__).resolve():
            continue
        assert not (found := REGISTRY.search(text)), f"{short(path)}: {found and found[0]}"
        if path.suffix == ".md" or path.name.startswith(".env"):
            assert not (found := SOMEBODYS.search(text)), f"{short(path)}: {found and found[0]}"


def test_the_lake_that_the_pages_describe_is_the_one_that_is_made(tmp_path: Path) -> None:
    open_lake(tmp_path / "data-lake")
    assert (tmp_path / "data-lake/.lakeward/lake.json").exists()
    tree = next(b.text for b in blocks(README) if "data-lake/" in b.text and not b.language)
    for name in ("raw/", "quarantine/", ".lakeward/", "daily_summary.jsonl"):
        assert name in tree


def test_what_the_pages_import_from_the_package_face_is_public() -> None:
    for block in RUNNABLE:
        for names in re.findall(r"^from lakeward import (.*)", block.text, re.MULTILINE):
            assert {name.strip() for name in names.split(",")} <= set(lakeward.__all__)
