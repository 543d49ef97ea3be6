"""Clients press `lakeward serve` while its workers and its keeper are killed; then all is counted.

    python tests/ingest_killing.py --folder DIR --rings DIR --seconds 600 --rate 8000 [--limit]

Each client sends batches of interactions whose ids it made, at a given pace, gives up some requests
in the middle, and sends what was not acknowledged again, with the same ids, until it is. Out: one
line of JSON: how many were acknowledged, how many of those stand in the table once, twice, or not
at all, and how the memory of each process grew. With `--limit` there is no pace and no kill: the
line says what the server can take.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from uuid_utils import uuid7

BATCH = 50
ABORT = 0.02
"""Share of requests that are given up in the middle of the body, and as many before the answer."""
SAMPLE_SECONDS = 5.0
AGAIN = {429, 503}


def event(identifier: str, n: int) -> dict[str, Any]:
    """A page view of one of 500 visitors."""
    return {
        "interaction_type": "page_view",
        "interaction_id": identifier,
        "timestamp": _now(),
        "anonymous_id": f"a-{n % 500}",
        "session_id": f"s-{n % 1500}",
        "url": f"https://app.example.com/partners/{n % 997}",
        "path": f"/partners/{n % 997}",
        "title": "Partners near you",
        "view_id": identifier,
    }


def _now() -> str:
    seconds, ns = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ns // 10**6:03d}Z"


class Client:
    """One connection's worth of load, in a thread."""

    def __init__(
        self, port: int, pace: float, ends: float, seed: int, out: Callable[[list[str]], None]
    ) -> None:
        self._port = port
        self._pace = pace
        self._ends = ends
        self._random = random.Random(seed)
        self._out = out
        self._again: deque[list[str]] = deque()
        self._link: socket.socket | None = None
        self._n = seed * 1_000_000
        self.acknowledged = self.sent = 0

    def run(self) -> None:
        """Send until the end, then what is left, for a minute at most."""
        due = time.monotonic()
        while time.monotonic() < self._ends:
            if self._pace:
                due = max(due + BATCH / self._pace, time.monotonic() - 2.0)
                time.sleep(max(due - time.monotonic(), 0.0))
            self._send(self._again.popleft() if self._again else self._fresh())
        patience = time.monotonic() + 60
        while self._again and time.monotonic() < patience:
            self._send(self._again.popleft())

    def left(self) -> int:
        """Ids that never were acknowledged."""
        return sum(map(len, self._again))

    def _fresh(self) -> list[str]:
        self.sent += BATCH
        return [str(uuid7()) for _ in range(BATCH)]

    def _send(self, ids: list[str]) -> None:
        try:
            status = self._ask(ids)
        except (OSError, ValueError):
            status = 0
        if status == 200:
            self.acknowledged += len(ids)
            self._out(ids)
            return
        if self._link is not None and status not in AGAIN:
            self._link.close()
            self._link = None
        self._again.append(ids)
        if status != -1:
            time.sleep(self._random.uniform(0.02, 0.2))

    def _ask(self, ids: list[str]) -> int:
        """The status of the answer; -1 for a request that was given up."""
        self._n += len(ids)
        events = [event(identifier, self._n + k) for k, identifier in enumerate(ids)]
        body = msgspec.json.encode({"sent_at": _now(), "batch": events})
        head = f"POST /v1/interactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}"
        request = head.encode() + b"\r\n\r\n" + body
        if self._link is None:
            self._link = socket.create_connection(("127.0.0.1", self._port), 30)
        fate = self._random.random()
        if fate < ABORT:
            self._link.sendall(request[: self._random.randrange(len(request))])
            return -1
        self._link.sendall(request)
        if fate < 2 * ABORT:
            return -1
        return _status(self._link, len(ids))


