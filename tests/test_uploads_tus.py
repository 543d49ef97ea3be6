"""Demos come in by tus: what was told to be safe is, whatever happens to client, server or disk."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

import demo_files
from conftest import Lake, wait_until
from lakeward.confidence.demos.work import run_jobs
from lakeward.settings import load
from lakeward.store.changes import LAKEWARD
from lakeward.store.database import Database, open_database
from lakeward.store.demos_schema import DEMOS
from lakeward.store.partners import Partners
from server_process import Serving, serving
from test_login import added, logged_in
from test_server_keys import bearer, created

PARTNERS = ("p9", "p1")
TUS = {"tus-resumable": "1.0.0"}
CONTENT = bytes(range(256)) * 4096
"""A MiB."""
IN_FLIGHT = 128 << 10
"""What the server may have read of a connection that ends, and nobody has been handed."""


def with_partners(lake: Lake) -> Lake:
    with open_database(load(lake.env, lake.root.parent)) as database:
        for name in PARTNERS:
            Partners(database).upsert(name, actor=LAKEWARD, name=name, category="roofing")
    return lake


class Sending:
    """A server, and what a client does with it."""

    def __init__(self, lake: Lake, server: Serving, client: httpx.Client) -> None:
        self.lake, self.server, self.client = lake, server, client

    def begin(self, size: int, partner: str = "p9", client: httpx.Client | None = None,
              **said: str) -> str:  # fmt: skip
        """The path of a new upload."""
        pairs = [
            f"{key} {base64.b64encode(text.encode()).decode()}"
            for key, text in said.items()
            if text
        ]
        headers = TUS | {"upload-length": str(size), "upload-metadata": ",".join(pairs)}
        answer = (client or self.client).post(f"/api/partners/{partner}/demos", headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def patch(self, path: str, offset: int, content: Any, **more: str) -> httpx.Response:
        """Send bytes from an offset on."""
        headers = TUS | {"upload-offset": str(offset),
                         "content-type": "application/offset+octet-stream"} | more  # fmt: skip
        return self.client.patch(path, headers=headers, content=content)

    def offset(self, path: str) -> int:
        """How many bytes are safe."""
        answer = self.client.head(path, headers=TUS)
        assert answer.status_code == 200, answer.headers
        assert answer.headers["tus-resumable"] == "1.0.0"
        return int(answer.headers["upload-offset"])

    def whole(self, content: bytes, filename: str = "", title: str = "") -> str:
        """The id of a demo with this content."""
        path = self.begin(len(content), filename=filename, title=title)
        answer = self.patch(path, 0, content)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(content)))
        return path.rpartition("/")[2]

    def demo(self, demo_id: str, **asked: str) -> Any:
        """A demo as it is now."""
        answer = self.client.get(f"/api/demos/{demo_id}", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def worked(self) -> None:
        """All that is due is done, here or in the child of the server's keeper."""
        settings = load(self.lake.env, self.lake.root.parent)
        run_jobs(self.lake.open(), settings)
        with open_database(settings) as database:
            wait_until(lambda: not self._open(database), what="the work on demos")

    def _open(self, database: Database) -> int:
        states = ("received", "processing")
        query = select(func.count()).select_from(DEMOS).where(DEMOS.c.state.in_(states))
        with database.read() as connection:
            return connection.scalar(query) or 0

    def kept(self) -> list[Path]:
        """Files of demos and of uploads."""
        folder = self.lake.root / ".lakeward" / "demos"
        return [path for path in folder.rglob("[!.]*") if path.is_file()]


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sending]:
    folder = tmp_path_factory.mktemp("sending")
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-sending"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = with_partners(Lake(folder / "data-lake", ring_dir))
    with serving(lake) as server, server.client() as client:
        yield Sending(lake, server, client)
    lake.close()


@contextlib.contextmanager
def served(lake: Lake, **env: str) -> Iterator[Sending]:
    with serving(with_partners(lake), **env) as server, server.client() as client:
        lake.env |= env
        yield Sending(lake, server, client)


# The protocol


