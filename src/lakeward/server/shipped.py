"""Shipped: what the log holds now stands in the cloud when this returns (`LAKEWARD_ACK=s3`).

In: a lake whose followers `s3` and, where it is on, `dynamodb` somebody drives. Out: nothing, once
their cursors are past the log's end of now: what one of them has not got goes with the disk.
`NotDurable` with the follower's own reason when it is not in time, or has stopped. However many
requests wait, one task of the worker looks at the cursors' files.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from lakeward.errors import NotDurable, SettingError
from lakeward.followers import state
from lakeward.followers.cursor import Progress
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position, read_published
from lakeward.rollout import ALL
from lakeward.settings import Settings
from lakeward.sinks.registry import follower_names

PLACES: Final = {"s3": "S3", "dynamodb": "DynamoDB"}
"""Of the followers that are waited for; a webhook's other end is somebody else's."""
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


class Reached:
    """How far a follower is, by its cursor's file."""

    def __init__(self, lake: LakeDir, name: str) -> None:
        self.name = name
        self._path = lake.private / "cursors" / f"{name}.json"
        self._seen: tuple[int, int] = (0, 0)
        self._done = Position()

    def look(self) -> None:
        """Read the file when it is another."""
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

    def has(self, end: Position) -> bool:
        """Whether all before a place of the log was delivered."""
        done = self._done
        same = done.epoch == end.epoch
        return same and (done.segment, done.offset) >= (end.segment, end.offset)


class Shipped:
    """Waits for the followers, for all requests of one worker."""

    def __init__(self, lake: LakeDir, names: Sequence[str] = ("s3",)) -> None:
        self._lake = lake
        self._followers = [Reached(lake, name) for name in names]
        self._waiting: list[tuple[Position, asyncio.Future[None]]] = []
        self._watch: asyncio.Task[None] | None = None

    async def reached(self, seconds: float) -> None:
        """Wait until the cloud has all that the log has now."""
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
            late = next((one for one in self._followers if not one.has(end)), self._followers[-1])
            said = state.read(self._lake, late.name).sentence or "its follower does not get on"
            place = PLACES[late.name]
            raise NotDurable(f"not in {place} after {seconds:g} s: {said}") from None

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
        for follower in self._followers:
            said = state.read(self._lake, follower.name)
            if said.state == "stopped":
                break
        else:
            return
        for _, future in self._waiting:
            if not future.done():
                reason = f"not in {PLACES[follower.name]}: {said.sentence}"
                future.set_exception(NotDurable(reason))

    def _look(self) -> None:
        for follower in self._followers:
            follower.look()

    def _has(self, end: Position) -> bool:
        return all(follower.has(end) for follower in self._followers)


def shipped_of(settings: Settings) -> Shipped | None:
    """What requests wait for besides the disk; None where the disk is enough."""
    if settings.ack != "s3" or not settings.collect:
        return None
    check(settings)
    names = [name for name in follower_names(settings) if name in PLACES]
    return Shipped(open_lake(settings.lake_dir), names)
