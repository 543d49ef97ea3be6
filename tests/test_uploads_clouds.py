"""Demos in S3, and Amazon Transcribe, on the two emulators. AWS itself has never been asked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import demo_files
from clouds import BUCKET, KEYS, REGION, Cloud, versions
from databases import Store
from demo_store import OWNER, Stand
from faulty import Faulty
from lakeward.confidence.demos import transcribe, work
from lakeward.confidence.demos.blobs import Bucket, blobs_of
from lakeward.errors import SettingError, Terminal, Transient
from lakeward.store.demo import Demo

HOUR_NS = 3600 * 10**9
AWS = {"LAKEWARD_DEMO_STORE": f"s3://{BUCKET}/kept/demos", "AWS_REGION": REGION,
       "LAKEWARD_AWS_SECONDS": "2", **KEYS}  # fmt: skip


@pytest.fixture
def stand(cloud: Cloud, tmp_path: Path) -> Any:
    cloud.bucket(versions="")
    store = Store(tmp_path, "")
    yield Stand.of(store, LAKEWARD_AWS_ENDPOINT=cloud.endpoint, **AWS)
    store.close()


def names(cloud: Cloud) -> list[str]:
    return sorted(row["Key"] for row in versions(cloud.client("s3")))


def pdf(tmp_path: Path, text: str = "Hello roofs") -> Path:
    return demo_files.pdf(tmp_path / "a.pdf", [text])


def test_a_demo_is_one_object_under_its_hash_and_goes_with_its_last_reference(
    stand: Stand, cloud: Cloud, tmp_path: Path
) -> None:
    one, other = stand.sent(pdf(tmp_path)), stand.sent(pdf(tmp_path), "another")
    assert names(cloud) == [f"kept/demos/{one.sha256[:2]}/{one.sha256}"]
    assert stand.files() == []
    got = cloud.client("s3").get_object(Bucket=BUCKET, Key=names(cloud)[0])
    assert got["Body"].read() == pdf(tmp_path).read_bytes()
    stand.worked()
    assert stand.found(one).state == "completed"
    stand.demos.remove(one.demo_id, actor=OWNER)
    stand.worked()
    assert len(names(cloud)) == 1
    stand.demos.remove(other.demo_id, actor=OWNER)
    stand.worked()
    assert names(cloud) == []


def test_a_large_demo_is_stored_in_parts_and_read_as_it_was(
    stand: Stand, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeward.confidence.demos.blobs.ONE_PUT", 1 << 20)
    content = bytes(range(256)) * (80 << 10)
    (tmp_path / "large").write_bytes(content)
    blobs = blobs_of(stand.lake, stand.settings)
    for _ in range(2):
        blobs.put(tmp_path / "large", "ab" * 32)
    assert blobs.has("ab" * 32)
    with blobs.opened("ab" * 32) as path:
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
    assert not path.parent.exists()


def test_what_is_there_is_not_written_again(stand: Stand, cloud: Cloud, tmp_path: Path) -> None:
    cloud.client("s3").put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    for partner in ("p9", "another", "a third"):
        stand.sent(pdf(tmp_path), partner)
    assert len(names(cloud)) == 1


def test_a_bucket_that_is_away_costs_nothing_but_time(cloud: Cloud, tmp_path: Path) -> None:
    cloud.bucket(versions="")
    store = Store(tmp_path, "")
    with Faulty(cloud.endpoint) as proxy:
        stand = Stand.of(store, LAKEWARD_AWS_ENDPOINT=proxy.url, **AWS)
        demo = stand.sent(pdf(tmp_path))
        proxy.inject("500", 1 << 30)
        with pytest.raises(Transient):
            stand.sent(pdf(tmp_path, "Another"))
        assert len(stand.uploads.of_partner("p9")) == 1
        now = time.time_ns()
        for n in range(4):
            assert stand.once(now_ns=lambda n=n: now + n * HOUR_NS)
        assert stand.found(demo).state == "processing"
        proxy.heal()
        assert stand.once(now_ns=lambda: now + 9 * HOUR_NS)
        assert stand.found(demo).state == "completed"
    store.close()


def test_a_bucket_that_is_not_there_is_named(stand: Stand, cloud: Cloud, tmp_path: Path) -> None:
    cloud.reset()
    with pytest.raises(Terminal, match=f"there is no bucket {BUCKET}"):
        stand.sent(pdf(tmp_path))


def test_what_was_kept_on_the_disk_before_is_still_worked_on_and_removed(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.bucket(versions="")
    store = Store(tmp_path, "")
    demo = Stand.of(store).sent(pdf(tmp_path))
    stand = Stand.of(store, LAKEWARD_AWS_ENDPOINT=cloud.endpoint, **AWS)
    assert stand.worked() == 1
    assert stand.found(demo).state == "completed"
    stand.demos.remove(demo.demo_id, actor=OWNER)
    stand.worked()
    assert stand.files() == []
    store.close()


# Amazon Transcribe


def spoken(stand: Stand, tmp_path: Path) -> Demo:
    return stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(2)))


def transcribing(cloud: Cloud, tmp_path: Path) -> Stand:
    cloud.bucket(versions="")
    return Stand.of(Store(tmp_path, ""), LAKEWARD_AWS_ENDPOINT=cloud.endpoint,
                    LAKEWARD_TRANSCRIBE="on", **AWS)  # fmt: skip


def written(cloud: Cloud, demo: Demo, stand: Stand) -> None:
    """Wait until the service has written; moto does not, and is helped with what AWS documents."""
    name = transcribe.name_of(demo)
    key = f"kept/demos/transcripts/{name}.json"
    client = cloud.client("transcribe")
    deadline = time.monotonic() + 60
    while True:
        job = client.get_transcription_job(TranscriptionJobName=name)["TranscriptionJob"]
        if job["TranscriptionJobStatus"] == "COMPLETED":
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert job["Media"]["MediaFileUri"] == (
        f"s3://{BUCKET}/kept/demos/{demo.sha256[:2]}/{demo.sha256}"
    )
    if cloud.name == "moto":
        words = [("0.1", "0.5", "Solar"), ("0.5", "0.9", "roofs"), (None, None, "."),
                 ("3.0", "3.5", "Always")]  # fmt: skip
        items = [
            {"alternatives": [{"confidence": "0.9", "content": word}],
             "type": "pronunciation" if start else "punctuation",
             **({"start_time": start, "end_time": end} if start else {})}
            for start, end, word in words
        ]  # fmt: skip
        results = {"language_code": "en-US", "transcripts": [{"transcript": "…"}], "items": items}
        document = {"jobName": name, "status": "COMPLETED", "results": results}
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(document).encode())


def test_a_demo_in_s3_is_transcribed_by_a_job_that_others_ask_for_later(
    cloud: Cloud, tmp_path: Path
) -> None:
    stand = transcribing(cloud, tmp_path)
    demo = spoken(stand, tmp_path)
    assert stand.once()
    progress = stand.demos.progress(demo.demo_id)
    assert progress is not None
    assert (progress.step, progress.message) == ("transcript", "Amazon Transcribe is at it")
    assert not stand.once()
    written(cloud, demo, stand)
    assert stand.once(now_ns=lambda: time.time_ns() + HOUR_NS)
    found, said = stand.found(demo), stand.said(demo)
    assert (found.state, said.source) == ("completed", "transcribe")
    assert said.segments
    assert all(segment.words for segment in said.segments)
    if cloud.name == "moto":
        assert [segment.text for segment in said.segments] == ["Solar roofs.", "Always"]
        assert said.language == "en-US"
    assert found.measures is not None
    assert found.measures.words
    assert [name for name in names(cloud) if "transcripts" in name] == []
    listed = cloud.client("transcribe").list_transcription_jobs()
    assert listed["TranscriptionJobSummaries"] == []


def test_whoever_is_killed_after_asking_asks_for_the_same_job(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = transcribing(cloud, tmp_path)
    demo = spoken(stand, tmp_path)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("lakeward.store.demo_jobs.Jobs.wait", killed)
        with pytest.raises(KeyboardInterrupt):
            stand.once()
    written(cloud, demo, stand)
    assert stand.once(now_ns=lambda: time.time_ns() + HOUR_NS)
    assert stand.found(demo).state == "completed"


def test_what_the_service_does_not_take_waits_for_a_transcript(
    cloud: Cloud, tmp_path: Path
) -> None:
    stand = transcribing(cloud, tmp_path)
    demo = stand.made_of(demo_files.video(tmp_path / "a.mkv", 2, "matroska"))
    assert demo.state == "awaiting_transcript"
    assert demo.reason is not None
    assert "does not take video/x-matroska" in demo.reason
    assert stand.worked() == 0


def test_without_a_bucket_the_service_cannot_read_and_the_demo_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path, "")
    stand = Stand.of(store, LAKEWARD_TRANSCRIBE="on")
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    assert demo.state == "awaiting_transcript"
    assert demo.reason is not None
    assert "LAKEWARD_DEMO_STORE" in demo.reason
    with pytest.raises(SettingError):
        transcribe.heard(stand.settings, None, demo)
    store.close()


def test_a_service_that_is_away_is_asked_again(cloud: Cloud, tmp_path: Path) -> None:
    cloud.bucket(versions="")
    store = Store(tmp_path, "")
    with Faulty(cloud.endpoint) as proxy:
        stand = Stand.of(store, LAKEWARD_AWS_ENDPOINT=proxy.url, LAKEWARD_TRANSCRIBE="on", **AWS)
        blobs = blobs_of(stand.lake, stand.settings)
        assert isinstance(blobs, Bucket)
        demo = spoken(stand, tmp_path)
        work.work_once(stand.lake, stand.settings, stand.database)
        proxy.inject("500", 1 << 30)
        found = stand.found(demo)
        with pytest.raises(Transient):
            transcribe.heard(stand.settings, blobs, found)
        proxy.heal()
    store.close()
