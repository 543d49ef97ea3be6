"""Shipped: what the log holds now stands in S3 when this returns (`LAKEWARD_ACK=s3`).

In: a lake whose follower `s3` somebody drives. Out: nothing, once its cursor is past the log's end
of now. `NotDurable` with the follower's own reason when it is not in time, or has stopped. However
many requests wait, one task of the worker looks at the cursor's file.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

import msgspec

from lakeward.errors import NotDurable, SettingError
from lakeward.followers import state
from lakeward.followers.cursor import Progress
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position, read_published
from lakeward.rollout import ALL
from lakeward.settings import Settings

NAME: Final = "s3"
LOOK_SECONDS: Final = 0.005
STATE_SECONDS: Final = 0.25

_decode = msgspec.json.Decoder(Progress).decode


def check(settings: Settings) -> None:
    """SettingError where nothing would reach S3, or not all of it."""
    if settings.ack != "s3":
        return
    if not (settings.use_s3 and settings.data_lake_bucket):
        raise SettingError("LAKEWARD_ACK=s3 needs USE_S3=true and DATA_LAKE_BUCKET")
    if settings.rollout_s3 < ALL:
        raise SettingError("LAKEWARD_ACK=s3 ships every record: LAKEWARD_ROLLOUT_S3 must be 100")


class Shipped:
    """Waits for the follower, for all requests of one worker."""

    def __init__(self, lake: LakeDir) -> None:
        self._lake = lake
        self._path = lake.private / "cursors" / f"{NAME}.json"
        self._waiting: list[tuple[Position, asyncio.Future[None]]] = []
        self._watch: asyncio.Task[None] | None = None
        self._seen: tuple[int, int] = (0, 0)
        self._done = Position()

    async def reached(self, seconds: float) -> None:
        """Wait until S3 has all that the log has now."""
        published = read_published(self._lake.private / "published")
        if published is None:
            return
        end = Position(published.epoch, *published.ends["raw"])
        self._look()
        if self._has(end):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((end, future))
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._watched())
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise NotDurable(f"not in S3 after {seconds:g} s: {self._why()}") from None

    async def _watched(self) -> None:
        """Look until nobody waits."""
        ask_at = time.monotonic() + STATE_SECONDS
        while self._waiting:
            self._look()
            left = []
            for end, future in self._waiting:
                if future.done():
                    continue
                if self._has(end):
                    future.set_result(None)
                else:
                    left.append((end, future))
            self._waiting = left
            if left and time.monotonic() >= ask_at:
                ask_at = time.monotonic() + STATE_SECONDS
                self._give_up()
            await asyncio.sleep(LOOK_SECONDS)

    def _give_up(self) -> None:
        """Nobody waits for a follower that has stopped."""
        said = state.read(self._lake, NAME)
        if said.state != "stopped":
            return
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(NotDurable(f"not in S3: {said.sentence}"))

    def _look(self) -> None:
        """Read the cursor's file when it is another."""
        try:
            found = os.stat(self._path)
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._seen:
                return
            self._done = _decode(self._path.read_bytes()).done.position()
            self._seen = seen
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError):
            return  # it is replaced whole: the next look finds another

    def _has(self, end: Position) -> bool:
        done = self._done
        same = done.epoch == end.epoch
        return same and (done.segment, done.offset) >= (end.segment, end.offset)

    def _why(self) -> str:
        said = state.read(self._lake, NAME)
        return said.sentence or "the follower of S3 does not get on"


def shipped_of(settings: Settings) -> Shipped | None:
    """What requests wait for besides the disk; None where the disk is enough."""
    if settings.ack != "s3" or not settings.collect:
        return None
    check(settings)
    return Shipped(open_lake(settings.lake_dir))
