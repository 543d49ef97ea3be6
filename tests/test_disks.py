"""Real file systems that stall, fill up, fail and lose power: the app goes on, nothing acknowledged
is lost, and collection resumes by itself."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Lake, wait_until
from lakeward.errors import NotDurable

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0
        or not shutil.which("mkfs.ext4")
        or not Path("/dev/loop-control").exists(),
        reason="needs root, mkfs.ext4 and loop devices",
    ),
]

EXT4_IOC_SHUTDOWN = 0x8004587D
GOING_DOWN_WITHOUT_FLUSH = 2


class Disk:
    """A loop-mounted ext4 file system."""

    def __init__(self, image: Path, mount: Path, megabytes: int = 48) -> None:
        self.image, self.mount = image, mount
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        self.attach()

    def attach(self) -> None:
        done = subprocess.run(
            ["mount", "-o", "loop", str(self.image), str(self.mount)], capture_output=True
        )
        if done.returncode:
            pytest.skip(f"mount -o loop is not allowed here: {done.stderr.decode().strip()}")

    def detach(self) -> None:
        subprocess.run(["fsfreeze", "-u", str(self.mount)], capture_output=True)
        for _ in range(50):
            if subprocess.run(["umount", str(self.mount)], capture_output=True).returncode == 0:
                # Another test's mount namespace may still hold a copy of this mount.
                wait_until(lambda: not self._loops(), what="release of the loop device")
                return
            time.sleep(0.1)
        subprocess.run(["umount", "-l", str(self.mount)], capture_output=True)

    def _loops(self) -> str:
        found = subprocess.run(
            ["losetup", "-j", str(self.image)], capture_output=True, text=True, check=True
        )
        return found.stdout

    def freeze(self) -> None:
        subprocess.run(["fsfreeze", "-f", str(self.mount)], check=True)

    def thaw(self) -> None:
        subprocess.run(["fsfreeze", "-u", str(self.mount)], check=True)

    def lose_power(self) -> None:
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, array.array("I", [GOING_DOWN_WITHOUT_FLUSH]))
        finally:
            os.close(fd)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk.img", tmp_path / "disk")
    yield made
    made.detach()


@pytest.fixture
def on_disk(disk: Disk, lake: Lake) -> Lake:
    """The lake of this test, on the disk."""
    lake.root = disk.mount / "data-lake"
    lake.env["LAKEWARD_LAKE_DIR"] = str(lake.root)
    lake.env["LAKEWARD_KEEPER_IDLE_SECONDS"] = "60"
    return lake


def test_a_stalled_disk_never_stalls_the_app(disk: Disk, on_disk: Lake) -> None:
    collector = on_disk.collector(LAKEWARD_KEEPER="spawn")
    wanted = [collector.record("before")]
    collector.commit(60)
    disk.freeze()
    try:
        wanted += [collector.record("during", n=n) for n in range(2000)]
        with pytest.raises(NotDurable):
            collector.commit(0.3)
        time.sleep(2.2)
        wanted += [collector.record("during", n=n) for n in range(2000)]
        assert None not in wanted
        assert len(on_disk.ids()) == 1
    finally:
        disk.thaw()
    collector.commit(60)
    assert sorted(on_disk.ids()) == sorted(i for i in wanted if i)
    report = on_disk.audit()
    assert report.ok, report.faults
    collector.close()
    on_disk.kill_keeper(signal.SIGTERM)


def test_power_loss_costs_nothing_that_was_committed(disk: Disk, on_disk: Lake) -> None:
    committed: list[str | None] = []
    for _ in range(4):
        collector = on_disk.collector(LAKEWARD_KEEPER="spawn", LAKEWARD_SEGMENT_BYTES="64KiB")
        for _ in range(30):
            batch = [collector.record("hello", n=n) for n in range(10)]
            collector.commit(60)
            committed += batch
        for n in range(50):
            collector.record("uncommitted", n=n)
        pid = on_disk.keeper_pid()
        assert pid is not None
        disk.lose_power()
        os.kill(pid, signal.SIGKILL)
        attachment = collector._attachment
        assert attachment is not None
        attachment.abandon()  # the power is gone for this process too
        collector._attachment = None
        shutil.rmtree(on_disk.ring_dir)
        on_disk.ring_dir.mkdir(mode=0o700)
        disk.detach()
        disk.attach()
    collector = on_disk.collector(LAKEWARD_KEEPER="spawn")
    collector.record("after")
    collector.commit(60)
    found = on_disk.ids()
    assert len(found) == len(set(found))
    assert set(committed) <= set(found)
    report = on_disk.audit()
    assert report.ok, report.faults
    collector.close()
    on_disk.kill_keeper(signal.SIGTERM)


def test_a_full_disk_is_waited_for(disk: Disk, on_disk: Lake) -> None:
    collector = on_disk.collector(LAKEWARD_KEEPER="spawn")
    wanted = [collector.record("before")]
    collector.commit(60)
    filler = disk.mount / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
    wanted += [collector.record("while_full", filler="y" * 1000, n=n) for n in range(500)]
    wait_until(lambda: collector.stats()["keeper"]["error"] != "", what="the keeper's notice")
    with pytest.raises(NotDurable, match="No space left"):
        collector.commit(0.3)
    filler.unlink()
    wanted += [collector.record("after")]
    collector.commit(60)
    assert sorted(on_disk.ids()) == sorted(i for i in wanted if i)
    report = on_disk.audit()
    assert report.ok, report.faults
    collector.close()
    on_disk.kill_keeper(signal.SIGTERM)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_kernel_that_fails_fdatasync_loses_nothing(on_disk: Lake) -> None:
    keeper = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
         "-e", "inject=fdatasync:error=EIO:when=3+4", sys.executable, "-m", "lakeward.cli", "run"],
        env=on_disk.process_env(), stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        collector = on_disk.collector(LAKEWARD_KEEPER="external")
        wanted = []
        for n in range(30):
            wanted.append(collector.record("hello", n=n))
            collector.commit(60)
        assert on_disk.ids() == wanted
        collector.close()
    finally:
        os.killpg(keeper.pid, signal.SIGTERM)
        keeper.wait(120)
    report = on_disk.audit()
    assert report.ok, report.faults
    assert report.segments > 3


def mounted_tmpfs(path: Path, size: str, code: str, env: dict[str, str]) -> str:
    """Run Python code with a tmpfs of `size` at `path`, in a mount namespace of its own."""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c",
         f'mount -t tmpfs -o size={size} none "{path}" && exec "$0" -c "$1"', sys.executable,
         textwrap.dedent(code)],
        env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_shared_memory_that_is_too_small_sends_the_ring_to_the_lakes_disk(lake: Lake) -> None:
    lake.root.mkdir()
    out = mounted_tmpfs(lake.ring_dir, "4m", """
        from lakeward import Collector
        collector = Collector.from_env()
        for n in range(20000):
            collector.record("hello", filler="x" * 200)
            if n % 4000 == 0: collector.commit(60)
        collector.commit(60)
        print(collector.stats()["ring"]["path"], collector.stats()["accepted"])
    """, lake.process_env(LAKEWARD_KEEPER="thread"))  # fmt: skip
    path, accepted = out.split()
    assert path.startswith(str(lake.root / ".lakeward" / "rings"))
    assert int(accepted) == 20000 == len(lake.ids())


def test_memory_that_fills_up_later_never_kills_the_app(lake: Lake) -> None:
    lake.root.mkdir()
    out = mounted_tmpfs(lake.ring_dir, "16m", f"""
        import os
        from lakeward import Collector
        collector = Collector.from_env()
        collector.record("first")
        try:
            with open({str(lake.ring_dir)!r} + "/filler", "wb", buffering=0) as f:
                while True: f.write(b"x" * 65536)
        except OSError as error:
            print(error.strerror)
        kept = sum(collector.record("hello", filler="x" * 1000) is not None for _ in range(9000))
        collector.commit(60)
        print(kept == collector.stats()["accepted"] - 1)
    """, lake.process_env(LAKEWARD_KEEPER="thread"))  # fmt: skip
    assert out == "No space left on device\nTrue\n"


def test_network_file_systems_are_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakeward.lakedir.file_system_of", lambda _: "nfs4")
    collector = lake.collector()
    assert collector.record("hello") is None
    with pytest.raises(NotDurable):
        collector.commit(0.1)
    wait_until(lambda: not lake.root.exists())