def test_an_upload_in_pieces_becomes_a_demo_and_its_progress_is_seen(sending: Sending) -> None:
    text = b"Solar roofs for everybody. " * 1000
    path = sending.begin(len(text), filename="roofs.txt", title="Our roofs")
    demo_id = path.rpartition("/")[2]
    assert sending.offset(path) == 0
    for at in range(0, len(text), 10_000):
        said = sending.demo(demo_id)
        assert (said["state"], said["received"], said["title"]) == ("uploading", at, "Our roofs")
        answer = sending.patch(path, at, text[at : at + 10_000])
        assert answer.status_code == 204
        assert answer.headers["upload-offset"] == str(min(at + 10_000, len(text)))
        assert "GMT" in answer.headers["upload-expires"]
    said = sending.demo(demo_id)
    assert said["state"] == "received"
    assert said["sha256"] == hashlib.sha256(text).hexdigest()
    assert said["progress"] == {"step": "probe", "percent": 0, "message": "waiting"}
    assert sending.offset(path) == len(text)
    sending.worked()
    said = sending.demo(demo_id, segments="1")
    assert (said["state"], said["progress"]["percent"]) == ("completed", 100)
    assert said["transcript"]["source"] == "document"
    assert said["transcript"]["segments"][0]["text"].startswith("Solar roofs for everybody.")
    assert said["measures"]["words"] == 4000
    listed = sending.client.get("/api/partners/p9/demos").json()
    assert demo_id in [one["demo_id"] for one in listed["demos"]]
    assert listed["may_add"] is True


