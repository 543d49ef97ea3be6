"""Targets for fuzzers: each takes bytes of anybody and fails when a promise breaks.

`benchmarks/fuzz.py` drives them by coverage, `test_fuzz.py` by mutations with a fixed seed. A
target is a function of bytes made by a function of a scratch folder; what it raises is a finding.
"""

from __future__ import annotations

import re
import struct
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from attacks_sql import ATTACKS, QUESTIONS
from lakeward import trace
from lakeward.collector import Collector
from lakeward.errors import Rejected, Terminal, Unreadable
from lakeward.followers.cursor import CursorFile
from lakeward.lake.guard import check, parser
from lakeward.lakedir import open_lake, read_identity
from lakeward.ledger import replay
from lakeward.log import read_lines, read_published, read_segments
from lakeward.privacy import Policy, Scrubber
from lakeward.ring import FRAME, HEADS, IDENTITY_CRC, identity_crc
from lakeward.ring_reader import RingReader
from lakeward.server.answer import Refusal
from lakeward.server.body import inflated
from lakeward.server.guard import Pass
from lakeward.server.ingest import Ingest, Limits, Sender
from lakeward.server.rates import Rates
from lakeward.settings import load
from secrets_planted import IN_TEXT, SENSITIVE_KEYS, WHOLE, leaks, random_text

Target = Callable[[bytes], None]
SAMPLE = Path(__file__).parent / "data" / "format-1" / "lake.tar.gz"
MOST = 256 << 10
ID = "0198a9b0-1111-7222-8333-444455556666"


