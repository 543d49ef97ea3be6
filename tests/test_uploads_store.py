"""Uploads and demos in the app database and on the disk: quotas, expiry, one file per content."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from databases import Store, exit_code, forked
from demo_store import OWNER, PARTNER, Stand
from lakeward.confidence.demos import partial, work
from lakeward.confidence.demos.blobs import Folder, blobs_of
from lakeward.errors import SettingError
from lakeward.person import Person
from lakeward.store.changes import LAKEWARD
from lakeward.store.demo_jobs import Jobs, LeaseLost, NotWanted
from lakeward.store.demos import Demos, Missing
from lakeward.store.demos_schema import DEMOS, JOBS, TRANSCRIPTS, UPLOADS
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.evidence_schema import CHANGES
from lakeward.store.metadata import METADATA
from lakeward.store.partners import Partners
from lakeward.store.trail import entries
from lakeward.store.uploads import NoPartner, NotThere, Offer, OverQuota

HOUR_NS = 3600 * 10**9


@pytest.fixture
def stand(store: Store) -> Stand:
    return Stand.of(store)


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# Quotas and ends of uploads


def test_a_partner_has_as_many_files_as_the_quota_says_unfinished_ones_among_them(
    store: Store, tmp_path: Path
) -> None:
    stand = Stand.of(store, LAKEWARD_DEMO_QUOTA_FILES="2")
    stand.begun(10)
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    with pytest.raises(OverQuota, match="may have 2"):
        stand.begun(1)
    stand.begun(1, partner="another")
    stand.demos.remove(demo.demo_id, actor=OWNER)
    stand.begun(1)


def test_an_unfinished_upload_counts_with_all_the_bytes_that_it_announced(store: Store) -> None:
    stand = Stand.of(store, LAKEWARD_DEMO_QUOTA_BYTES="100")
    upload = stand.begun(60)
    with pytest.raises(OverQuota, match="60 bytes"):
        stand.begun(41)
    stand.begun(40)
    stand.uploads.take_back(upload, actor=OWNER)
    stand.begun(60)


def test_of_many_who_begin_at_once_no_more_get_in_than_the_quota_lets(store: Store) -> None:
    stand = Stand.of(store, LAKEWARD_DEMO_QUOTA_FILES="3")
    stand.uploads.take_back(stand.begun(1), actor=OWNER)
    refused: list[OverQuota] = []

    def begin() -> None:
        try:
            stand.begun(1)
        except OverQuota as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stand.uploads.of_partner(PARTNER)) == 3
    assert len(refused) == 5


def test_an_upload_that_waits_too_long_ends_with_its_bytes_and_the_lake_hears_of_it(
    store: Store,
) -> None:
    stand = Stand.of(store, LAKEWARD_DEMO_EXPIRY_SECONDS="3600")
    upload = stand.begun(100, "film.mp4")
    with partial.Partial(partial.folder_of(stand.lake), upload.upload_id) as growing:
        growing.begin(0)
        growing.write(b"x" * 40)
        upload = stand.uploads.advance(upload, growing.sync())
    work.tidy(stand.lake, stand.settings, stand.database)
    assert stand.uploads.find(upload.upload_id) == upload
    later = time.time_ns() + 2 * HOUR_NS
    work.tidy(stand.lake, stand.settings, stand.database, now_ns=lambda: later)
    assert stand.uploads.find(upload.upload_id) is None
    assert stand.files() == []
    [(kind, fields)] = stand.told()
    assert kind == "demo_upload"
    assert fields["status"] == "expired"
    assert fields["reason"] == "40 of 100 bytes came in time"
    assert "demo.expired" in [entry.action for entry in entries(stand.database, 10)]


def test_each_byte_that_comes_lets_an_upload_wait_anew(store: Store) -> None:
    stand = Stand.of(store)
    upload = stand.begun(100)
    assert stand.uploads.advance(upload, 10).expires_at >= upload.expires_at
    with pytest.raises(NotThere):
        stand.uploads.advance(upload, 20)  # whoever goes on from where another one was


def test_nobody_uploads_for_a_partner_that_is_none(stand: Stand) -> None:
    Partners(stand.database).upsert("gone", actor=LAKEWARD, name="Gone", category="roofing")
    Partners(stand.database).remove("gone", actor=LAKEWARD)
    for partner_id in ("gone", "never there", "x" * 500, "\0"):
        offer = Offer(partner_id=partner_id, owner=OWNER, title="t", file_name="f", size_bytes=1)
        with pytest.raises(NoPartner):
            stand.uploads.make(offer, "here")


# One file for one content


def test_a_whole_file_is_kept_under_its_hash_for_nobody_else_to_read(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    [path] = stand.files()
    assert path == stand.lake.private / "demos" / demo.sha256[:2] / demo.sha256
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_nlink == 1


def test_two_partners_with_one_file_have_a_demo_each_and_the_last_removal_takes_the_bytes(
    stand: Stand, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.txt", "words")
    one, other = stand.sent(file), stand.sent(file, "another", "bob@example.com")
    assert len(stand.files()) == 1
    assert stand.uploads.of_partner(PARTNER) == []
    stand.demos.remove(one.demo_id, actor=OWNER)
    work.tidy(stand.lake, stand.settings, stand.database)
    assert len(stand.files()) == 1
    assert stand.demos.find(one.demo_id) is None
    assert stand.found(other).sha256 == one.sha256
    stand.demos.remove(other.demo_id, actor=OWNER)
    work.tidy(stand.lake, stand.settings, stand.database)
    assert stand.files() == []
    assert stand.rows(DEMOS) == []


def test_a_removal_that_is_killed_before_the_bytes_went_is_ended_by_the_next_one(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    stand.demos.remove(demo.demo_id, actor=OWNER)

    def killed(digest: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stand.demos.removed(demo.place, killed)
    assert len(stand.rows(DEMOS)) == 1
    work.tidy(stand.lake, stand.settings, stand.database)
    assert stand.files() == []


def test_bytes_that_were_taken_away_between_storing_and_receiving_are_asked_for_again(
    stand: Stand,
) -> None:
    upload = stand.begun(5)
    with pytest.raises(Missing):
        stand.demos.receive(upload, "ab" * 32, "here", lambda: False)
    assert stand.uploads.find(upload.upload_id) == upload


def test_what_was_stored_before_a_kill_and_no_demo_refers_to_goes_after_a_while(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    blobs = blobs_of(stand.lake, stand.settings)
    blobs.put(written(tmp_path / "b", "left behind"), "cd" * 32)
    work.tidy(stand.lake, stand.settings, stand.database)
    assert len(stand.files()) == 2
    now = time.time() + 2 * partial.YOUNG_SECONDS
    monkeypatch.setattr("lakeward.confidence.demos.blobs.time.time", lambda: now)
    work.tidy(stand.lake, stand.settings, stand.database)
    [left] = stand.files()
    assert left.name == demo.sha256


def test_a_place_that_is_no_bucket_is_named(store: Store) -> None:
    stand = Stand.of(store, LAKEWARD_DEMO_STORE="/var/demos")
    with pytest.raises(SettingError, match="LAKEWARD_DEMO_STORE"):
        blobs_of(stand.lake, stand.settings)


# A file on its way in


def test_what_came_after_the_last_sync_is_cut_off_when_somebody_goes_on(tmp_path: Path) -> None:
    with partial.Partial(tmp_path, "u") as growing:
        growing.begin(0)
        growing.write(b"safe")
        assert growing.sync() == 4
        growing.write(b" and not")
    with partial.Partial(tmp_path, "u") as growing:
        growing.begin(4)
        growing.write(b"!")
        growing.sync()
    assert (tmp_path / "u").read_bytes() == b"safe!"
    assert stat.S_IMODE((tmp_path / "u").stat().st_mode) == 0o600


def test_only_one_writes_to_an_upload_at_a_time(tmp_path: Path) -> None:
    with partial.Partial(tmp_path, "u"), pytest.raises(partial.InUse):
        partial.Partial(tmp_path, "u")
    partial.Partial(tmp_path, "u").close()

    def elsewhere() -> None:
        with pytest.raises(partial.InUse):
            partial.Partial(tmp_path, "u")

    with partial.Partial(tmp_path, "u"):
        assert exit_code(forked(elsewhere)) == 0


def test_bytes_that_are_gone_are_never_made_up(tmp_path: Path) -> None:
    with partial.Partial(tmp_path, "u") as growing, pytest.raises(partial.Lost):
        growing.begin(1)


def test_a_file_that_is_kept_under_its_hash_already_is_never_written_to_again(
    tmp_path: Path,
) -> None:
    """Whoever was killed between storing and receiving goes on with the upload."""
    blobs = Folder(tmp_path / "demos", "here")
    with partial.Partial(tmp_path / "u", "u") as growing:
        growing.begin(0)
        growing.write(b"the whole file")
        growing.sync()
        digest = growing.digest()
        blobs.put(growing.path, digest)
    with partial.Partial(tmp_path / "u", "u") as growing:
        growing.begin(4)
        with pytest.raises(partial.InUse):
            partial.Partial(tmp_path / "u", "u")
        growing.write(b"hers")
        growing.sync()
    assert blobs.path(digest).read_bytes() == b"the whole file"
    assert (tmp_path / "u" / "u").read_bytes() == b"the hers"


def test_files_of_uploads_that_are_over_are_swept_but_no_young_or_locked_one(
    tmp_path: Path,
) -> None:
    old = time.time() - 2 * partial.YOUNG_SECONDS
    for name in ("over", "wanted", "locked", "young"):
        written(tmp_path / name, "x")
        if name != "young":
            os.utime(tmp_path / name, (old, old))
    with partial.Partial(tmp_path, "locked"):
        assert partial.sweep(tmp_path, {"wanted"}) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"wanted", "locked", "young"}


# Leases


def test_a_lease_that_runs_out_is_taken_by_the_next_and_the_first_keeps_nothing_more(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    jobs = Jobs(stand.database)
    first = jobs.take([demo.place])
    assert first is not None
    assert jobs.take([demo.place]) is None
    later = Jobs(stand.database, now_ns=lambda: time.time_ns() + HOUR_NS)
    second = later.take([demo.place])
    assert second is not None
    assert (second.demo.demo_id, second.tries) == (demo.demo_id, 2)
    with pytest.raises(LeaseLost):
        jobs.renew(first)
    with pytest.raises(LeaseLost):
        jobs.end(first, "failed")
    later.end(second, "completed")
    assert stand.found(demo).state == "completed"


def test_of_many_workers_each_demo_is_taken_by_one(stand: Stand, tmp_path: Path) -> None:
    demos = [stand.sent(written(tmp_path / f"{n}.txt", f"words {n}")) for n in range(6)]
    taken: list[str] = []

    def take() -> None:
        while job := Jobs(stand.database).take([demos[0].place]):
            taken.append(job.demo.demo_id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(demo.demo_id for demo in demos)


def test_a_step_that_nobody_ends_fails_for_good_and_says_which_it_was(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    for hours in range(3):
        jobs = Jobs(stand.database, now_ns=lambda h=hours: time.time_ns() + h * HOUR_NS)  # type: ignore[misc]  # a default
        assert jobs.take([demo.place]) is not None
    jobs = Jobs(stand.database, now_ns=lambda: time.time_ns() + 4 * HOUR_NS)
    assert jobs.take([demo.place]) is None
    failed = stand.found(demo)
    assert failed.state == "failed"
    assert failed.reason is not None
    assert "interrupted 3 times at the step probe" in failed.reason


def test_work_on_bytes_that_another_host_has_is_left_to_that_host(
    stand: Stand, tmp_path: Path
) -> None:
    stand.sent(written(tmp_path / "a.txt", "words"))
    assert Jobs(stand.database).take(["another lake", "s3"]) is None


def test_a_demo_that_is_removed_at_work_is_worked_on_no_more(stand: Stand, tmp_path: Path) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    jobs = Jobs(stand.database)
    job = jobs.take([demo.place])
    assert job is not None
    stand.demos.remove(demo.demo_id, actor=OWNER)
    with pytest.raises(LeaseLost):
        jobs.proceed(job, "text", 10)
    assert stand.rows(JOBS) == []


# What is told, and what is forgotten


def test_each_state_is_told_to_the_lake_and_the_audit_with_the_state_itself(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    stand.worked()
    told = [fields for kind, fields in stand.told() if kind == "demo_upload"]
    assert [fields["status"] for fields in told] == ["received", "processing", "completed"]
    assert {fields["upload_id"] for fields in told} == {demo.demo_id}
    assert told[-1]["words"] == 1
    assert told[-1]["transcript_source"] == "document"
    assert told[-1]["processing_ms"] >= 0
    actions = [entry.action for entry in entries(stand.database, 20, ["demo."])]
    assert actions == ["demo.begin", "demo.received", "demo.processing", "demo.completed"]


def test_what_is_told_is_what_the_catalog_knows(stand: Stand, tmp_path: Path) -> None:
    import msgspec

    from lakeward.catalog.confidence import DemoUpload

    stand.sent(written(tmp_path / "a.txt", "words"))
    stand.worked()
    for _, fields in stand.told():
        msgspec.convert(fields, DemoUpload)
        assert set(fields) <= set(DemoUpload.__struct_fields__)


def test_a_removed_demo_leaves_no_word_of_its_text_or_its_name(
    store: Store, tmp_path: Path
) -> None:
    stand = Stand.of(store)
    demo = stand.sent(written(tmp_path / "secretname.txt", "hyacinth macaw"))
    stand.worked()
    assert b"hyacinth" in store.raw()
    stand.demos.remove(demo.demo_id, actor=OWNER)
    work.tidy(stand.lake, stand.settings, stand.database)
    assert stand.rows(TRANSCRIPTS) == []
    assert stand.files() == []
    for table in METADATA.sorted_tables:
        if table is not CHANGES:  # of which the fields go once the lake has heard
            assert "hyacinth" not in str(stand.rows(table))
            assert "secretname" not in str(stand.rows(table))


def test_an_erased_person_owns_no_demo_and_no_upload_any_more(store: Store, tmp_path: Path) -> None:
    stand = Stand.of(store)
    file = written(tmp_path / "a.mp4", b"")
    stand.sent(file)
    stand.begun(10)
    ann = Person("user_id", OWNER)
    eraser = DatabaseEraser(stand.database)
    assert eraser.find(ann) > 0
    eraser.erase(ann)
    assert eraser.find(ann) == 0
    assert OWNER.encode() not in store.raw()
    owners = [row["owner"] for table in (UPLOADS, DEMOS) for row in stand.rows(table)]
    assert owners == ["erased", "erased"]


# Transcripts that are given


def test_a_transcript_is_taken_for_what_can_be_heard_and_nothing_else(
    stand: Stand, tmp_path: Path
) -> None:
    jobs = Jobs(stand.database)
    with pytest.raises(NotThere):
        jobs.give("not-there", "WEBVTT", actor=OWNER)
    refused = stand.made_of(written(tmp_path / "a.exe", b"MZ" + bytes(100)))
    assert refused.state == "refused"
    with pytest.raises(NotWanted, match="refused"):
        jobs.give(refused.demo_id, "WEBVTT", actor=OWNER)
    text = stand.made_of(written(tmp_path / "a.txt", "words"))
    with pytest.raises(NotWanted, match="text of its own"):
        jobs.give(text.demo_id, "WEBVTT", actor=OWNER)


def test_a_demo_that_is_not_there_is_none_whatever_is_asked_for(stand: Stand) -> None:
    demos = Demos(stand.database)
    for which in ("", "x", "a" * 40, "\0", "'; DROP TABLE lakeward_demos"):
        assert demos.find(which) is None
        assert stand.uploads.find(which) is None
        with pytest.raises(NotThere):
            demos.remove(which, actor=OWNER)


def test_while_a_bucket_is_waited_for_others_write_and_the_last_removal_waits(
    stand: Stand, tmp_path: Path
) -> None:
    """A removal that deletes bytes must not come between the look at them and their demo."""
    demo = stand.sent(written(tmp_path / "a.txt", "words"))
    stand.demos.remove(demo.demo_id, actor=OWNER)
    upload = stand.begun(5)
    waiting, order = threading.Event(), []

    def tidy() -> None:
        waiting.wait(60)
        stand.demos.removed(demo.place, lambda digest: order.append("deleted"))

    def slow() -> bool:
        waiting.set()
        stand.begun(1)  # somebody else writes
        time.sleep(0.5)
        order.append("looked")
        return True

    thread = threading.Thread(target=tidy)
    thread.start()
    stand.demos.receive(upload, demo.sha256, demo.place, slow)
    thread.join()
    assert order == ["looked"]
    assert [row["demo_id"] for row in stand.rows(DEMOS)] == [upload.upload_id]
