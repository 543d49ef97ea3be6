"""Lakes with a log of given lines, written as the keeper writes it but without one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import State
from lakeward.log import Log


class WrittenLog:
    """Appends batches of lines to a lake's log, each durable and published."""

    def __init__(self, root: Path, segment_bytes: int = 128 << 20) -> None:
        self.lake: LakeDir = open_lake(root)
        self._log = Log(self.lake, segment_bytes)
        self._state = State(lake_id=self.lake.identity.lake_id, epoch=self.lake.identity.epoch)

    def append(self, lines: Iterable[bytes], at_ms: int = 1_764_115_200_000) -> None:
        """Write whole lines, received at `at_ms`."""
        held = [line.rstrip(b"\n") for line in lines]
        data = b"".join(line + b"\n" for line in held)
        segment, start = self._log.place("raw", len(data), at_ms)
        self._log.write("raw", data, len(held))
        state = self._state
        state.batch += 1
        state.ends["raw"] = (segment, start + len(data), len(held))
        self._log.publish(state)

    def seal(self) -> None:
        """Seal the open segment."""
        self._log.seal("raw", "size")

    def close(self) -> None:
        """Close the files."""
        self._log.close()