def unpacked(folder: Path) -> Path:
    """The lake and the ring of the format's sample, in `folder`."""
    with tarfile.open(SAMPLE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def ingest(folder: Path) -> Target:
    """Bodies: refused with a reason, or lines of one JSON object each."""
    environ = {"LAKEWARD_LAKE_DIR": str(folder / "lake"), "LAKEWARD_RING_DIR": str(folder / "r"),
               "LAKEWARD_KEEPER": "external", "LAKEWARD_RING_BYTES": "4MiB"}  # fmt: skip
    limits = Limits(50, 32 << 10, MOST)
    taken = Ingest(Collector(load(environ, folder)), Rates(None, b"fuzz"), limits)
    sender = Sender("203.0.113.9", "fuzz/1", Pass(lambda name: name != "forbidden", None))

    def target(data: bytes) -> None:
        try:
            batch = taken.decoded(inflated(data, MOST) if data[:2] == b"\x1f\x8b" else data)
            lines, rejected = taken._lines(batch, sender)
        except Refusal:
            return
        assert len(lines) + len(rejected) == len(batch.events)
        for line in lines:
            assert b"\n" not in line
            assert len(line) <= MOST
            assert type(msgspec.json.decode(line)) is dict
        for refused in rejected:
            assert refused.event is not None, "something unforeseen was raised"

    return target


def scrub(folder: Path) -> Target:
    """Texts, paths, addresses and queries: never an error, stable, encodable; no secret beside."""
    scrubber, wary = Scrubber(), Scrubber(Policy(emails=True, phones=True, paths=("/a/{}/b",)))
    kinds = sorted(IN_TEXT.keys() - WHOLE)

    def target(data: bytes) -> None:
        seed, text = crc32(data), _text(data)
        for one in (scrubber, wary):
            for clean in (one.text, one.path, one.url):
                once = clean(text)
                assert clean(once) == once, f"{clean.__name__} is not stable"
                msgspec.json.encode(once)
            for made in (one.query(text), one.value({"x": text, text: [text]})):
                msgspec.json.encode(made)
                assert one.value(made) == made
        secret = IN_TEXT[kinds[seed % len(kinds)]](seed)
        needle = random_text(seed + 1, 20)
        if leaks(text.encode("utf-8", "replace"), [secret.needle, needle]):
            return  # the text happens to hold a part of the secret, without what makes it one
        key = SENSITIVE_KEYS[seed % len(SENSITIVE_KEYS)]
        value = scrubber.value({"note": text, "more": [secret.text, text], key: needle, "é": text})
        assert leaks(msgspec.json.encode(value), [secret.needle, needle]) == [], "a secret survives"

    return target


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


_TRACE = re.compile(r"[0-9a-f]{32}")


def traces(folder: Path) -> Target:
    """Headers of a caller: a valid trace, and headers that a strict reader takes."""

    def target(data: bytes) -> None:
        parent, _, state = data.partition(b"\n")
        found = trace.incoming(ID, parent, state)
        assert _TRACE.fullmatch(found.trace_id)
        assert found.trace_id != "0" * 32
        assert all(0x20 <= ord(mark) < 0x7F for mark in found.state)
        sent = trace.outgoing(ID, found)
        again = trace.incoming(ID, sent["traceparent"].encode(), sent["tracestate"].encode())
        assert again.trace_id == found.trace_id
        assert again.parent_interaction_id == ID

    return target


def ring(folder: Path) -> Target:
    """Patches of a ring's file: refused, or only frames whose CRC is right are handed out."""
    (sample,) = (unpacked(folder) / "rings").glob("*.ring")
    whole = sample.read_bytes()
    path = folder / "patched.ring"

    def target(data: bytes) -> None:
        content = bytearray(whole)
        for at, value in patches(data[1:], len(content)):
            content[at : at + len(value)] = value
        del content[len(whole) :]
        if data[:1] < b"\x80":  # as if the header had been written so
            struct.pack_into("<I", content, IDENTITY_CRC, identity_crc(bytes(content)))
        path.write_bytes(content)
        try:
            reader = RingReader(path)
        except Unreadable:
            return
        try:
            _drained(reader, bytes(content))
        finally:
            reader.close()

    return target


def _drained(reader: RingReader, content: bytes) -> None:
    reader.tallies(), reader.fill(), reader.unaccounted(reader.sequences)
    for lane in range(len(reader.identity.lanes)):
        reader.begun(lane)
    assert reader.adopt()
    for _ in range(200):
        drained = reader.drain(1 << 16)
        if drained is None:
            break
        assert drained.records >= 0
        assert drained.damaged >= 0
        for payload in (*drained.lines, *drained.quarantined):
            assert _stands(content, payload), "a frame that nobody wrote"
        reader.release(drained.positions)
    else:
        raise AssertionError("draining does not end")


def _stands(content: bytes, payload: bytes) -> bool:
    """Whether a whole frame with this payload is in the file."""
    at = content.find(payload)
    while payload and at >= FRAME.size:
        size, crc, number, _, _, _ = FRAME.unpack_from(content, at - FRAME.size)
        if size == len(payload) and crc32(payload, number & 0xFFFFFFFF) == crc:
            return True
        at = content.find(payload, at + 1)
    return False


def patches(data: bytes, size: int) -> list[tuple[int, bytes]]:
    """Bytes as places and what to write there: half of them among the first 8 KiB."""
    found = []
    for start in range(0, len(data) - 4, 12):
        (place,) = struct.unpack_from("<I", data, start)
        place = (place >> 1) % size if place & 1 else HEADS - 1024 + (place >> 1) % 8192
        value = data[start + 4 : start + 12]
        found.append((place & ~7 if place & 2 else place, value))
    return found


def ledger(folder: Path) -> Target:
    """A journal: read as far as it is whole, or refused."""
    path = folder / "ledger.jsonl"

    def target(data: bytes) -> None:
        if data[:1] < b"\x80":  # each line with the CRC that it needs
            bodies = (line[9:] for line in data[1:].split(b"\n"))
            data = b"".join(b"%08x %s\n" % (crc32(body), body) for body in bodies)
        path.write_bytes(data)
        try:
            found = replay(path)
        except Unreadable:
            return
        assert 0 <= found.good <= len(data)
        assert found.torn == len(data) - found.good

    return target


def segments(folder: Path) -> Target:
    """The log's table and its published end: read, or refused."""
    lake = open_lake(unpacked(folder) / "data-lake", create=False)
    end = (lake.private / "published").read_bytes()

    def target(data: bytes) -> None:
        flag, table = data[:1], data[1:]
        (lake.private / "segments.jsonl").write_bytes(table)
        (lake.private / "published").write_bytes(table[:64] if flag >= b"\xf0" else end)
        read_published(lake.private / "published")
        try:
            found, good = read_segments(lake)
            assert 0 <= good <= len(table)
            if all(".." not in s.path and not s.path.startswith("/") for s in found):
                for line, _ in read_lines(lake):
                    assert line.strip()
        except (Unreadable, OSError):
            pass

    return target


def identity(folder: Path) -> Target:
    """A lake's identity and a follower's place: read, or refused."""
    lake = open_lake(unpacked(folder) / "data-lake", create=False)
    CursorFile(lake, "fuzz")

    def target(data: bytes) -> None:
        for path in (folder / "lake.json", lake.private / "cursors" / "fuzz.json"):
            path.write_bytes(data)
        for read in (lambda: read_identity(folder / "lake.json"), lambda: CursorFile(lake, "fuzz")):
            with suppress(Terminal):
                read()

    return target


def guard(folder: Path) -> Target:
    """SQL: a question, or refused in one printable line."""
    parsing = parser()

    def target(data: bytes) -> None:
        try:
            check(_text(data), ("interactions", "click"), parsing)
        except Rejected as error:
            said = str(error)
        else:
            return
        assert said.isprintable()

    return target


TARGETS: dict[str, Callable[[Path], Target]] = {
    "ingest": ingest, "scrub": scrub, "traces": traces, "ring": ring, "ledger": ledger,
    "segments": segments, "identity": identity, "guard": guard,
}  # fmt: skip


def seeds(name: str, folder: Path) -> list[bytes]:
    """Inputs to begin with."""
    lake = unpacked(folder) / "data-lake"
    rows = next(lake.glob("raw/**/*.jsonl")).read_bytes()
    texts = [IN_TEXT[kind](7).text.encode() for kind in sorted(IN_TEXT)]
    made: dict[str, list[bytes]] = {
        "ingest": [*rows.splitlines()[:3], b'[{"interaction_type":"x","timestamp":"2025-08-14"}]',
                   b'{"batch":[{"interaction_type":"partner_match","score":87.5,"partner_id":7}]}',
                   b'{"interaction_type":"api_call","method":"GET","path":"/a","outcomes":{"a":1}}'],
        "scrub": [*texts, b"/a/b?x=1", b'{"a": "b"}', b"http://u:p@h/x"],
        "traces": [b"00-%s-%s-01\nlakeward=%s,a=b" % (b"a1" * 16, b"b2" * 8, ID.encode())],
        "ring": [b"\0", b"\0" + struct.pack("<IQ", 2 * 1024, 99), b"\xff" + b"\1" * 12],
        "ledger": [b"\0" + (lake / ".lakeward/ledger.jsonl").read_bytes(),
                   (lake / ".lakeward/ledger.jsonl").read_bytes()],
        "segments": [b"\0" + (lake / ".lakeward/segments.jsonl").read_bytes(),
                     b"\xf0" + (lake / ".lakeward/published").read_bytes()],
        "identity": [(lake / ".lakeward/lake.json").read_bytes(),
                     b'{"done":{"epoch":1,"segment":1,"offset":9,"crc":7},"planned":null}'],
        "guard": [query.encode() for query in (*QUESTIONS, *ATTACKS.values())],
    }  # fmt: skip
    return made[name]


PIECES: tuple[bytes, ...] = (
    b"", b"\0", b"\xff", b"\xff" * 8, b"\0" * 8, b'"', b"{", b"[", b"]", b"}", b"\\", b"\n", b"%",
    b"=", b"&", b"/", b"://", b"@", b"9" * 30, b"1e999", b"-1", b"null", b"\xed\xa0\x80", b" ",
    b"\\ud800", b"\xc0\xaf", b"eyJ", b"password=", b"token", b"reset/", b"\x01\0\0\0",
    b"[" * 2000, "東".encode(),
)  # fmt: skip


def mutated(data: bytes, random: Random) -> bytes:
    """`data` with some bytes changed, cut, doubled or put in."""
    content = bytearray(data)
    for _ in range(random.randint(1, 6)):
        at = random.randint(0, len(content))
        match random.randint(0, 4):
            case 0:
                content[at : at + 1] = bytes([random.randint(0, 255)])
            case 1:
                del content[at : at + random.randint(1, 40)]
            case 2:
                content[at:at] = random.choice(PIECES)
            case 3:
                content[at:at] = content[at : at + random.randint(1, 60)]
            case _:
                content[at:at] = random.randbytes(random.randint(1, 12))
    return bytes(content)


def wild(name: str, folder: Path, count: int, seed: int = 1) -> list[bytes]:
    """So many mutations of the seeds, the same for the same seed."""
    random = Random(seed)
    pool: list[Any] = seeds(name, folder)
    found = []
    for _ in range(count):
        made = mutated(random.choice(pool), random)
        found.append(made)
        if random.random() < 0.2 and len(made) < 20_000:
            pool.append(made)
    return found