def test_what_is_spoken_is_said_to_who_asks(sending: Sending) -> None:
    answer = sending.client.options("/api/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,expiration,checksum"
    assert answer.headers["tus-max-size"] == str(2 << 30)
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")


def test_who_speaks_another_version_is_told_which_one_is_spoken(sending: Sending) -> None:
    path = sending.begin(10)
    for headers in ({}, {"tus-resumable": "0.2.2"}):
        for method in ("HEAD", "PATCH", "DELETE"):
            answer = sending.client.request(method, path, headers=headers)
            assert answer.status_code == 412
            assert answer.headers["tus-version"] == "1.0.0"
    answer = sending.client.post("/api/partners/p9/demos", headers={"tus-resumable": "9"})
    assert (answer.status_code, answer.json()["code"]) == (412, "wrong_version")


def test_an_upload_begins_by_json_as_well(sending: Sending) -> None:
    body = {"title": "Ours", "size_bytes": 3, "file_name": "a.txt",
            "sha256": hashlib.sha256(b"abc").hexdigest()}  # fmt: skip
    answer = sending.client.post("/api/partners/p9/demos", json=body)
    assert answer.status_code == 201
    assert answer.json()["state"] == "uploading"
    assert sending.patch(answer.headers["location"], 0, b"abc").status_code == 204


def test_a_file_that_is_not_the_one_that_was_announced_is_not_kept(sending: Sending) -> None:
    path = sending.begin(3, sha256=hashlib.sha256(b"abc").hexdigest())
    answer = sending.patch(path, 0, b"abd")
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_sha256")
    assert sending.client.head(path, headers=TUS).status_code == 404


@pytest.mark.parametrize("name", ["sha1", "sha256", "md5"])
def test_bytes_with_a_checksum_count_when_they_fit_it(sending: Sending, name: str) -> None:
    def said(content: bytes) -> str:
        return f"{name} {base64.b64encode(hashlib.new(name, content).digest()).decode()}"

    path = sending.begin(20)
    answer = sending.patch(path, 0, b"0123456789", **{"upload-checksum": said(b"012345678x")})
    assert (answer.status_code, answer.json()["code"]) == (460, "checksum_mismatch")
    assert sending.offset(path) == 0
    for at, content in ((0, b"0123456789"), (10, b"abcdefghij")):
        answer = sending.patch(path, at, content, **{"upload-checksum": said(content)})
        assert answer.status_code == 204
    assert (
        sending.demo(path.rpartition("/")[2])["sha256"]
        == hashlib.sha256(b"0123456789abcdefghij").hexdigest()
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"upload-offset": "1"}, 409), ({"upload-offset": "11"}, 409), ({"upload-offset": "-1"}, 400),
     ({"upload-offset": "x"}, 400), ({"upload-offset": "9" * 30}, 400),
     ({"content-type": "text/plain"}, 415), ({"upload-checksum": "crc32 AAAA"}, 400),
     ({"upload-checksum": "sha1 !"}, 400)],
)  # fmt: skip
def test_a_piece_that_will_not_do_changes_nothing(
    sending: Sending, headers: dict[str, str], status: int
) -> None:
    path = sending.begin(10)
    answer = sending.patch(path, 0, b"01234", **headers)
    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert set(answer.json()) == {"code", "message"}
    assert sending.offset(path) == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_more_bytes_than_were_announced_are_refused_and_none_of_them_is_kept(
    sending: Sending, streamed: bool
) -> None:
    path = sending.begin(10)
    assert sending.patch(path, 0, b"0123").status_code == 204
    content = iter([b"x" * 4, b"y" * 100]) if streamed else b"x" * 7
    answer = sending.patch(path, 4, content)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert sending.offset(path) == 4
    assert sending.patch(path, 4, b"456789").status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 400), ({"upload-length": "x"}, 400), ({"upload-length": "-5"}, 400),
     ({"upload-defer-length": "1"}, 400), ({"upload-length": str(3 << 30)}, 413),
     ({"upload-length": "5", "upload-metadata": "filename !"}, 400),
     ({"upload-length": "5", "upload-metadata": "x" * 5000}, 400),
     ({"upload-length": "5", "upload-metadata": "sha256 YWJj"}, 400)],
)  # fmt: skip
def test_an_upload_that_says_no_sense_does_not_begin(
    sending: Sending, headers: dict[str, str], status: int
) -> None:
    before = len(sending.client.get("/api/partners/p9/demos").json()["demos"])
    answer = sending.client.post("/api/partners/p9/demos", headers=TUS | headers)
    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert len(sending.client.get("/api/partners/p9/demos").json()["demos"]) == before


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../etc/passwd", "passwd"), ("C:\\x\\film.mp4", "film.mp4"), ("a\0b\n.mp4", "ab.mp4"),
     ("film\u202e4pm.exe", "film4pm.exe"), ("\u200b\u2066", "unnamed"), ("", "unnamed"),
     ("n" * 1000, "n" * 200), ("CON", "CON"), ("…ü 水.mp4", "…ü 水.mp4"), (".", "."),
     ("/", "unnamed")],
)  # fmt: skip
def test_a_name_is_shown_and_nothing_else_whatever_it_is(
    sending: Sending, name: str, shown: str
) -> None:
    before = set(sending.kept())
    demo_id = sending.whole(f"text of {name!r}".encode(), filename=name)
    assert sending.demo(demo_id)["file_name"] == shown
    [path] = set(sending.kept()) - before
    assert len(path.name) == 64
    answer = sending.client.get(f"/api/demos/{demo_id}/file")
    assert answer.headers["content-disposition"] == 'attachment; filename="demo.bin"'


def test_an_empty_file_is_refused_by_the_work_on_it(sending: Sending) -> None:
    path = sending.begin(0)
    assert sending.offset(path) == 0
    sending.worked()
    said = sending.demo(path.rpartition("/")[2])
    assert (said["state"], said["reason"]) == ("refused", "the file is empty")


def test_an_upload_that_is_taken_back_leaves_nothing(sending: Sending) -> None:
    before = sending.kept()
    path = sending.begin(10)
    sending.patch(path, 0, b"0123")
    assert sending.client.delete(path, headers=TUS).status_code == 204
    assert sending.client.head(path, headers=TUS).status_code == 404
    assert sending.patch(path, 4, b"4").status_code == 404
    assert sending.client.delete(path, headers=TUS).status_code == 404
    assert sending.kept() == before


def test_while_one_sends_another_one_is_told_to_wait(sending: Sending) -> None:
    path = sending.begin(len(CONTENT))
    with raw(sending, path, 0, len(CONTENT)) as first:
        first.sendall(CONTENT[:1000])
        assert sending.patch(path, 0, b"x").status_code == 423
        assert sending.client.delete(path, headers=TUS).status_code == 423
        first.sendall(CONTENT[1000:])
        assert b" 204 " in first.recv(4096)
    assert sending.demo(path.rpartition("/")[2])["sha256"] == hashlib.sha256(CONTENT).hexdigest()


