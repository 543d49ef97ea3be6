"""The work on demos: takes what is due, does it step by step in children, and keeps what they find.

In: a lake and its settings. Out: how much was done; what became of each demo is in the app
database. Whoever is killed leaves a lease that runs out, and the next one does the step again.
Nothing of a strange file is read in this process. Fails as the app database does.

    run_jobs ──► tidy: expired uploads, bytes that nobody refers to
             ──► work_once, until nothing is due
                   probe ─► thumbnails ─► transcript ─► measures      (store/demo_jobs.py)
                   probe ─► text ─► measures
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lakeward.confidence.demos import cell, partial, transcribe
from lakeward.confidence.demos.blobs import Bucket, Folder, blobs_of
from lakeward.confidence.demos.celled import Found, Task
from lakeward.errors import LakewardError, Rejected, Terminal, Transient
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings
from lakeward.store.database import Database, open_database
from lakeward.store.demo import Segment, Source
from lakeward.store.demo_jobs import LEASE_SECONDS, MOST_TRIES, Job, Jobs, LeaseLost, Step
from lakeward.store.demos import Demos
from lakeward.store.uploads import uploads_of

SPANS: Final[dict[Step, tuple[int, int]]] = {
    "probe": (0, 10), "thumbnails": (10, 20), "transcript": (20, 80), "text": (10, 80),
    "measures": (80, 100), "done": (100, 100),
}  # fmt: skip
"""Where each step begins and ends, of 100."""
POLL_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 10.0
"""After the first failure; longer after the next."""
Runner = Callable[..., Found]
NowNs = Callable[[], int]


def run_jobs(
    lake: LakeDir, settings: Settings, *, most: int = 1000, now_ns: NowNs = time.time_ns
) -> int:
    """Do what is due, at most so many demos; how many there were."""
    with open_database(settings, create=False) as database:
        tidy(lake, settings, database, now_ns=now_ns)
        if settings.whisper_model is not None or settings.transcribe:
            Jobs(database, now_ns=now_ns).listen_again()
        done = 0
        while done < most and work_once(lake, settings, database, now_ns=now_ns):
            done += 1
        return done


def tidy(
    lake: LakeDir, settings: Settings, database: Database, *, now_ns: NowNs = time.time_ns
) -> None:
    """End uploads whose time is over, and let bytes go that nobody refers to."""
    uploads, demos = uploads_of(database, settings, now_ns=now_ns), Demos(database, now_ns=now_ns)
    folder = partial.folder_of(lake)
    for upload in uploads.expire():
        if upload.lake_id == lake.identity.lake_id:
            (folder / upload.upload_id).unlink(missing_ok=True)
    partial.sweep(folder, uploads.ids())
    for blobs in _all_blobs(lake, settings).values():
        demos.removed(blobs.place, blobs.delete)
        if isinstance(blobs, Folder):
            for digest in blobs.old(demos.known(blobs.place)):
                demos.release(digest, blobs.place, blobs.delete)


def _all_blobs(lake: LakeDir, settings: Settings) -> dict[str, Folder | Bucket]:
    """Places that can be reached from here: the disk also holds what came before a bucket was
    named."""
    here = Folder(lake.private / "demos", lake.identity.lake_id)
    chosen = blobs_of(lake, settings)
    return {here.place: here, chosen.place: chosen}


def work_once(
    lake: LakeDir, settings: Settings, database: Database, *, now_ns: NowNs = time.time_ns,
    run: Runner = cell.run, lease_seconds: float = LEASE_SECONDS,
) -> bool:  # fmt: skip
    """Do the work on one demo as far as it goes; False when none is due."""
    jobs = Jobs(database, now_ns=now_ns, lease_seconds=lease_seconds)
    places = _all_blobs(lake, settings)
    job = jobs.take(list(places))
    if job is None:
        return False
    worker = _Worker(settings, database, jobs, places[job.demo.place], run)
    with _alive(jobs, job, lease_seconds / 4):
        worker.work(job)
    return True


class _Silent(Rejected):
    """There is a transcript, and nothing in it."""


class _Worker:
    """Does the steps of one job; `job` is where it stands."""

    def __init__(
        self, settings: Settings, database: Database, jobs: Jobs, blobs: Folder | Bucket,
        run: Runner,
    ) -> None:  # fmt: skip
        self._settings, self._jobs, self._blobs, self._run = settings, jobs, blobs, run
        self._demos = Demos(database)
        self._steps: dict[Step, Callable[[Job, Path], Job | None]] = {
            "probe": self._probe,
            "thumbnails": self._thumbnails,
            "transcript": self._transcript,
            "text": self._text,
            "measures": self._measures,
        }

    def work(self, job: Job) -> None:
        """To the end, or until somebody has to be waited for."""
        now: Job | None = job
        try:
            with self._blobs.opened(job.demo.sha256) as file:
                while now is not None:
                    job = now
                    now = self._steps[job.step](job, file)
        except LeaseLost:
            return
        except Rejected as error:
            self._jobs.end(job, "refused", str(error))
        except cell.TooMuch as error:
            self._jobs.end(job, "failed", str(error))
        except Transient as error:
            self._jobs.wait(job, POLL_SECONDS, str(error))
        except (cell.Died, Terminal) as error:
            self._failed(job, error)

    def _failed(self, job: Job, error: LakewardError) -> None:
        """Once more, unless that was the last try."""
        if job.tries >= MOST_TRIES:
            self._jobs.end(job, "failed", f"{error}, each of {job.tries} times")
        else:
            self._jobs.wait(job, PAUSE_SECONDS * job.tries, str(error), failed=True)

    def _child(self, job: Job, task: Task, file: Path | None, **order: Any) -> Found:
        start, end = SPANS[job.step]
        last = 0.0

        def tell(share: float) -> None:
            nonlocal last
            if time.monotonic() - last >= 1:
                last = time.monotonic()
                self._jobs.renew(job, start + int((end - start) * share), task)

        return self._run(self._settings, task, file, tell, **order)

    def _probe(self, job: Job, file: Path) -> Job | None:
        found = self._child(job, "probe", file).probe
        assert found is not None  # a child that is done has one
        step: Step = {"video": "thumbnails", "audio": "transcript"}.get(found.kind, "text")  # type: ignore[assignment]  # both are steps
        return self._jobs.proceed(job, step, SPANS[step][0], probe=found,
                                  media_type=found.media_type)  # fmt: skip

    def _thumbnails(self, job: Job, file: Path) -> Job | None:
        found = self._child(job, "thumbnails", file, probe=job.demo.probe)
        self._jobs.keep_thumbnails(job, found.thumbnails)
        return self._jobs.proceed(job, "transcript", SPANS["transcript"][0])

    def _transcript(self, job: Job, file: Path) -> Job | None:
        """The best there is: what was given, what the file has, what a model or service hears. When
        one cannot be made the demo waits for one, and says why."""
        reason = None
        try:
            heard = self._heard(job, file)
            if heard is None:
                return None
            job = heard
        except (Rejected, Terminal) as error:
            reason = str(error)
            job = self._jobs.discard_given(job) if job.given else job
        return self._jobs.proceed(job, "measures", SPANS["measures"][0], reason=reason)

    def _heard(self, job: Job, file: Path) -> Job | None:
        settings, probe = self._settings, job.demo.probe
        if job.given:
            found = self._child(job, "captions", None, given=job.given)
            assert found.source is not None
            return self._jobs.keep_transcript(job, found.source, None, found.segments or [])
        if probe is not None and probe.subtitles and not job.has_text:
            found = self._child(job, "subtitles", file)
            if found.segments:
                source = "webvtt" if "webm" in probe.media_type else "srt"
                return self._jobs.keep_transcript(job, source, probe.language, found.segments)  # type: ignore[arg-type]  # both are sources
        if job.has_text or probe is None or probe.kind not in ("video", "audio"):
            return job
        if settings.whisper_model is not None:
            found = self._child(job, "speech", file, model=str(settings.whisper_model))
            return self._kept(job, "whisper", found.language, found.segments or [])
        return self._elsewhere(job) if settings.transcribe else job

    def _kept(self, job: Job, source: Source, language: str | None, said: list[Segment]) -> Job:
        job = self._jobs.keep_transcript(job, source, language, said)
        if not said:
            raise _Silent("no speech is heard in it")
        return job

    def _elsewhere(self, job: Job) -> Job | None:
        """By Amazon Transcribe: asked for once, then asked how far it is."""
        if job.elsewhere is None:
            job = self._jobs.keep_elsewhere(job, transcribe.name_of(job.demo))
        bucket = self._blobs if isinstance(self._blobs, Bucket) else None
        heard = transcribe.heard(self._settings, bucket, job.demo)
        if heard is None:
            self._jobs.wait(job, POLL_SECONDS, "Amazon Transcribe is at it")
            return None
        return self._kept(job, "transcribe", *heard)

    def _text(self, job: Job, file: Path) -> Job | None:
        found = self._child(job, "text", file)
        assert found.source is not None
        job = self._jobs.keep_transcript(job, found.source, found.language, found.segments or [])
        reason = None if found.segments else "there is no text in it, only pictures perhaps"
        return self._jobs.proceed(job, "measures", SPANS["measures"][0], reason=reason)

    def _measures(self, job: Job, file: Path) -> Job | None:
        transcript = self._demos.transcript(job.demo.demo_id)
        segments = None if transcript is None else list(transcript.segments or ())
        is_media = job.demo.probe is not None and job.demo.probe.kind in ("video", "audio")
        found = self._child(job, "measures", file if is_media else None, segments=segments)
        state = "awaiting_transcript" if transcript is None else "completed"
        self._jobs.end(job, state, job.demo.reason, measures=found.measures)  # type: ignore[arg-type]  # both are states
        return None


@contextmanager
def _alive(jobs: Jobs, job: Job, seconds: float) -> Iterator[None]:
    """Renew the lease while the work goes on, also where a bucket takes its time. A lease that is
    lost is found out by the work itself, when it keeps something."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds):
            try:
                jobs.renew(job)
            except LeaseLost:
                return
            except LakewardError:
                continue

    thread = threading.Thread(target=beat, name="lakeward-demo-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
