"""Hostile files end in a clear state, and what looks into them can do no harm."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import demo_files
from conftest import alive, wait_until
from databases import Store, exit_code, forked
from demo_store import Stand
from lakeward.confidence.demos import cell
from lakeward.settings import load

BOMB = b"0" * (64 << 20)
EXPANDS = b"""<?xml version="1.0"?>
<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>
<p:presentation xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">&c;</p:presentation>
"""
READS = EXPANDS.replace(b'"ha"', b'SYSTEM "file:///etc/hostname"')


@pytest.fixture
def stand(tmp_path: Path) -> Any:
    store = Store(tmp_path, "")
    yield Stand.of(store, LAKEWARD_DEMO_DURATION_SECONDS="60", LAKEWARD_DEMO_STEP_SECONDS="60")
    store.close()


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def wav(tmp_path: Path) -> bytes:
    return bytes_of(demo_files.sound(tmp_path / "s.wav", demo_files.tone(2)))


def mp4(tmp_path: Path, **more: Any) -> bytes:
    return bytes_of(demo_files.video(tmp_path / "v.mp4", 4, **more))


def slides(tmp_path: Path, **parts: bytes) -> bytes:
    whole = demo_files.slides(tmp_path / "whole.pptx", ["Hello", "roofs"])
    return bytes_of(demo_files.repacked(whole, tmp_path / "made.pptx", **parts)) if parts else (
        bytes_of(whole))  # fmt: skip


def archive(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def many_parts(tmp_path: Path) -> bytes:
    return slides(tmp_path, **{f"ppt__x{n}": b"" for n in range(10_050)})


def absurd_size(tmp_path: Path) -> bytes:
    """The header says that pictures are 60,000 wide."""
    film = demo_files.video(tmp_path / "v.mkv", 1, "matroska", "ffv1", size=(320, 240))
    content = film.read_bytes()
    wide = b"\xb0\x82" + (320).to_bytes(2)
    assert content.count(wide) == 1
    return content.replace(wide, b"\xb0\x82" + (60_000).to_bytes(2))


def many_streams(tmp_path: Path) -> bytes:
    import av

    with av.open(str(tmp_path / "m.mkv"), "w", format="matroska") as out:
        streams = [out.add_stream("pcm_s16le", rate=8000) for _ in range(30)]
        for stream in streams:
            frame = av.AudioFrame(format="s16", layout="mono", samples=400)
            frame.sample_rate = 8000
            for packet in stream.encode(frame):
                out.mux(packet)
    return bytes_of(tmp_path / "m.mkv")


def too_long(tmp_path: Path) -> bytes:
    import numpy as np

    return bytes_of(demo_files.sound(tmp_path / "l.wav", np.zeros(44_100 * 65, np.float32)))


def overlapping(tmp_path: Path) -> bytes:
    """Two names in the list of parts for the bytes of one."""
    content = bytearray(slides(tmp_path))
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    return bytes(content)


def lying_about_sizes(tmp_path: Path) -> bytes:
    """A bomb whose list of parts says that it is small."""
    content = bytearray(slides(tmp_path, ppt__bomb_xxml=BOMB))
    at = content.rindex(b"ppt/bomb.xml") - 46
    struct.pack_into("<I", content, at + 24, 1000)
    return bytes(content)


CASES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _: b"", "the file is empty"),
    "blanks": (lambda _: b" \n\t " * 500, "nothing but blanks"),
    "zeros": (lambda _: bytes(5000), "cannot be told"),
    "random bytes": (lambda _: b"\x80" + os.urandom(5000), "not taken|cannot be told"),
    "a program of windows": (lambda _: b"MZ" + bytes(300), "looks like"),
    "a program of linux": (lambda _: b"\x7fELF" + bytes(300), "taken are mp4"),
    "a script": (lambda _: b"#!/bin/sh\nrm -rf /\n", "taken are mp4"),
    "a page": (lambda _: b"\n<!DOCTYPE html><script>alert(1)</script>", "page of markup"),
    "a drawing with a script": (lambda _: b"<svg onload='alert(1)'/>", "page of markup"),
    "a picture": (lambda _: demo_files.png(10, 10), "looks like a picture"),
    "a huge picture": (lambda _: demo_files.png(1 << 31 - 1, 1 << 31 - 1), "looks like a picture"),
    "an archive": (lambda _: archive(a=b"a"), "an archive"),
    "an archive with a spreadsheet": (lambda _: archive(**{"xl/workbook.xml": b"<x/>"}),
                                      "an archive"),
    "a cut archive": (lambda p: slides(p)[:-300], "damaged archive|cut short"),
    "text in no code": (lambda _: b"words \xff\xfa words" * 9, "taken are mp4"),
    "a zero amid text": (lambda _: b"x" * 5000 + b"\0" * 50, "zero bytes"),
    "a cut film": (lambda p: mp4(p)[:-2000], "damaged or cut short"),
    "a cut film that begins well": (
        lambda p: mp4(p, options={"movflags": "faststart"})[:20_000], "cut short"),
    "cut sound": (lambda p: wav(p)[: len(wav(p)) // 3], "cut short|damaged"),
    "a film with a head alone": (lambda p: mp4(p)[:40], "damaged or cut short"),
    "a film of noise": (lambda p: mp4(p)[:48] + os.urandom(20_000), "damaged or cut short"),
    "pictures beyond measure": (absurd_size, "60000 x 240 are too large"),
    "pictures that are wide indeed": (
        lambda p: bytes_of(demo_files.video(
            p / "w.mkv", 1, "matroska", "ffv1", size=(8256, 16))), "8256 x 16 are too large"),
    "streams beyond number": (many_streams, "more than 16"),
    "too long": (too_long, "60 s are taken"),
    "a film that is an archive": (lambda p: mp4(p) + archive(a=b"a"), "an archive at once"),
    "a film that is a page": (
        lambda p: mp4(p)[:4] + mp4(p)[4:28] + b"<script>alert(1)</script>" + mp4(p)[28:],
        "markup at once"),
    "sound that is a PDF": (
        lambda p: wav(p)[:40] + b"%PDF-1.4" + wav(p)[40:], "a PDF at once"),
    "a PDF that is an archive": (
        lambda p: bytes_of(demo_files.pdf(p / "a.pdf", ["Hi"])) + archive(a=b"a"),
        "an archive at once"),
    "a PDF that is a page": (
        lambda p: b"%PDF-1.4\n<html><script>1</script></html>\n"
        + bytes_of(demo_files.pdf(p / "a.pdf", ["Hi"]))[9:], "markup at once"),
    "a cut PDF": (lambda p: bytes_of(demo_files.pdf(p / "a.pdf", ["Hi"]))[:300], "PDF is damaged"),
    "a PDF that inflates": (
        lambda p: bytes_of(demo_files.pdf(p / "a.pdf", ["Hi"], stream=b"0 0 m\n" * (40 << 20))),
        "inflate beyond measure|more memory|longer than"),
    "slides that inflate": (lambda p: slides(p, ppt__bomb_xxml=BOMB), "grow more than 200 times"),
    "slides that inflate and lie": (lying_about_sizes, "damaged|grow more|not well made"),
    "slides of many parts": (many_parts, "more than 10000 parts"),
    "slides whose parts overlap": (overlapping, "share their bytes|damaged"),
    "slides that expand": (lambda p: slides(p, ppt__presentation_xxml=EXPANDS),
                           "declares entities"),
    "slides that read files": (lambda p: slides(p, ppt__presentation_xxml=READS),
                               "declares entities"),
    "slides that expand in another code": (
        lambda p: slides(p, ppt__presentation_xxml=EXPANDS.decode().encode("utf-16")),
        "declares entities"),
    "slides after something else": (lambda p: b"PK\x03\x04junk" + slides(p),
                                     "damaged|stands within"),
    "slides before something else": (lambda p: slides(p) + b"#!/bin/sh\n", "hangs on its end"),
    "slides without sense": (
        lambda p: slides(p, ppt__presentation_xxml=b"<x/>"), "slides are damaged"),
    "a document without sense": (
        lambda p: bytes_of(demo_files.repacked(
            demo_files.document(p / "w.docx", ["Hi"]), p / "m.docx",
            word__document_xxml=b"<x/>")), "document is damaged|a page of it"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_ends_refused_with_a_sentence_that_says_why(
    stand: Stand, tmp_path: Path, case: str
) -> None:
    make, sentence = CASES[case]
    folder = tmp_path / "made"
    folder.mkdir()
    (tmp_path / "file").write_bytes(make(folder))
    demo = stand.made_of(tmp_path / "file")
    assert demo.state in ("refused", "failed"), demo
    assert demo.reason is not None
    assert re.search(sentence, demo.reason), demo.reason
    assert stand.worked() == 0
    assert stand.demos.transcript(demo.demo_id) is None


def test_a_file_is_what_its_content_says_whatever_it_is_called(
    stand: Stand, tmp_path: Path
) -> None:
    file = demo_files.pdf(tmp_path / "holiday.mp4", ["Hello roofs"])
    demo = stand.made_of(file)
    assert (demo.state, demo.media_type) == ("completed", "application/pdf")
    assert demo.file_name == "holiday.mp4"


# What looks into files can do no harm

ATTEMPTS = """
import os, socket, sys
sys.path[:] = {path!r}
from lakeward.confidence.demos.shut import shut
from lakeward.lake.jailed import bound
place = {place!r}
bound(512 << 20, 10)
held = shut()
def tried(name, work):
    try:
        work()
        print(name, "done")
    except OSError as error:
        print(name, "refused")
