"""The raw archive in S3, against two emulators and a network that fails."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clouds import BUCKET, Cloud, bytes_of_all_versions, settings, versions
from faulty import QUOTED, Faulty, Kind
from lakeward.errors import SettingError, Terminal, Transient
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.lakedir import LakeDir, open_lake
from lakeward.person import Person
from lakeward.sinks.objects import pack, unpack
from lakeward.sinks.s3 import S3Archive

Archive = Callable[..., S3Archive]
ANNA = Person("user_id", 'anna "ä" \\ u-1')


@pytest.fixture
def archive(cloud: Cloud, tmp_path: Path) -> Iterator[Archive]:
    """Makes an archive for the emulator or for what stands before it."""
    made: list[S3Archive] = []
    lake = open_lake(tmp_path / "data-lake")

    def make(endpoint: str = "", at: LakeDir = lake, **more: str) -> S3Archive:
        described = settings(tmp_path, endpoint or cloud.endpoint, **more)
        made.append(S3Archive.from_settings(described, at))
        return made[-1]

    yield make
    for one in made:
        one.close()


def lines(*users: str, start: int = 0) -> tuple[bytes, ...]:
    return tuple(
        json.dumps({"interaction_id": f"i-{start + n}", "user_id": user}, ensure_ascii=n % 2 == 0)
        .encode() + b"\n"
        for n, user in enumerate(users)
    )  # fmt: skip


def piece(*rows: bytes, at: int = 0, day: str = "2025-08-14") -> Slice:
    return Slice(Cursor(1, 7, at), Cursor(1, 7, at + 5000), rows, day)


def stored(client: Any, key: str) -> list[bytes]:
    got = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return gzip.decompress(got).splitlines(keepends=True)


def test_a_slice_becomes_one_object_in_the_folder_of_the_logs_day(
    cloud: Cloud, archive: Archive
) -> None:
    client, sink = cloud.bucket(), archive()
    rows = lines("anna", "ben", "anna")
    sink.deliver(piece(*rows))
    (row,) = versions(client)
    lake_id = sink._lake_id
    assert row["Key"] == (
        f"raw/year=2025/month=08/day=14/{lake_id}-000001-00000007-000000000000-000000005000.jsonl.gz"
    )
    assert stored(client, row["Key"]) == list(rows)
    head = client.head_object(Bucket=BUCKET, Key=row["Key"])
    assert head["Metadata"] == {"lines": "3", "sha256": pack(rows).sha256}
    assert head["ServerSideEncryption"] == "AES256"


def test_a_key_of_ones_own_encrypts_the_objects(cloud: Cloud, archive: Archive) -> None:
    client = cloud.bucket()
    key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
    archive(LAKEWARD_S3_KMS_KEY=key).deliver(piece(*lines("anna")))
    head = client.head_object(Bucket=BUCKET, Key=versions(client)[0]["Key"])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_repeated_delivery_makes_nothing_new(cloud: Cloud, archive: Archive) -> None:
    client, sink = cloud.bucket(), archive()
    for _ in range(3):
        sink.deliver(piece(*lines("anna", "ben")))
    assert len(versions(client)) == 1


def test_a_slice_without_lines_makes_no_object(cloud: Cloud, archive: Archive) -> None:
    client = cloud.bucket()
    archive().deliver(piece())
    assert versions(client) == []


@pytest.mark.parametrize(
    "kind", ["500", "503", "slow_down", "reset", "hang", "lost", "expired", "garbage"]
)
def test_what_passes_is_transient_and_the_next_attempt_delivers(
    cloud: Cloud, archive: Archive, kind: Kind
) -> None:
    client, rows = cloud.bucket(), lines("anna", "ben")
    with Faulty(cloud.endpoint) as proxy:
        sink = archive(proxy.url)
        proxy.inject(kind, on="PUT")
        with pytest.raises(Transient) as caught:
            sink.deliver(piece(*rows))
        assert not any(word in str(caught.value) for word in QUOTED.split())
        sink.deliver(piece(*rows))
    (row,) = versions(client)
    assert stored(client, row["Key"]) == list(rows)


@pytest.mark.parametrize(
    ("kind", "mend"),
    [("denied", "docs/aws.md"), ("bad_key", "AWS_ACCESS_KEY_ID"),
     ("bad_signature", "AWS_SECRET_ACCESS_KEY")],
)  # fmt: skip
def test_refused_credentials_stop_the_archive_with_the_mend_and_never_the_key(
    cloud: Cloud, archive: Archive, kind: Kind, mend: str
) -> None:
    cloud.bucket()
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject(kind)
        with pytest.raises(Terminal, match=mend) as caught:
            archive(proxy.url).deliver(piece(*lines("anna")))
    assert not any(word in str(caught.value) for word in QUOTED.split())
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_missing_bucket_is_named_with_its_setting(archive: Archive) -> None:
    with pytest.raises(Terminal, match=r"no bucket lake.*DATA_LAKE_BUCKET"):
        archive().deliver(piece(*lines("anna")))
    with pytest.raises(SettingError, match="DATA_LAKE_BUCKET"):
        archive(DATA_LAKE_BUCKET="")
    with pytest.raises(Terminal, match="DATA_LAKE_BUCKET"):
        archive().find(ANNA)


def test_nobody_at_the_endpoint_is_transient(archive: Archive, free_port: int) -> None:
    sink = archive(f"http://127.0.0.1:{free_port}")
    with pytest.raises(Transient, match="LAKEWARD_AWS_ENDPOINT"):
        sink.deliver(piece(*lines("anna")))
    with pytest.raises(Transient):
        sink.find(ANNA)


def test_one_of_two_keys_is_no_credential(archive: Archive) -> None:
    with pytest.raises(SettingError, match="go together"):
        archive(AWS_SECRET_ACCESS_KEY="")


def test_an_attempt_from_before_an_erase_is_replaced_by_fewer_lines(
    cloud: Cloud, archive: Archive
) -> None:
    client, sink = cloud.bucket(), archive()
    rows = lines("anna", "ben", "ben", "anna")
    sink.deliver(piece(*rows, rows[1]))
    sink.deliver(piece(rows[1], rows[2]))
    assert stored(client, versions(client)[0]["Key"]) == [rows[1], rows[2]]


def test_an_object_with_other_lines_is_never_overwritten(cloud: Cloud, archive: Archive) -> None:
    client, sink = cloud.bucket(), archive()
    rows = lines("anna", "ben")
    sink.deliver(piece(rows[0]))
    for other in ((rows[0], rows[1]), (rows[0], rows[0]), (rows[1],)):
        with pytest.raises(Terminal, match="two lakes have one id"):
            sink.deliver(piece(*other))
    (row,) = versions(client)
    assert stored(client, row["Key"]) == [rows[0]]


def test_an_object_that_changes_while_it_is_compared_is_compared_again(
    cloud: Cloud, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, sink = cloud.bucket(), archive()
    rows = lines("anna", "ben", "carl")
    sink.deliver(piece(*rows))
    shared = sink._bucket._shared

    def meanwhile(key: str, wanted: tuple[bytes, ...]) -> list[bytes]:
        held = shared(key, wanted)
        client.put_object(Bucket=BUCKET, Key=key, Body=pack(rows[1:]).content)
        return held

    monkeypatch.setattr(sink._bucket, "_shared", meanwhile)
    with pytest.raises(Transient, match="changed meanwhile"):
        sink.deliver(piece(rows[2]))
    monkeypatch.undo()
    sink.deliver(piece(rows[2]))
    assert stored(client, versions(client)[0]["Key"]) == [rows[2]]


def test_a_large_slice_goes_in_one_conditional_request_and_in_bounded_memory(
    cloud: Cloud, archive: Archive
) -> None:
    cloud.bucket()
    rows = tuple(b'{"interaction_id":"%d","x":"%s"}\n' % (n, b"x" * 4000) for n in range(10_000))
    with Faulty(cloud.endpoint) as proxy:
        sink = archive(proxy.url)
        sink.deliver(piece(rows[0], at=9000))
        tracemalloc.start()
        sink.deliver(piece(*rows))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert proxy.count() == 2
    assert peak < sum(map(len, rows)) / 4


# Forgetting a person


def plant(cloud: Cloud, archive: Archive, tmp_path: Path, versioning: str) -> Any:
    """Objects of two lakes: with the person, without, with nobody else, replaced and deleted."""
    client = cloud.bucket(versioning)
    other = open_lake(tmp_path / "other-lake")
    for sink, start in ((archive(), 0), (archive(at=other), 100)):
        sink.deliver(piece(*lines(ANNA.value, "ben", ANNA.value, "carl", start=start)))
        sink.deliver(piece(*lines("ben", "carl", start=start + 10), at=10_000))
        sink.deliver(piece(*lines(ANNA.value, ANNA.value, start=start + 20), at=20_000))
        sink.deliver(piece(*lines("ben", ANNA.value, "ben", start=start + 30), at=30_000))
        sink.deliver(piece(*lines("ben", start=start + 30), at=30_000))  # an older version has her
        deleted = piece(*lines(ANNA.value, "dora", start=start + 40), at=40_000)
        sink.deliver(deleted)
        client.delete_object(Bucket=BUCKET, Key=sink.key(deleted))
    body = pack(lines(ANNA.value, start=50)).content
    client.put_object(Bucket=BUCKET, Key="items/i-50.json.gz", Body=body)
    client.put_object(Bucket=BUCKET, Key="raw/notes.txt", Body=b"not ours: anna")
    return client


def scan(client: Any) -> int:
    """How often the person stands in the bytes of any version, found without the sink."""
    found = 0
    for (key, _), content in bytes_of_all_versions(client).items():
        if key.endswith(".gz"):
            rows = [json.loads(line) for line in gzip.decompress(content).splitlines()]
            found += sum(row["user_id"] == ANNA.value for row in rows)
    return found


def control(client: Any) -> list[bytes]:
    """Lines of others in current objects."""
    rows: list[bytes] = []
    for row in versions(client, "raw/"):
        if row["IsLatest"] and "Size" in row and row["Key"].endswith(".gz"):
            rows += stored(client, row["Key"])
    return sorted(row for row in rows if json.loads(row)["user_id"] != ANNA.value)


@pytest.mark.parametrize("versioning", ["Enabled", ""])
def test_a_person_is_gone_from_every_version_and_no_one_else_is(
    cloud: Cloud, archive: Archive, tmp_path: Path, versioning: str
) -> None:
    client = plant(cloud, archive, tmp_path, versioning)
    sink, before = archive(), control(client)
    planted = scan(client)
    assert planted == sink.find(ANNA) == (13 if versioning else 9)
    gone = sink.erase(ANNA)
    assert (gone.records, gone.remains) == (13 if versioning else 9, "")
    assert (scan(client), sink.find(ANNA)) == (0, 0)
    assert control(client) == before
    left = versions(client)
    assert all(row["IsLatest"] and "Size" in row for row in left)
    assert len(left) == 7
    assert sink.erase(ANNA).records == 0


@pytest.mark.parametrize("cloud", ["ministack"], indirect=True)  # moto drops versions by itself
def test_a_bucket_whose_versions_were_suspended_keeps_none_of_a_person(
    cloud: Cloud, archive: Archive, tmp_path: Path
) -> None:
    client = plant(cloud, archive, tmp_path, "Enabled")
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    sink, before = archive(), control(client)
    assert sink.erase(ANNA).records == 13
    assert (scan(client), sink.find(ANNA), control(client)) == (0, 0, before)


def test_a_slice_delivered_again_after_the_erase_equals_what_the_erase_left(
    cloud: Cloud, archive: Archive
) -> None:
    client, sink = cloud.bucket(), archive()
    rows = lines(ANNA.value, "ben", ANNA.value, "carl")
    sink.deliver(piece(*rows))
    sink.erase(ANNA)
    (after,) = versions(client)
    sink.deliver(piece(rows[1], rows[3]))
    assert [row["VersionId"] for row in versions(client)] == [after["VersionId"]]


def test_what_another_host_erased_is_not_put_back_by_a_late_repeat(
    cloud: Cloud, archive: Archive
) -> None:
    client, sink = cloud.bucket(), archive()
    rows = lines(ANNA.value, "ben", "carl", ANNA.value)
    sink.deliver(piece(*rows))
    sink.erase(ANNA)
    sink.deliver(piece(*rows))
    (row,) = versions(client)
    assert stored(client, row["Key"]) == [rows[1], rows[2]]
    sink.deliver(piece(rows[0], rows[2], rows[3]))  # here, ben was erased meanwhile
    assert stored(client, row["Key"]) == [rows[2]]


@pytest.mark.parametrize("kind", ["session_id", "anonymous_id"])
def test_a_person_is_found_by_each_kind_of_id_and_not_by_another(
    cloud: Cloud, archive: Archive, kind: Any
) -> None:
    cloud.bucket()
    sink = archive()
    rows = [{"user_id": "x"}, {"session_id": "x"}, {"anonymous_id": "x"}, {"properties": "x"}]
    sink.deliver(piece(*(json.dumps(row).encode() for row in rows)))
    assert sink.find(Person(kind, "x")) == 1
    assert sink.erase(Person(kind, "x")).records == 1
    assert sink.find(Person("user_id", "x")) == 1


def test_an_erase_goes_on_after_the_bucket_was_away(
    cloud: Cloud, archive: Archive, tmp_path: Path
) -> None:
    client = plant(cloud, archive, tmp_path, "Enabled")
    with Faulty(cloud.endpoint) as proxy:
        sink = archive(proxy.url)
        proxy.inject("slow_down", times=100, on="PUT")
        with pytest.raises(Transient):
            sink.erase(ANNA)
        proxy.heal()
        proxy.inject("500", times=2)
        proxy.inject("cut", times=2, on="GET /lake/raw/")
        done = False
        for _ in range(5):
            try:
                sink.erase(ANNA)
                done = True
            except Transient:
                continue
            break
        assert done
    assert scan(client) == 0


@pytest.mark.parametrize(
    "on", ["GET /lake?versions", "GET /lake/raw/", "PUT /lake/raw/", "POST /lake?delete"]
)
def test_a_portals_page_is_no_answer_and_no_erase(cloud: Cloud, archive: Archive, on: str) -> None:
    client = cloud.bucket()
    with Faulty(cloud.endpoint) as proxy:
        sink = archive(proxy.url)
        sink.deliver(piece(*lines(ANNA.value, "ben")))
        proxy.inject("garbage", times=99, on=on)
        with pytest.raises(Transient):
            sink.erase(ANNA)
        proxy.heal()
        assert sink.erase(ANNA).records == 1
    assert scan(client) == 0


def test_versions_that_may_not_be_deleted_are_named(
    cloud: Cloud, archive: Archive, tmp_path: Path
) -> None:
    plant(cloud, archive, tmp_path, "Enabled")
    with Faulty(cloud.endpoint) as proxy:
        proxy.inject("denied", on="POST /lake?delete")
        with pytest.raises(Terminal, match="docs/aws.md"):
            archive(proxy.url).erase(ANNA)


def test_an_object_that_is_no_gzip_stops_the_erase_with_its_name(
    cloud: Cloud, archive: Archive
) -> None:
    client, sink = cloud.bucket(), archive()
    for body in (b"plain", gzip.compress(b"x" * 100)[:-9]):
        client.put_object(Bucket=BUCKET, Key="raw/strange.jsonl.gz", Body=body)
        with pytest.raises(Terminal, match=r"raw/strange\.jsonl\.gz"):
            sink.erase(ANNA)


@pytest.mark.parametrize("cloud", ["ministack"], indirect=True)  # the slower one proves no more
def test_a_bucket_of_more_than_a_page_is_read_to_its_end(cloud: Cloud, archive: Archive) -> None:
    client, sink = cloud.bucket(), archive()
    hers, other = pack(lines(ANNA.value)).content, pack(lines("ben")).content
    for n in range(1020):
        client.put_object(
            Bucket=BUCKET, Key=f"items/{n:04d}.json.gz", Body=hers if n % 10 == 9 else other
        )
    assert sink.erase(ANNA).records == 102
    assert len(versions(client)) == 918


# Packing


@given(st.lists(st.binary(min_size=1).map(lambda line: line.replace(b"\n", b"") + b"\n")),
       st.integers(1, 300), st.integers(1, 3))  # fmt: skip
def test_what_is_packed_is_unpacked_from_chunks_of_any_size(
    rows: list[bytes], size: int, members: int
) -> None:
    content = pack(rows).content * members
    assert pack(rows).content == pack(rows).content
    chunks = (content[n : n + size] for n in range(0, len(content), size))
    assert list(unpack(chunks, "key")) == rows * members
    assert gzip.decompress(content) == b"".join(rows) * members


def test_the_hash_is_of_the_lines_whatever_compressed_them() -> None:
    rows = lines("anna", "ben")
    again = unpack([gzip.compress(b"".join(rows), 1)], "key")
    assert pack(again).sha256 == pack(rows).sha256