# Interruptions


@contextlib.contextmanager
def raw(
    sending: Sending, path: str, offset: int, length: int, *more: str
) -> Iterator[socket.socket]:
    """A connection on which a PATCH of so many bytes has begun."""
    head = [f"PATCH {path} HTTP/1.1", f"Host: 127.0.0.1:{sending.server.port}",
            "Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}", f"Content-Length: {length}",
            "Content-Type: application/offset+octet-stream", *more]  # fmt: skip
    with socket.create_connection(("127.0.0.1", sending.server.port), 30) as client:
        client.sendall("\r\n".join([*head, "", ""]).encode())
        wait_until(lambda: is_locked(sending, path), what="the lock of the upload")
        yield client


def is_locked(sending: Sending, path: str) -> bool:
    """Whether a request holds the upload, as the kernel has it: asking by a request takes it."""
    file = sending.lake.root / ".lakeward/demos/unfinished" / path.rpartition("/")[2]
    if not file.exists():
        return False
    inode = f":{file.stat().st_ino}"
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(words[1] == "FLOCK" and words[5].endswith(inode) for words in held)


def settled(sending: Sending, path: str) -> int:
    """The offset once nobody sends any more."""

    wait_until(lambda: not is_locked(sending, path), what="the end of the request")
    return sending.offset(path)


