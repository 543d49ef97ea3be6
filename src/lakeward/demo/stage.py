"""The stage of a demo: the platform and `lakeward serve`, each a process, on two loopback ports.

In: settings and perhaps a port. Out: both answering, with their addresses. Fails with `Terminal`
when a port is taken or one of the two does not start. Both end with the block, and when this
process is killed; nothing of them is left, save what they put into the lake.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from lakeward.demo.carrier import Carrier
from lakeward.demo.experiment import FLAGS
from lakeward.demo.standing import Borrowed, standing, wants_key
from lakeward.errors import Terminal
from lakeward.settings import Settings

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
END_SECONDS: Final = 30.0
FLOWS: Final = Path(__file__).with_name("flows.toml")
PRICES: Final = Path(__file__).with_name("prices.toml")
"""Of the bundled assistant, which costs nothing."""
LINK: Final = re.compile(r"make yourself the admin.*?: (\S+)")
BOOT: Final = (
    "import ctypes,os,runpy,sys\n"
    "try: ctypes.CDLL(None).prctl(1, 15)\n"
    "except (OSError, AttributeError): pass\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(0)\n"
    "sys.argv=sys.argv[2:]\n"
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
)
"""PR_SET_PDEATHSIG: a child is asked to end when its parent dies, however that comes."""


class Stage:
    """Two processes and their addresses. Use as a context manager."""

    def __init__(
        self, settings: Settings, port: int = 0, carrier: Carrier | None = None
    ) -> None:  # fmt: skip
        self._settings = settings
        self.port = _taken_by_us(port) if port else _free_port()
        self.server_port = _taken_by_us(port + 1) if port else _free_port(self.port)
        self.staff = secrets.token_hex(8)
        self._carrier = carrier
        self._key = Borrowed(settings)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="lakeward-demo-"))

    @property
    def platform(self) -> str:
        """Where the platform is."""
        return f"http://{HOST}:{self.port}/"

    @property
    def live(self) -> str:
        """Where the dashboard is: with the link of its first admin, where there is none yet."""
        with contextlib.suppress(OSError):
            if found := LINK.search((self._folder / "serve.log").read_text()):
                return found[1]
        return f"http://{HOST}:{self.server_port}/"

    def __enter__(self) -> Self:
        try:
            self._start(
                "serve", self._served(), "lakeward.cli", "serve", "--port", str(self.server_port)
            )
            self._await("serve", self.server_port)
            self._start(
                "platform", self._asking(), "uvicorn", "lakeward.demo.app:create", "--factory",
                "--host", HOST, "--port", str(self.port), "--log-level", "warning",
            )  # fmt: skip
            self._await("platform", self.port)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def scores(self) -> dict[str, float]:
        """PowerConfidence of partners as the platform reads it from the server."""
        return standing(self._server, self._key.secret) or {}

    def await_scores(self, many: int) -> None:
        """Wait until the platform knows of so many."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._health(self.port).get("scored_partners") == many:
                return
            time.sleep(0.2)
        raise Terminal("the demo's platform was not told what PowerConfidence its partners have")

    def alive(self, name: str) -> bool:
        """Whether a process of the two runs."""
        child = self._children.get(name)
        return child is not None and child.poll() is None

    def end(self, name: str) -> None:
        """End one of the two."""
        child = self._children.pop(name, None)
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def close(self) -> None:
        """End both: first who writes, then who keeps."""
        self.end("platform")
        self.end("serve")
        self._key.give_back()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, name: str, more: Mapping[str, str], *words: str) -> None:
        command = [sys.executable, "-c", BOOT, str(os.getpid()), *words]
        with (self._folder / f"{name}.log").open("wb") as log:
            self._children[name] = subprocess.Popen(  # noqa: S603 - ours
                command, env={**self._environ(os.environ), **more}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT,
                process_group=0,  # a Ctrl-C is for this process, which ends them in order
            )  # fmt: skip

    @property
    def _server(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def _served(self) -> dict[str, str]:
        """What the server is told besides, where people are to be heard: messages come to the
        carrier, and witnesses' networks stand in a header, as behind a proxy."""
        if self._carrier is None:
            return {}
        return self._carrier.environ | {
            "LAKEWARD_PUBLIC_URL": self._server, "LAKEWARD_INVITE_QUIET": "",
            "LAKEWARD_TRUSTED_PROXIES": ",".join((*self._settings.trusted_proxies, HOST)),
        }  # fmt: skip

    def _asking(self) -> dict[str, str]:
        """Where the platform asks for scores, and with what."""
        if wants_key(self._server):
            self._key.take()
        return {"DEMO_SERVER": self._server, "DEMO_KEY": self._key.secret}

    def _environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        return {
            **environ,
            "LAKEWARD_LAKE_DIR": str(self._settings.lake_dir),
            "LAKEWARD_FLOWS": str(declared(self._settings).flows),
            "LAKEWARD_AI_PRICES": str(declared(self._settings).ai_prices),
            "LAKEWARD_FLAGS": declared(self._settings).flags,
            "LAKEWARD_INDIVIDUAL_FILES": self._settings.individual_files,
            "DEMO_STAFF": self.staff,
            "DEMO_DATABASE": str(self._folder / "platform.db"),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry),
        }

    def _await(self, name: str, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.alive(name):
            if self._health(port):
                return
            time.sleep(0.05)
        said = (self._folder / f"{name}.log").read_text(errors="replace").strip()
        last = said.splitlines()[-1] if said else "it said nothing"
        raise Terminal(f"the demo's {name} did not start: {last}")

    def _health(self, port: int) -> dict[str, object]:
        """What is told of it; empty while it does not answer."""
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            raw = answer.read()
            if answer.status != http.client.OK:
                return {}
            return msgspec.json.decode(raw, type=dict[str, object])
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            return {}
        finally:
            connection.close()


def declared(settings: Settings, days: int = 0) -> Settings:
    """The settings, with the demo's flows, prices and flags where none are declared; with a history
    no file for each of its interactions, unless that was asked for."""
    files = "off" if days and settings.individual_files == "auto" else settings.individual_files
    return msgspec.structs.replace(
        settings, flows=settings.flows or FLOWS, ai_prices=settings.ai_prices or PRICES,
        flags=settings.flags or str(FLAGS), individual_files=files,
    )  # fmt: skip


def _free_port(besides: int = 0) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port != besides:
            return port


def _taken_by_us(port: int) -> int:
    """The port, which nobody has."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Terminal(f"port {port} is taken: give the demo another one, --port N") from None
    return port