def _status(link: socket.socket, count: int) -> int:
    """The answer's status; 200 only when all of the batch was accepted."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += _more(link)
    head, _, body = heard.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += _more(link)
    status = int(head[9:12])
    if status == 200:
        assert json.loads(body) == {"accepted": count, "rejected": []}, body[:300]
    return status


def _more(link: socket.socket) -> bytes:
    got = link.recv(65536)
    if not got:
        raise OSError("the server closed")
    return got


def client(options: argparse.Namespace) -> None:
    """A process of clients; what was acknowledged goes into a file."""
    ends = time.monotonic() + options.seconds
    with Path(options.out).open("w") as out:
        writing = threading.Lock()

        def told(ids: list[str]) -> None:
            with writing:
                out.write("\n".join(ids) + "\n")

        clients = [
            Client(options.port, options.rate / options.links, ends, options.seed * 100 + k, told)
            for k in range(options.links)
        ]
        threads = [threading.Thread(target=each.run) for each in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = {
        name: sum(getattr(each, name) for each in clients) for name in ("acknowledged", "sent")
    }
    print(json.dumps({**counts, "left": sum(each.left() for each in clients)}))


class Server:
    """`lakeward serve`, started again on the same port whenever it is gone, as an init would."""

    def __init__(self, folder: Path, rings: Path, port: int, workers: int) -> None:
        self._folder, self._port, self._workers = folder, port, workers
        self.env = {
            **os.environ,
            "LAKEWARD_LAKE_DIR": str(folder / "data-lake"),
            "LAKEWARD_RING_DIR": str(rings),
            "LAKEWARD_INDIVIDUAL_FILES": "off",
            "LAKEWARD_SEGMENT_BYTES": "32MiB",
            "LAKEWARD_COMPACT_BYTES": "16MiB",
        }
        self.process = self._start()
        self.kills = {"worker": 0, "server": 0}

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lakeward.cli", "serve", "--port", str(self._port),
                   "--workers", str(self._workers)]  # fmt: skip
        with (self._folder / "serve.log").open("ab") as log:
            return subprocess.Popen(command, env=self.env, cwd=self._folder, stdout=log, stderr=log)

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                self.process = self._start()
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server does not come up")

    def children(self) -> list[int]:
        """Processes of its own: workers, and what its keeper started."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def workers(self) -> list[int]:
        """The web workers among them."""
        return [pid for pid in self.children() if b"server.worker" in _command(pid)]

    def kill(self, what: str, chosen: random.Random) -> None:
        """SIGKILL a worker, or the server, which is the keeper."""
        pids = self.workers() if what == "worker" else [self.process.pid]
        if not pids:
            return
        os.kill(chosen.choice(pids), signal.SIGKILL)
        self.kills[what] += 1
        if what == "server":
            self.process.wait()
            self.process = self._start()

    def stop(self) -> None:
        """Politely, so that everything is in the log."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _resident(pid: int) -> float:
    """MB of memory that is resident."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
    except (OSError, IndexError):
        return 0.0


class Memory:
    """Samples of every process that lives long."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.samples: dict[str, list[tuple[float, float]]] = {}

    def look(self, at: float) -> None:
        """Note each process's memory."""
        named = {self._server.process.pid: "keeper"}
        for pid in self._server.children():
            command = _command(pid)
            if b"server.worker" in command:
                named[pid] = "worker"
            elif b"courier" in command:
                named[pid] = "courier"
        for pid, name in named.items():
            if resident := _resident(pid):
                self.samples.setdefault(f"{name} {pid}", []).append((at, resident))

    def slopes(self, since: float, until: float) -> dict[str, dict[str, float]]:
        """MB a minute between two moments, by least squares, of those that lived through it."""
        found = {}
        for name, samples in self.samples.items():
            if samples[0][0] > since or samples[-1][0] < until - 2 * SAMPLE_SECONDS:
                continue
            inside = [(at / 60, mb) for at, mb in samples if since <= at <= until]
            mean_x = sum(x for x, _ in inside) / len(inside)
            mean_y = sum(y for _, y in inside) / len(inside)
            spread = sum((x - mean_x) ** 2 for x, _ in inside)
            slope = sum((x - mean_x) * (y - mean_y) for x, y in inside) / spread
            found[name] = {"mb_a_minute": round(slope, 3), "mb": round(inside[-1][1], 1)}
        return found