@pytest.mark.parametrize("sent", [0, 1, 65_535, 65_536, 500_000, len(CONTENT) - 1])
def test_what_came_before_a_client_was_cut_off_is_kept_and_the_rest_follows(
    sending: Sending, sent: int
) -> None:
    path = sending.begin(len(CONTENT))
    with raw(sending, path, 0, len(CONTENT)) as client:
        client.sendall(CONTENT[:sent])
    offset = settled(sending, path)
    assert sent - IN_FLIGHT <= offset <= sent
    assert sending.patch(path, offset, CONTENT[offset:]).status_code == 204
    assert sending.demo(path.rpartition("/")[2])["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_of_a_piece_with_a_checksum_nothing_is_kept_that_is_not_whole(sending: Sending) -> None:
    path = sending.begin(len(CONTENT))
    digest = base64.b64encode(hashlib.sha1(CONTENT).digest()).decode()
    with raw(sending, path, 0, len(CONTENT), f"Upload-Checksum: sha1 {digest}") as client:
        client.sendall(CONTENT[:500_000])
    assert settled(sending, path) == 0
    answer = sending.patch(path, 0, CONTENT, **{"upload-checksum": f"sha1 {digest}"})
    assert answer.status_code == 204


def test_a_client_that_did_not_hear_the_last_answer_learns_that_all_is_there(
    sending: Sending,
) -> None:
    path = sending.begin(len(CONTENT))
    with raw(sending, path, 0, len(CONTENT)) as client:
        client.sendall(CONTENT)
    wait_until(lambda: sending.offset(path) == len(CONTENT), what="the whole file")
    assert sending.demo(path.rpartition("/")[2])["state"] == "received"
    assert sending.patch(path, len(CONTENT), b"").status_code == 409


@pytest.mark.parametrize("at", ["in a piece", "between pieces", "at the end"])
def test_an_upload_goes_on_after_the_server_was_killed(lake: Lake, at: str) -> None:
    content = os.urandom(20 << 20)
    with served(lake) as sending:
        path = sending.begin(len(content))
        if at == "between pieces":
            assert sending.patch(path, 0, content[: 5 << 20]).status_code == 204
        else:
            with raw(sending, path, 0, len(content)) as client:
                client.sendall(content[: -1 if at == "at the end" else 12 << 20])
                wait_until(lambda: sending.offset(path) >= 8 << 20, what="a part that is safe")
                for pid in (*sending.server.workers(), sending.server.process.pid):
                    os.kill(pid, signal.SIGKILL)
        sending.server.process.kill()
        sending.server.process.wait(60)
    with served(lake) as sending:
        offset = sending.offset(path)
        assert offset >= (5 << 20 if at == "between pieces" else 8 << 20)
        assert offset < len(content)
        assert sending.patch(path, offset, content[offset:]).status_code == 204
        said = sending.demo(path.rpartition("/")[2])
        assert said["sha256"] == hashlib.sha256(content).hexdigest()
        [kept] = sending.kept()
        assert kept.read_bytes() == content


def test_an_upload_that_is_over_is_gone_and_swept(lake: Lake) -> None:
    with served(lake, LAKEWARD_DEMO_EXPIRY_SECONDS="1") as sending:
        path = sending.begin(10)
        sending.patch(path, 0, b"0123")
        wait_until(
            lambda: sending.client.head(path, headers=TUS).status_code == 410, what="its end"
        )
        assert sending.patch(path, 4, b"456789").status_code == 410
        sending.worked()
        assert sending.client.head(path, headers=TUS).status_code == 404
        assert sending.kept() == []


def test_a_quota_and_the_largest_size_are_told_in_a_sentence(lake: Lake) -> None:
    with served(lake, LAKEWARD_DEMO_QUOTA_FILES="2", LAKEWARD_DEMO_BYTES="1000") as sending:
        answer = sending.client.post(
            "/api/partners/p9/demos", json={"title": "t", "size_bytes": 1001}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        for _ in range(2):
            sending.begin(10)
        answer = sending.client.post("/api/partners/p9/demos", json={"title": "t", "size_bytes": 1})
        assert (answer.status_code, answer.json()["code"]) == (413, "over_quota")
        assert "may have 2" in answer.json()["message"]
        sending.begin(10, partner="p1")


def test_where_uploads_are_switched_off_or_elsewhere_who_begins_is_told(lake: Lake) -> None:
    body = {"title": "t", "size_bytes": 3}
    with served(lake, LAKEWARD_PATHS="uploads=") as sending:
        answer = sending.client.post("/api/partners/p9/demos", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_uploads")
    with served(lake, LAKEWARD_PATHS="uploads=/up", LAKEWARD_PATH_PREFIX="/data") as sending:
        path = sending.begin(3)
        assert path.startswith("/data/up/")
        assert sending.patch(path, 0, b"abc").status_code == 204


@pytest.mark.root
def test_a_full_disk_refuses_a_piece_and_keeps_what_was_safe(lake: Lake) -> None:
    """Where demos are kept is a file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a file system")
    with_partners(lake)
    place = lake.root / ".lakeward" / "demos"
    place.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)])
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with served(lake) as sending:
            answer = sending.client.post(
                "/api/partners/p9/demos", json={"title": "t", "size_bytes": 3 << 20}
            )
            assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
            path = sending.begin(len(CONTENT))
            assert sending.patch(path, 0, CONTENT[:100_000]).status_code == 204
            (place / "filler").write_bytes(bytes(1_800_000))
            answer = sending.patch(path, 100_000, CONTENT[100_000:])
            assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
            assert sending.offset(path) == 100_000
            (place / "filler").unlink()
            assert sending.patch(path, 100_000, CONTENT[100_000:]).status_code == 204
            said = sending.demo(path.rpartition("/")[2])
            assert said["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_body_is_never_held_in_memory_whole(lake: Lake) -> None:
    size = 300 << 20

    def peak(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    with served(lake) as sending:
        path = sending.begin(size)
        # Of the server's processes, those that bodies go through: others may still be loading.
        pids = [pid for pid in sending.server.workers()
                if b"server.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]  # fmt: skip
        assert pids
        before = sum(map(peak, pids))
        answer = sending.patch(path, 0, iter([bytes(1 << 20)] * 300))
        assert answer.status_code == 204
        assert sum(map(peak, pids)) - before < size // 4


def test_a_client_of_others_uploads_and_goes_on(sending: Sending, tmp_path: Path) -> None:
    client = pytest.importorskip("tusclient.client", reason="tuspy is not installed")
    file = tmp_path / "roofs.txt"
    file.write_bytes(b"Roofs of slate. " * 100_000)
    tus = client.TusClient(f"{sending.server.url}/api/partners/p9/demos")
    said = {"filename": "roofs.txt", "title": "Dächer"}
    with file.open("rb") as stream:
        first = tus.uploader(file_stream=stream, chunk_size=300_000, metadata=said,
                             upload_checksum=True)  # fmt: skip
        first.upload_chunk()
        first.upload_chunk()
    with file.open("rb") as stream:
        second = tus.uploader(file_stream=stream, chunk_size=500_000, url=first.url)
        assert second.offset == 600_000
        second.upload()
    found = sending.demo(first.url.rpartition("/")[2])
    assert (found["title"], found["state"]) == ("Dächer", "received")
    assert found["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


# Who may


@pytest.fixture(scope="module")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sending, dict[str, Any]]]:
    """A server with an admin, two people of one partner, one of another, and a read key."""
    folder = tmp_path_factory.mktemp("peopled")
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-peopled"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = with_partners(Lake(folder / "data-lake", ring_dir))
    who = {"admin": (), "pam": ("p9",), "pat": ("p9",), "eve": ("p1",)}
    for name, partner in who.items():
        more = ("--role", "partner", "--partner", *partner) if partner else ()
        added(lake, f"{name}@example.com", *more)
    key = created(lake, "read", "reader")
    with serving(lake) as server, contextlib.ExitStack() as stack:
        clients: dict[str, Any] = {
            name: stack.enter_context(logged_in(server, f"{name}@example.com")) for name in who
        }
        clients["key"] = stack.enter_context(server.client(headers=bearer(key)))
        clients["nobody"] = stack.enter_context(server.client())
        yield Sending(lake, server, clients["admin"]), clients
    lake.close()


def test_a_partner_uploads_for_itself_and_for_nobody_else(
    peopled: tuple[Sending, dict[str, Any]],
) -> None:
    _, clients = peopled
    body = {"title": "t", "size_bytes": 3}
    wanted = {"admin": 201, "pam": 201, "eve": 403, "key": 403, "nobody": 401}
    for name, status in wanted.items():
        answer = clients[name].post("/api/partners/p9/demos", json=body)
        assert answer.status_code == status, (name, answer.text)
    answer = clients["pam"].post(
        "/api/partners/p9/demos", json=body, headers={"origin": "https://elsewhere.example"}
    )
    assert answer.status_code in (401, 403)


def test_whoever_began_an_upload_goes_on_with_it_or_an_admin(
    peopled: tuple[Sending, dict[str, Any]],
) -> None:
    sending, clients = peopled
    path = sending.begin(10, client=clients["pam"])
    headers = TUS | {"upload-offset": "0", "content-type": "application/offset+octet-stream"}
    wanted = {"pat": 403, "eve": 404, "key": 403, "nobody": 401}
    for name, status in wanted.items():
        for method in ("PATCH", "DELETE"):
            answer = clients[name].request(method, path, headers=headers, content=b"01234")
            assert answer.status_code == status, (name, method, answer.text)
    assert clients["pat"].head(path, headers=TUS).status_code == 200
    assert clients["eve"].head(path, headers=TUS).status_code == 404
    assert clients["pam"].patch(path, headers=headers, content=b"01234").status_code == 204
    headers["upload-offset"] = "5"
    assert clients["admin"].patch(path, headers=headers, content=b"56789").status_code == 204


def test_what_is_another_partners_is_not_there(
    peopled: tuple[Sending, dict[str, Any]], tmp_path: Path
) -> None:
    sending, clients = peopled
    demo_id = sending.whole(demo_files.video(tmp_path / "a.mp4", 2).read_bytes(), title="Ours")
    sending.worked()
    paths = ("", "/thumbnail", "/transcript", "/remove")
    for who, status in (("eve", 404), ("nobody", 401)):
        for path in paths:
            ask = clients[who].post if path in ("/transcript", "/remove") else clients[who].get
            assert ask(f"/api/demos/{demo_id}{path}").status_code == status
        assert clients[who].get("/api/partners/p9/demos").status_code in (401, 403)
    shown = clients["pam"].get(f"/api/demos/{demo_id}")
    assert shown.json()["state"] == "awaiting_transcript"
    assert "example.com" not in shown.text
    assert shown.json()["thumbnails"] == [0, 1, 1]
    assert clients["key"].get(f"/api/demos/{demo_id}").status_code == 200


def test_the_file_itself_is_for_admins_to_save_and_shown_to_nobody(
    peopled: tuple[Sending, dict[str, Any]],
) -> None:
    sending, clients = peopled
    content = b"Some words, and <script>alert(1)</script>"
    demo_id = sending.whole(content, filename="a.html")
    wanted = {"pam": 403, "eve": 403, "key": 403, "nobody": 401}
    for name, status in wanted.items():
        assert clients[name].get(f"/api/demos/{demo_id}/file").status_code == status
    answer = clients["admin"].get(f"/api/demos/{demo_id}/file")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    head = clients["admin"].head(f"/api/demos/{demo_id}/file")
    assert head.headers["content-length"] == str(len(content))


def test_a_thumbnail_is_a_picture_of_ours_in_a_sandbox(
    peopled: tuple[Sending, dict[str, Any]], tmp_path: Path
) -> None:
    sending, clients = peopled
    demo_id = sending.whole(demo_files.video(tmp_path / "b.mp4", 3).read_bytes())
    path = f"/api/demos/{demo_id}/thumbnail"
    assert clients["pam"].get(path).status_code == 404
    sending.worked()
    for n in range(3):
        answer = clients["pam"].get(path, params={"n": n})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert answer.content.startswith(b"\xff\xd8\xff")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert clients["pam"].get(path, params={"n": 3}).status_code == 404
    for wrong in ("x", "-1", "1000", "²"):
        assert clients["pam"].get(path, params={"n": wrong}).status_code == 400


def test_a_transcript_is_given_over_http_and_read_by_the_work(
    peopled: tuple[Sending, dict[str, Any]], tmp_path: Path
) -> None:
    sending, clients = peopled
    sound = demo_files.sound(tmp_path / "a.wav", demo_files.tone(2)).read_bytes()
    demo_id = sending.whole(sound)
    sending.worked()
    path, kind = f"/api/demos/{demo_id}/transcript", {"content-type": "text/vtt"}
    vtt = demo_files.VTT.encode()
    for content, headers, status in (
        (vtt, {"content-type": "text/html"}, 415), (b"\xff\xfe--> x", kind, 400),
        (b"no times", kind, 400), (b"x" * (3 << 20), kind, 413), (vtt, kind, 202),
    ):  # fmt: skip
        answer = clients["pam"].post(path, content=content, headers=headers)
        assert answer.status_code == status, answer.text
    assert clients["key"].post(path, content=vtt, headers=kind).status_code == 403
    sending.worked()
    said = sending.demo(demo_id, segments="1")
    assert (said["state"], said["transcript"]["source"]) == ("completed", "webvtt")
    assert len(said["transcript"]["segments"]) == 2
    text = sending.whole(b"words")
    sending.worked()
    answer = clients["pam"].post(f"/api/demos/{text}/transcript", content=vtt, headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_wanted")


def test_a_demo_is_removed_with_its_bytes(peopled: tuple[Sending, dict[str, Any]]) -> None:
    sending, clients = peopled
    demo_id = sending.whole(f"words of {time.time_ns()}".encode())
    digest = sending.demo(demo_id)["sha256"]
    assert digest in [path.name for path in sending.kept()]
    path = f"/api/demos/{demo_id}/remove"
    assert clients["key"].post(path, json={}).status_code == 403
    assert clients["pam"].post(path, json={}).status_code == 200
    assert clients["pam"].post(path, json={}).status_code == 404
    sending.worked()
    assert digest not in [path.name for path in sending.kept()]


def test_a_partner_does_not_learn_that_another_one_has_the_same_file(
    peopled: tuple[Sending, dict[str, Any]],
) -> None:
    sending, clients = peopled
    sending.whole(b"the same words")
    answer = clients["eve"].post("/api/partners/p1/demos", json={
        "title": "t", "size_bytes": 14, "sha256": hashlib.sha256(b"the same words").hexdigest(),
    })  # fmt: skip
    assert (answer.status_code, answer.json()["received"]) == (201, 0)
    path = answer.headers["location"]
    assert clients["eve"].head(path, headers=TUS).headers["upload-offset"] == "0"
    listed = clients["eve"].get("/api/partners/p1/demos").json()["demos"]
    assert [one["state"] for one in listed] == ["uploading"]
