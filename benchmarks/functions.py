"""What the Lambda costs: a cold start, and answers of a process that is warm.

The package of `make lambda`, unpacked in a folder of its own, in AWS's own runtime client, which
is asked over the Runtime API on the loopback. S3 is a server that takes everything at once and
measures itself, so that its time can be taken away. `lakeward serve` takes the same bodies in the
same run, and a Python that does nothing says what starting one takes here.

CPU is that of the function's process, all threads; wall time on a shared machine measures the
neighbours, too. A real Lambda has a share of a core by its memory (1,769 MB are one).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from ingest import AGENT, ALONE, Running, event, lakeward
from lakeward.store.token import digest, make_token
from lambdas import Container, built, client, container, unpacked
from measure import Report, cpu_seconds, disk, scratch, spread, table

COLD, WARM = 9, 40
SIZES: Final = (1, 100)
SECRET: Final = make_token("write", b"s" * 32)


class Took(ThreadingHTTPServer):
    """S3 that takes everything; `seconds` is how long it did."""

    daemon_threads = True
    seconds = 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the second packet of an answer waits for 40 ms
    server: Took

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        began = time.perf_counter()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.seconds += time.perf_counter() - began


@contextmanager
def bucket() -> Iterator[tuple[Took, dict[str, str]]]:
    """S3, and the settings of a function that has it."""
    server = Took(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server, {
            "USE_S3": "true", "DATA_LAKE_BUCKET": "lake", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIABENCHBENCHBENCH1", "AWS_SECRET_ACCESS_KEY": "of-nobody",
            "LAKEWARD_AWS_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
            "LAKEWARD_ENV": "production", "LAKEWARD_LAKE_DIR": "/tmp/data-lake",
            "LAKEWARD_RING_DIR": "/tmp/rings", "LAKEWARD_ACK": "s3",
            "LAKEWARD_KEYS": f"app=sha256:{digest(SECRET)}:*",
        }  # fmt: skip
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(size: int, n: int) -> dict[str, Any]:
    """A request of the gateway."""
    return {
        "version": "2.0", "rawPath": "/v1/interactions", "rawQueryString": "",
        "headers": {"content-type": "application/json", "user-agent": AGENT,
                    "authorization": f"Bearer {SECRET}", "host": "api.example.com"},
        "requestContext": {"http": {"method": "POST", "path": "/v1/interactions",
                                    "sourceIp": "198.51.100.7"}, "stage": "$default"},
        "body": json.dumps([event(n * size + k) for k in range(size)]), "isBase64Encoded": False,
    }  # fmt: skip


def answered(function: Container, size: int, n: int) -> None:
    answer = function.invoke(asked(size, n))
    assert not answer.failed, answer.content
    assert answer.content["statusCode"] == 200, answer.content


def peak_mb(pid: int) -> float:
    """The most memory that the process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def cold(paths: list[Path], rounds: int, folder: Path) -> dict[str, list[float]]:
    """New processes: until they ask for work, the first answer, both together."""
    found: dict[str, list[float]] = {}
    with bucket() as (s3, environ):
        for n in range(rounds + 1):
            took = {"python -c pass": nothing()}
            before, began = s3.seconds, time.perf_counter()
            with container("lakeward.aws.ingest.handler", paths, environ, folder / "log") as made:
                made.runtime.polled.wait(60)
                took["loaded, wall"] = time.perf_counter() - began
                took["loaded, CPU"] = cpu_seconds(made.process.pid)
                answered(made, 1, n)
                took["first answer, wall"] = time.perf_counter() - began - took["loaded, wall"]
                took["S3 in it"] = s3.seconds - before
                took["both, wall"] = time.perf_counter() - began
                took["both, CPU"] = cpu_seconds(made.process.pid)
                took["peak MB"] = peak_mb(made.process.pid)
            for name, value in took.items() if n else ():  # the first fills the disk's cache
                found.setdefault(name, []).append(value)
    return found


def nothing() -> float:
    """Seconds that starting a Python takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    return time.perf_counter() - began


def warm(paths: list[Path], rounds: int, folder: Path) -> tuple[dict[str, list[float]], float]:
    """One process, asked again and again, beside a server; peak memory of the process."""
    found: dict[str, list[float]] = {}
    with ExitStack() as held:
        s3, environ = held.enter_context(bucket())
        function = held.enter_context(
            container("lakeward.aws.ingest.handler", paths, environ, folder / "log")
        )
        server = held.enter_context(lakeward(held.enter_context(scratch()) | ALONE))
        for n in range(rounds + 1):
            for size in SIZES:
                before = cpu_seconds(function.process.pid), s3.seconds, time.perf_counter()
                answered(function, size, n)
                wall = time.perf_counter() - before[2]
                took = {
                    f"{size} wall": wall - (s3.seconds - before[1]),
                    f"{size} CPU": cpu_seconds(function.process.pid) - before[0],
                    f"{size} served": served(server, size, n),
                }
                for name, value in took.items() if n else ():
                    found.setdefault(name, []).append(value)
        return found, peak_mb(function.process.pid)


def served(server: Running, size: int, n: int) -> float:
    """CPU of `lakeward serve`, keeper included, for the same body."""
    before = server.cpu()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/v1/interactions", asked(size, n)["body"],
                       {"content-type": "application/json", "user-agent": AGENT})  # fmt: skip
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    connection.close()
    return server.cpu() - before


def main() -> None:
    """Measure and report."""
    report = Report("functions")
    with tempfile.TemporaryDirectory(dir=disk()) as name:
        folder = Path(name)
        package = built(folder / "package")
        size = package.stat().st_size
        paths = [unpacked(package, folder / "task"), client(folder / "client")]
        started = cold(paths, report.rounds(COLD), folder)
        answers, peak = warm(paths, report.rounds(WARM), folder)
    report.figures = {"cold": started, "warm": answers, "peak_mb": peak}
    bare = spread(started["python -c pass"]).median
    report.say("A cold start, ms: median (least…most); times a Python that does nothing.")
    report.say(table(
        ["", "ms", "of python -c pass"],
        [[what, spread([s * 1e3 for s in values]).text(0), f"{spread(values).median / bare:.1f}"]
         for what, values in started.items() if what != "peak MB"],
    ))  # fmt: skip
    report.say("Warm answers, ms each, S3's own time taken away; `served` is the CPU of `lakeward "
               "serve` and its keeper for the same body.")  # fmt: skip
    report.say(table(
        ["interactions", "wall", "CPU", "served, CPU", "CPU ÷ served"],
        [[str(size),
          *(spread([s * 1e3 for s in answers[f"{size} {what}"]]).text()
            for what in ("wall", "CPU", "served")),
          f"{spread(answers[f'{size} CPU']).median / spread(answers[f'{size} served']).median:.2f}"]
         for size in SIZES],
    ))  # fmt: skip
    report.say(f"Peak memory: {spread(started['peak MB']).text(0)} MB after the first answer, "
               f"{peak:.0f} MB after {(report.rounds(WARM) + 1) * len(SIZES)} answers. The package "
               f"has {size:,} bytes.")  # fmt: skip
    report.finish()


if __name__ == "__main__":
    main()