def press(options: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    folder, chosen = Path(options.folder), random.Random(options.seed)
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    server = Server(folder, Path(options.rings), port, options.workers)
    try:
        server.wait()
        began = time.monotonic()
        clients = list(_clients(options, port, folder))
        memory = Memory(server)
        kills = _plan(options, chosen)
        while any(each.poll() is None for each in clients):
            now = time.monotonic() - began
            if kills and now >= kills[0][0]:
                server.kill(kills.popleft()[1], chosen)
            if server.process.poll() is not None:
                server.process = server._start()
            if int(now / SAMPLE_SECONDS) > len(memory.samples.get("at", [])):
                memory.samples.setdefault("at", []).append((now, 0.0))
                memory.look(now)
            time.sleep(0.02)
        took = time.monotonic() - began
        counts = [json.loads(each.communicate()[0]) for each in clients]
    finally:
        server.stop()
    memory.samples.pop("at", None)
    total = {
        name: sum(count[name] for count in counts) for name in ("acknowledged", "sent", "left")
    }
    slopes = memory.slopes(options.seconds * 0.3, options.seconds)
    said = (folder / "serve.log").read_text()
    failures = said.count("memory allocation") + said.count("compaction failed")
    return {
        **total, "seconds": round(took, 1), "kills": server.kills, "compactions_failed": failures,
        "memory": slopes,
    }  # fmt: skip


def _clients(
    options: argparse.Namespace, port: int, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    for n in range(options.clients):
        command = [
            sys.executable, __file__, "--client", "--port", str(port), "--seconds",
            str(options.seconds), "--rate", str(options.rate / options.clients), "--links",
            str(options.links), "--seed", str(options.seed * 10 + n), "--out",
            str(folder / f"acknowledged-{n}"),
        ]  # fmt: skip
        yield subprocess.Popen(command, stdout=subprocess.PIPE)


def _plan(options: argparse.Namespace, chosen: random.Random) -> deque[tuple[float, str]]:
    """When what is killed."""
    moments = [
        (chosen.uniform(2, options.seconds - 1), "worker") for _ in range(options.worker_kills)
    ]
    moments += [
        (chosen.uniform(2, options.seconds - 1), "server") for _ in range(options.server_kills)
    ]
    return deque(sorted(moments))


def count(folder: Path, rings: Path) -> dict[str, Any]:
    """What stands in the table after everything of the log is in it."""
    from lakeward.lake.reading import open_reading
    from lakeward.lakedir import open_lake
    from lakeward.settings import load

    env = {"LAKEWARD_LAKE_DIR": str(folder / "data-lake"), "LAKEWARD_RING_DIR": str(rings)}
    environ = {**os.environ, **env, "LAKEWARD_INDIVIDUAL_FILES": "off"}
    for _ in range(5):  # a compaction that met the keeper's last one is tried again
        if _lakeward("compact", environ) == 0:
            break
        time.sleep(1)
    lake = open_lake(folder / "data-lake", create=False)
    files = ", ".join(f"'{path}'" for path in folder.glob("acknowledged-*"))
    told = f"SELECT DISTINCT id FROM read_csv([{files}], header=false, columns={{'id': 'VARCHAR'}})"
    with open_reading(lake, load(environ, folder), memory=8 << 30) as reading:
        found = reading.con.execute(
            f"WITH told AS ({told}) SELECT (SELECT count(*) FROM interactions), "
            "(SELECT count(DISTINCT interaction_id) FROM interactions), "
            "(SELECT count(*) FROM told), "
            "(SELECT count(*) FROM told ANTI JOIN interactions ON id = interaction_id)"
        ).fetchone()
        tail = reading.tail_rows
    assert found is not None
    rows, ids, acknowledged, missing = found
    return {
        "rows": rows, "twice": rows - ids, "told": acknowledged, "told_missing": missing,
        "tail": tail, "doctor": _lakeward("doctor", environ),
    }  # fmt: skip


def _lakeward(command: str, environ: dict[str, str]) -> int:
    words = [sys.executable, "-m", "lakeward.cli", command]
    return subprocess.run(words, env=environ, stdout=subprocess.DEVNULL).returncode


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def main() -> None:
    """Press, count, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--out")
    parser.add_argument("--folder")
    parser.add_argument("--rings")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--links", type=int, default=4)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--worker-kills", type=int, default=0)
    parser.add_argument("--server-kills", type=int, default=0)
    parser.add_argument("--limit", action="store_true")
    options = parser.parse_args()
    if options.client:
        client(options)
        return
    verdict = press(options)
    if not options.limit:
        verdict |= count(Path(options.folder), Path(options.rings))
    print(json.dumps(verdict))


if __name__ == "__main__":
    main()
