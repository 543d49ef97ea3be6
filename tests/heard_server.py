"""A real server with a key, a proxy in front that notes what comes, and SDKs as real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import Lake, wait_until
from eavesdropper import Eavesdropper, between
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import Serving, serving

CLIENTS = Path(__file__).parent / "clients"


class Heard:
    """What a test of an SDK has at hand."""

    def __init__(self, lake: Lake, server: Serving, proxy: Eavesdropper, key: str) -> None:
        self.lake = lake
        self.server = server
        self.proxy = proxy
        self.key = key

    def run(self, script: str, *arguments: str, key: str = "", host: str = "") -> str:
        """Run a program of `tests/clients` against the server; what it printed."""
        program = "node" if script.endswith(".mjs") else sys.executable
        done = subprocess.run(
            [program, str(CLIENTS / script), host or self.proxy.url, key or self.key, *arguments],
            capture_output=True, text=True, timeout=120, cwd=self.lake.root.parent,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Durable records by type."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.lake.rows():
            found.setdefault(row["interaction_type"], []).append(row)
        return found

    def counted(self) -> dict[str, int]:
        """How many there are of each type."""
        return {kind: len(rows) for kind, rows in sorted(self.rows().items())}

    def heard(self) -> list[str]:
        """Method, path without query, and status of each request, once all are answered."""
        wait_until(lambda: all(e.status for e in self.proxy.exchanges), what="the answers")
        return [f"{e.method} {e.path.partition('?')[0]} {e.status}" for e in self.proxy.sendings()]


@contextmanager
def heard_server(lake: Lake) -> Iterator[Heard]:
    """A server whose one key may write everything."""
    settings = load({"LAKEWARD_KEEPER": "external", **lake.env}, lake.root.parent)
    database = open_database(settings)
    _, secret = Keys(database).create("write", "sdk", actor="test", types=["*"])
    database.close()
    with serving(lake) as server, between(server.url) as proxy:
        yield Heard(lake, server, proxy, secret)
