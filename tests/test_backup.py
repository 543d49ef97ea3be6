"""A backup is made while the lake goes on, and the lake made of it holds what had been there."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from conftest import Lake, wait_until
from databases import Store
from lakeward.audit import audit
from lakeward.cli import main
from lakeward.cli.backup import pack
from lakeward.cli.compact import compact
from lakeward.errors import LakewardError, Terminal, Unreadable
from lakeward.followers.driver import Driver
from lakeward.lake.reading import open_reading
from lakeward.lakedir import open_lake
from lakeward.log import read_lines
from lakeward.restoring import restore
from lakeward.settings import Settings, load
from lakeward.sinks.registry import configured
from lakeward.store.keys import Keys


def settings_of(lake: Lake) -> Settings:
    return load(lake.env, lake.root.parent)


def packed(lake: Lake) -> bytes:
    """The archive in memory."""
    file = io.BytesIO()
    pack(lake.open(), settings_of(lake), file)
    return file.getvalue()


def filled(lake: Lake, n: int = 20) -> None:
    with lake.collector() as collector:
        for i in range(n):
            collector.record("signed_up", user_id=f"user{i}", n=i)
        collector.record("demo_booking", status="later")
        collector.commit()


def deliver(lake: Lake) -> None:
    """What the courier does with individual files."""
    settings = load(lake.env | {"LAKEWARD_INDIVIDUAL_FILES": "on"}, lake.root.parent)
    home = lake.open()
    (subscription,) = configured(settings, home)
    driver = Driver(home, subscription, lambda follower, lines: None)
    while driver.step(linger=False) == 0.0:
        pass
    assert not driver.stopped
    driver.close()


def individual(lake: Lake) -> list[str]:
    """Ids that have a file of their own."""
    return sorted(path.stem for path in lake.root.glob("raw/*/*/*/*.json"))


def test_a_restored_lake_has_every_record_and_a_later_epoch(lake: Lake, tmp_path: Path) -> None:
    filled(lake)
    copy = tmp_path / "copy"
    manifest = restore(io.BytesIO(packed(lake)), copy, now_s=77)
    restored = open_lake(copy, create=False)
    assert [msgspec.json.decode(line) for line, _ in read_lines(restored)] == lake.rows()
    assert len(list(read_lines(restored, stream="quarantine"))) == 1
    assert restored.identity.lake_id == lake.open().identity.lake_id == manifest.lake_id
    assert (lake.open().identity.epoch, restored.identity.epoch) == (1, 77)
    report = audit(restored, ())
    assert report.ok, report.faults
    assert stat.S_IMODE((copy / ".lakeward").stat().st_mode) == 0o700


def test_backups_made_while_it_is_written_are_each_of_one_moment(
    lake: Lake, tmp_path: Path
) -> None:
    filled(lake)
    stop = threading.Event()

    def write() -> None:
        with lake.collector(LAKEWARD_SEGMENT_BYTES="16KiB") as collector:
            while not stop.is_set():
                collector.record("signed_up", user_id="writer")
                collector.commit()

    def tidy() -> None:
        while not stop.is_set():
            compact(lake.open(), settings_of(lake))

    threads = [threading.Thread(target=write), threading.Thread(target=tidy)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(lake.ids()) > 30)
        archives = [packed(lake) for _ in range(8)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    everything = set(lake.ids())
    seen = 0
    for n, archive in enumerate(archives):
        root = tmp_path / f"copy{n}"
        restore(io.BytesIO(archive), root, now_s=77)
        restored = open_lake(root, create=False)
        report = audit(restored, ())
        assert report.ok, report.faults
        settings = load({"LAKEWARD_LAKE_DIR": str(root)}, tmp_path)
        with open_reading(restored, settings) as reading:
            rows = reading.con.execute("SELECT interaction_id FROM interactions").fetchall()
        ids = {row[0] for row in rows}
        assert len(ids) == len(rows)
        assert ids <= everything
        assert len(ids) >= seen >= 0
        seen = len(ids)
    assert seen > 30


def test_a_destroyed_lake_comes_back_goes_on_and_delivers_each_record_once(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    filled(lake)
    compact(lake.open(), settings_of(lake))
    filled(lake, 5)
    before = lake.ids()
    deliver(lake)
    assert individual(lake) == sorted(before)
    output = tmp_path / "lake.tar.gz"
    assert main(["backup", str(output)]) == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    lake.close()
    shutil.rmtree(lake.root)
    lake.ring_dir.mkdir(mode=0o700)

    assert main(["restore", str(output)]) == 0
    assert lake.audit().ok, lake.audit().faults
    assert individual(lake) == []
    filled(lake, 3)
    deliver(lake)
    assert individual(lake) == sorted(lake.ids())
    assert lake.ids()[: len(before)] == before
    assert lake.audit().ok, lake.audit().faults
    compact(lake.open(), settings_of(lake))
    with open_reading(lake.open(), settings_of(lake)) as reading:
        found = reading.con.execute("SELECT interaction_id FROM interactions").fetchall()
    assert sorted(row[0] for row in found) == sorted(lake.ids())


def test_what_was_recorded_after_the_backup_by_an_app_that_lives_on_is_named_as_gone(
    lake: Lake, tmp_path: Path
) -> None:
    with lake.collector() as collector:
        collector.record("signed_up", n=1)
        collector.commit()
        archive = packed(lake)
        collector.record("signed_up", n=2)
        collector.commit()
    copy = tmp_path / "copy"
    restore(io.BytesIO(archive), copy)
    report = audit(open_lake(copy, create=False), ())
    assert report.ok, report.faults
    assert report.sum["delivered"] == 1
    assert len(report.vanished) == 1


def test_restoring_twice_makes_two_different_epochs(lake: Lake, tmp_path: Path) -> None:
    filled(lake)
    archive = packed(lake)
    restore(io.BytesIO(archive), tmp_path / "a", now_s=1_764_000_000)
    restore(io.BytesIO(archive), tmp_path / "b", now_s=1_764_000_600)
    epochs = [open_lake(tmp_path / name).identity.epoch for name in "ab"]
    assert epochs == [1_764_000_000, 1_764_000_600]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_keys_are_in_it_and_locks_rings_and_temporary_files_are_not(
    store: Store, tmp_path: Path
) -> None:
    database = store.open()
    key, secret = Keys(database).create("read", "page", actor="ada")
    home = open_lake(store.lake)
    (home.private / "rings").mkdir()
    (home.private / "rings" / "x.ring").write_bytes(b"memory")
    (home.private / ".half.tmp").write_bytes(b"half")
    (home.private / "ledger.jsonl").unlink(missing_ok=True)
    from lakeward.ledger import Ledger

    Ledger(home.private / "ledger.jsonl", home.identity.lake_id, 1).close()
    (home.private / "segments.jsonl").touch()
    file = io.BytesIO()
    manifest = pack(home, store.settings(), file)
    assert not {"rings", "keeper.lock", ".half.tmp"} & {
        part for name in manifest.files for part in name.split("/")
    }
    file.seek(0)
    restore(file, tmp_path / "copy")
    there = load({"LAKEWARD_LAKE_DIR": str(tmp_path / "copy")}, tmp_path)
    from lakeward.store.database import open_database

    with open_database(there) as copied:
        assert Keys(copied).all() == [key]
    assert secret.encode() not in file.getvalue()


def test_the_commands_say_what_is_in_it_and_what_is_not(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    filled(lake)
    monkeypatch.setenv("LAKEWARD_TABLE", "s3://bucket/table")
    output, copy = tmp_path / "lake.tgz", tmp_path / "copy"
    assert main(["backup", str(output), "--format", "json"]) == 0
    made = msgspec.json.decode(capsys.readouterr().out)
    assert made["bytes"] == output.stat().st_size
    assert "bucket's versions" in made["notes"][0]
    monkeypatch.delenv("LAKEWARD_TABLE")
    assert main(["restore", str(output), "--lake", str(copy), "--format", "json"]) == 0
    restored = msgspec.json.decode(capsys.readouterr().out)
    assert restored["files"] == made["files"]
    assert restored["epoch"] == open_lake(copy).identity.epoch > made["epoch"]
    assert restored["notes"] == made["notes"]
    assert main(["backup", str(output)]) == 2
    assert main(["backup", str(tmp_path / "lake.zip")]) == 2
    assert ".tar.gz" in capsys.readouterr().err


# What is refused


def test_a_folder_that_holds_something_is_refused_and_left_alone(
    lake: Lake, tmp_path: Path
) -> None:
    filled(lake)
    archive = packed(lake)
    before = sorted(lake.root.rglob("*"))
    with pytest.raises(Terminal, match="not empty"):
        restore(io.BytesIO(archive), lake.root)
    assert sorted(lake.root.rglob("*")) == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Terminal, match="not empty"):
        restore(io.BytesIO(archive), tmp_path / "link")


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_that_was_cut_short_anywhere_is_refused(
    lake: Lake, tmp_path: Path, compressed: bool
) -> None:
    filled(lake)
    archive = gzip.compress(packed(lake)) if compressed else packed(lake)
    end = len(archive) if compressed else len(archive.rstrip(b"\0"))
    for cut in range(0, end, max(end // 40, 1)):
        with pytest.raises(Unreadable):
            restore(io.BytesIO(archive[:cut]), tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
    assert not [path for path in tmp_path.iterdir() if "restoring" in path.name]


def test_a_changed_byte_in_any_file_is_found(lake: Lake, tmp_path: Path) -> None:
    filled(lake)
    archive = packed(lake)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        places = [m.offset_data + m.size // 2 for m in tar if m.size and m.name != "manifest.json"]
    for at in places:
        damaged = bytearray(archive)
        damaged[at] ^= 1
        with pytest.raises(Unreadable, match="damaged"):
            restore(io.BytesIO(bytes(damaged)), tmp_path / "copy")


def forged(change: Callable[[tarfile.TarInfo], None], archive: bytes) -> bytes:
    """The archive with one more member in front."""
    made = io.BytesIO()
    with (
        tarfile.open(fileobj=made, mode="w") as new,
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
    ):
        info = tarfile.TarInfo("raw/x")
        change(info)
        new.addfile(info, io.BytesIO(b"x" * info.size))
        for member in old:
            new.addfile(member, old.extractfile(member))
    return made.getvalue()


@pytest.mark.parametrize(
    "name",
    ["../out", "/etc/x", "raw/../../out", "raw/./x", "elsewhere/x", "raw", "raw//x", "raw/a\0b",
     ".lakeward/..", "raw/" + "x" * 200, "raw/a\nb"],
)  # fmt: skip
def test_a_member_that_would_go_elsewhere_is_refused(lake: Lake, tmp_path: Path, name: str) -> None:
    filled(lake)

    def change(info: tarfile.TarInfo) -> None:
        info.name, info.size = name, 1

    before = sorted(tmp_path.iterdir())
    with pytest.raises(LakewardError):
        restore(io.BytesIO(forged(change, packed(lake))), tmp_path / "copy")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_devices_and_folders_are_refused(lake: Lake, tmp_path: Path, kind: bytes) -> None:
    filled(lake)

    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, "/etc/passwd"

    with pytest.raises(Unreadable, match="no file of a lake"):
        restore(io.BytesIO(forged(change, packed(lake))), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"hello", os.urandom(5000), gzip.compress(b"hello")):
        with pytest.raises(Unreadable):
            restore(io.BytesIO(content), tmp_path / "copy")


# Erasures and backups


def test_whoever_was_erased_since_the_backup_does_not_come_back(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    filled(lake)
    compact(lake.open(), settings_of(lake))
    output = tmp_path / "old.tar"
    assert main(["backup", str(output)]) == 0
    assert b"user7" in output.read_bytes()
    assert main(["erase", "--user", "user7", "--yes"]) == 0
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("suppressed.jsonl", "suppression.key"):
        shutil.copy(lake.root / ".lakeward" / name, kept)

    copy = tmp_path / "copy"
    words = ["restore", str(output), "--lake", str(copy), "--suppressed",
             str(kept / "suppressed.jsonl")]  # fmt: skip
    monkeypatch.setenv("LAKEWARD_RING_DIR", str(tmp_path / "rings"))
    assert main(words) == 0
    restored = open_lake(copy, create=False)
    rows = [msgspec.json.decode(line) for line, _ in read_lines(restored)]
    assert [row["properties"]["n"] for row in rows] == [n for n in range(20) if n != 7]
    everything = b"".join(path.read_bytes() for path in copy.rglob("*") if path.is_file())
    assert b'"user7"' not in everything


def test_a_suppression_list_without_its_key_is_refused(lake: Lake, tmp_path: Path) -> None:
    filled(lake)
    restore(io.BytesIO(packed(lake)), tmp_path / "copy")
    from lakeward.restoring import bring_suppressed

    with pytest.raises(Terminal, match="together"):
        bring_suppressed(tmp_path / "copy", tmp_path / "suppressed.jsonl")