print("held", *sorted(held))
tried("read", lambda: open(place + "/there").read())
tried("socket", lambda: socket.create_connection(("127.0.0.1", {port}), 5))
tried("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
tried("unix", lambda: socket.socket(socket.AF_UNIX))
tried("write", lambda: open(place + "/there", "a").write("x"))
tried("make", lambda: open(place + "/new", "w"))
tried("remove", lambda: os.unlink(place + "/there"))
tried("rename", lambda: os.rename(place + "/there", place + "/elsewhere"))
tried("link", lambda: os.symlink(place + "/there", place + "/link"))
tried("folder", lambda: os.mkdir(place + "/folder"))
tried("chmod", lambda: os.chmod(place + "/there", 0o777))
tried("truncate", lambda: os.truncate(place + "/there", 0))
tried("exec", lambda: os.execv("/bin/echo", ["echo", "escaped"]))
tried("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {{}}))
tried("kill", lambda: os.kill(os.getppid(), 0))
tried("thread", lambda: __import__("threading").Thread(target=int).start())
"""


def test_a_child_that_is_shut_off_reads_and_computes_and_does_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "there").write_text("here")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        code = ATTEMPTS.format(path=sys.path, place=str(tmp_path), port=listener.getsockname()[1])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              timeout=120)  # fmt: skip
    ends = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert "calls" in ends.pop("held"), done.stderr
    assert {name for name, end in ends.items() if end == "done"} == {"read", "thread"}, ends
    assert len(ends) == 16, done.stderr
    assert (tmp_path / "there").read_text() == "here"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_child_gets_no_key_no_proxy_and_no_setting() -> None:
    names = "AWS_SECRET_ACCESS_KEY TWILIO_AUTH_TOKEN HTTPS_PROXY LAKEWARD_DATABASE_URL PYTHONPATH"
    given = dict.fromkeys([*names.split(), "HOME", "LANG"], "x")
    assert set(cell.environment(given)) == {"LANG", *cell.LEAN}


def test_a_child_that_wants_more_memory_than_it_may_ends_with_a_sentence(tmp_path: Path) -> None:
    """A document that fits the bounds of size, and is a million paragraphs in memory."""
    whole, out = demo_files.document(tmp_path / "a.docx", ["Hello"]), tmp_path / "b.docx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "word/document.xml":
                content = content.replace(
                    b"<w:sectPr", b"<w:p><w:r/></w:p>" * 2_500_000 + b"<w:sectPr"
                )
            new.writestr(entry.filename, content)
    settings = load({"LAKEWARD_DEMO_MEMORY": "64MiB"}, tmp_path)
    with pytest.raises(cell.TooMuch, match="LAKEWARD_DEMO_MEMORY"):
        cell.run(settings, "probe", out, lambda share: None)


def test_a_child_that_takes_longer_than_it_may_is_killed(tmp_path: Path) -> None:
    file = demo_files.video(tmp_path / "a.mp4", 2)
    settings = load({"LAKEWARD_DEMO_STEP_SECONDS": "1"}, tmp_path)
    settings = msgspec.structs.replace(settings, demo_step_seconds=0.01)
    with pytest.raises(cell.TooMuch, match="LAKEWARD_DEMO_STEP_SECONDS"):
        cell.run(settings, "probe", file, lambda share: None)


def test_no_child_is_left_behind_and_no_file(stand: Stand, tmp_path: Path) -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text()
    temporary = set(Path(tempfile.gettempdir()).glob("lakeward-demo-*"))
    stand.made_of(demo_files.video(tmp_path / "a.mp4", 2))
    assert children.read_text() == before
    assert set(Path(tempfile.gettempdir()).glob("lakeward-demo-*")) == temporary


def test_what_a_child_writes_is_bounded_and_believed_only_as_what_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = demo_files.pdf(tmp_path / "a.pdf", ["Hi"])
    settings = load({"LAKEWARD_DEMO_STEP_SECONDS": "60"}, tmp_path)
    endless = "import sys; sys.stdin.buffer.read()\nwhile True: sys.stdout.write('x' * 65536)"
    for boot in (
        endless,
        'print(\'{"type": "verdict"}\')',
        "print('nonsense')",
        "raise SystemExit(3)",
    ):
        monkeypatch.setattr(cell, "BOOT", boot)
        with pytest.raises(cell.Died):
            cell.run(settings, "probe", file, lambda share: None)


def test_the_libraries_that_read_files_are_loaded_by_no_server_and_no_worker(
    tmp_path: Path,
) -> None:
    file = demo_files.pdf(tmp_path / "a.pdf", ["Hi"])
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "import lakeward.server.rooms\n"
        "from lakeward.confidence.demos import cell, work\n"
        "from lakeward.settings import load\n"
        f"file, folder = Path({str(file)!r}), Path({str(tmp_path)!r})\n"
        "found = cell.run(load({}, folder), 'probe', file, lambda share: None)\n"
        "assert found.probe.pages == 1\n"
        "names = 'av puremagic pypdf pptx docx webvtt faster_whisper onnxruntime lxml'.split()\n"
        "print(*(name for name in names if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=120)  # fmt: skip
    assert done.stdout == "\n", done.stdout + done.stderr


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic"):
        cell.run(load({}, tmp_path), "probe", tmp_path / "link", lambda share: None)


def test_a_child_dies_with_whoever_started_it(tmp_path: Path) -> None:
    """Two hours of silence take a while to be measured; the worker is killed meanwhile."""
    size = 44_100 * 2 * 7000
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1,
                       44_100, 88_200, 2, 16, b"data", size)  # fmt: skip
    with (tmp_path / "long.wav").open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    settings = load({}, tmp_path)
    worker = forked(
        lambda: cell.run(settings, "measures", tmp_path / "long.wav", lambda share: None)
    )
    children = Path(f"/proc/{worker}/task/{worker}/children")
    wait_until(lambda: children.read_text().split(), what="a child")
    child = int(children.read_text().split()[0])
    memory = Path(f"/proc/{child}/maps")
    wait_until(lambda: "libavcodec" in memory.read_text(), what="a child at work")
    os.kill(worker, signal.SIGKILL)
    assert exit_code(worker) == -signal.SIGKILL
    wait_until(lambda: not alive(child), what="the end of the child")
