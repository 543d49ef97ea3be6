"""An erase waits for the deliveries that began before it, and none begins meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from conftest import wait_until
from lakeward.barrier import delivering, erasing
from lakeward.lakedir import open_lake


def test_an_erase_waits_for_what_is_under_way(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    order: list[str] = []
    release = threading.Event()

    def deliver() -> None:
        with delivering(lake):
            order.append("began")
            release.wait(120)
            order.append("ended")

    delivery = threading.Thread(target=deliver)
    delivery.start()
    wait_until(lambda: order)

    def erase() -> None:
        with erasing(lake):
            order.append("through")

    eraser = threading.Thread(target=erase)
    eraser.start()
    eraser.join(0.1)
    assert order == ["began"]
    release.set()
    delivery.join()
    eraser.join()
    assert order == ["began", "ended", "through"]


def test_deliveries_do_not_wait_for_each_other(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    with delivering(lake), delivering(lake):
        pass


def test_a_stream_of_deliveries_does_not_keep_an_erase_waiting(tmp_path: Path) -> None:
    """Two threads whose deliveries always overlap; the erase gets its turn."""
    lake = open_lake(tmp_path / "lake")
    stop = threading.Event()
    inside = [threading.Event(), threading.Event()]

    def deliver(mine: int) -> None:
        while not stop.is_set():
            with delivering(lake):
                inside[mine].set()
                inside[1 - mine].wait(0.02)  # leaves only when the other is in, or may not come
                inside[mine].clear()

    threads = [threading.Thread(target=deliver, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    through = threading.Event()

    def erase() -> None:
        with erasing(lake):
            through.set()

    eraser = threading.Thread(target=erase)
    eraser.start()
    assert through.wait(120)
    stop.set()
    for thread in (*threads, eraser):
        thread.join()


def test_a_killed_delivery_holds_up_nobody(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    pid = os.fork()
    if pid == 0:
        with delivering(lake):
            os._exit(0)
    os.waitpid(pid, 0)
    with erasing(lake):
        pass
