"""Demos over HTTP: what a partner has uploaded, how far the work on it is, what was found in it.

    GET  /api/partners/{id}/demos      those of a partner, uploads on their way among them
    POST /api/partners/{id}/demos      begin an upload (server/uploads.py)
    GET  /api/demos/{id}               one: state, progress, figures; ?segments=1: all that is said
    POST /api/demos/{id}/transcript    WebVTT or SRT
    POST /api/demos/{id}/remove        {}
    GET  /api/demos/{id}/thumbnail     ?n=1: a picture that was drawn here
    GET  /api/demos/{id}/file          the file itself, for admins, never shown inline

In: requests of who may see the partner. Out: JSON, a JPEG, or bytes to be saved. Says no with 400,
403, 404 (what is another partner's is not there), 408, 409, 413, 415, 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from lakeward.confidence.demos.blobs import blobs_of
from lakeward.confidence.demos.captions import MOST_BYTES
from lakeward.errors import LakewardError, Terminal
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir
from lakeward.server import acting, body, uploads
from lakeward.server.answer import SAFE, Headers, Refusal, reply, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.settings import Settings
from lakeward.store.database import Database
from lakeward.store.demo import Demo, Progress
from lakeward.store.demo_jobs import Jobs, NotWanted
from lakeward.store.demos import Demos
from lakeward.store.responses import Responses, Review
from lakeward.store.uploads import NotThere, uploads_of

PARTS: Final = (
    Part("partner_demos", "/api/partners", ("/{id}/demos",)),
    Part("demos", "/api/demos", (
        "/{id}", "/{id}/transcript", "/{id}/remove", "/{id}/thumbnail", "/{id}/file",
    )),
)  # fmt: skip
GONE: Final = "There is no such demo: it may have been removed."
CAPTIONS: Final = (b"text/vtt", b"application/x-subrip", b"text/srt", b"text/plain")
PIECE: Final = 1 << 20
SANDBOX: Final = (b"content-security-policy", b"default-src 'none'; sandbox")
SAVED: Final = (
    (b"content-disposition", b'attachment; filename="demo.bin"'),
    SANDBOX,
)
"""Of the file: nobody shows it, and its owner's name for it stands in no header."""


class DemoRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, database: Database, lake: LakeDir, settings: Settings, guard: Guard, intake: Intake,
        sending: uploads.UploadRoom,
    ) -> None:  # fmt: skip
        self._demos, self._jobs = Demos(database), Jobs(database)
        self._responses = Responses(database)
        self._waiting = uploads_of(database, settings)
        self._lake, self._settings = lake, settings
        self._guard, self._intake = guard, intake
        self._sending = sending

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, one, and what is done to it."""
        return {
            "partner_demos": Handler((*GET, *POST), "read", self._of_partner),
            "demos": Handler(GET, "read", self._one),
            "demos/{id}/transcript": Handler(POST, "read", self._transcript),
            "demos/{id}/remove": Handler(POST, "read", self._remove),
            "demos/{id}/thumbnail": Handler(GET, "read", self._thumbnail),
            "demos/{id}/file": Handler(GET, "read", self._file),
        }

    async def _of_partner(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "POST":
            await self._sending.begin(request, found, headers)
            return
        partner_id = found.steps["id"]
        acting.refuse_others(acting.partner_of(request), partner_id)
        demos = await acting.beside(_refused, self._demos.of_partner, partner_id)
        waiting = await acting.beside(_refused, self._waiting.of_partner, partner_id)
        pictures = await acting.beside(_refused, self._demos.pictures_of, partner_id)
        rated = await self._rated(request, partner_id)
        listed = [uploads.plain(upload) for upload in waiting]
        for demo, progress in demos:
            seconds = {"thumbnails": pictures.get(demo.demo_id, [])}
            listed.append(plain(demo, progress) | seconds | rated.get(demo.demo_id, {}))
        may_add = acting.is_person(request, self._guard)
        await reply_json(request.send, {"demos": listed, "may_add": may_add})

    async def _one(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        demo_id = found.steps["id"]
        upload = await acting.beside(_refused, self._waiting.find, demo_id)
        if upload is not None and acting.may_see(request, upload.partner_id):
            await reply_json(request.send, uploads.plain(upload))
            return
        demo = await self._seen(request, found)
        progress = await acting.beside(_refused, self._demos.progress, demo_id)
        transcript = await acting.beside(_refused, self._demos.transcript, demo_id)
        said = plain(demo, progress)
        said |= (await self._rated(request, demo.partner_id)).get(demo_id, {})
        said["thumbnails"] = await acting.beside(_refused, self._demos.pictures, demo_id)
        if transcript is not None:
            segments = transcript.segments or ()
            said["transcript"] = {"source": transcript.source, "language": transcript.language,
                                  "given": transcript.given_by is not None,
                                  "segments": len(segments)}  # fmt: skip
            if acting.asked(request).get("segments", [""])[-1] == "1":
                said["transcript"]["segments"] = segments
        await reply_json(request.send, said)

    async def _rated(self, request: Request, partner_id: str) -> dict[str, dict[str, Any]]:
        """How the team rates demos, by their ids; a partner is not told before its score is."""
        if acting.partner_of(request) is not None:
            return {}
        return rated(await acting.beside(_refused, self._responses.reviews, partner_id))

    async def _seen(self, request: Request, found: Found[Handler]) -> Demo:
        """The demo, for who may see it; for others it is as if there were none."""
        demo = await acting.beside(_refused, self._demos.find, found.steps["id"])
        if demo is None or not acting.may_see(request, demo.partner_id):
            raise Refusal(404, "no_such_demo", GONE)
        return demo

    async def _transcript(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        demo = await self._seen(request, found)
        actor = acting.person(request, self._guard)
        media = request.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if media not in CAPTIONS:
            raise Refusal(415, "wrong_type", "Send text/vtt or application/x-subrip.")
        with self._intake.shelf.lent(self._intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, MOST_BYTES, lent)
            try:
                text = raw.decode("utf-8-sig")
            except UnicodeDecodeError:
                raise Refusal(400, "bad_body", "A transcript is text in UTF-8.") from None
            if "\0" in text or "-->" not in text:
                raise Refusal(400, "bad_body", "A transcript is WebVTT or SRT.")
            await acting.beside(_refused, self._jobs.give, demo.demo_id, text, actor=actor)
        await reply_json(request.send, {"demo_id": demo.demo_id, "transcript": "given"}, 202)

    async def _remove(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        demo = await self._seen(request, found)
        actor = acting.person(request, self._guard)
        await acting.said(request, self._intake, acting.Nothing, "The body must be {}.")
        await acting.beside(_refused, self._demos.remove, demo.demo_id, actor=actor)
        await reply_json(request.send, {"demo_id": demo.demo_id, "state": "removed"})

    async def _thumbnail(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        demo = await self._seen(request, found)
        asked = acting.asked(request).get("n", ["0"])[-1]
        if not (asked.isascii() and asked.isdigit() and len(asked) < 4):
            raise Refusal(400, "bad_number", "`n` must be a number from 0 on.")
        picture = await acting.beside(_refused, self._demos.thumbnail, demo.demo_id, int(asked))
        if picture is None:
            raise Refusal(404, "no_such_picture", "There is no such picture.")
        await reply(request.send, 200, picture.image, b"image/jpeg", [SANDBOX])

    async def _file(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.actor(request, self._guard, "The files themselves are for admins.")
        demo = await self._seen(request, found)
        blobs = blobs_of(self._lake, self._settings)
        if demo.place != blobs.place:
            raise Refusal(409, "elsewhere", "The bytes of this demo are kept elsewhere.")
        opened = blobs.opened(demo.sha256)
        path = await acting.beside(_refused, opened.__enter__)
        try:
            await _send_file(request, path, demo.size_bytes)
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)


async def _send_file(request: Request, path: Path, size: int) -> None:
    """In pieces, as fast as the client reads."""
    own = (*SAVED, (b"content-type", b"application/octet-stream"),
           (b"content-length", b"%d" % size))  # fmt: skip
    names = {name for name, _ in own}
    safe = [pair for pair in SAFE if pair[0] not in names]
    await request.send(
        {"type": "http.response.start", "status": 200, "headers": [*own, *safe]}
    )  # fmt: skip
    if request.method == "HEAD":
        await request.send({"type": "http.response.body", "body": b""})
        return
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            await request.send({"type": "http.response.body", "body": piece, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})


def plain(demo: Demo, progress: Progress | None) -> dict[str, Any]:
    """A demo as JSON has it. Who began it and where its bytes are is not shown: partners see this,
    and an admin's address is not theirs."""
    said: dict[str, Any] = {
        "demo_id": demo.demo_id,
        "partner_id": demo.partner_id,
        "state": demo.state,
        "reason": demo.reason,
        "title": demo.title,
        "file_name": demo.file_name,
        "size_bytes": demo.size_bytes,
        "sha256": demo.sha256,
        "media_type": demo.media_type,
        "created_at": iso(demo.created_at),
        "updated_at": iso(demo.updated_at),
        "probe": demo.probe,
        "measures": demo.measures,
    }
    if progress is not None:
        said["progress"] = {"step": progress.step, "percent": progress.percent,
                            "message": progress.message}  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def rated(reviews: Iterable[Review]) -> dict[str, dict[str, Any]]:
    """Reviews by demo: how many there are, and the mean of each category."""
    said: dict[str, list[Review]] = {}
    for review in reviews:
        said.setdefault(review.demo_id, []).append(review)
    return {
        demo_id: {"reviews": {"count": len(found), "scores": _means(found)}}
        for demo_id, found in said.items()
    }


def _means(reviews: Iterable[Review]) -> dict[str, float]:
    given: dict[str, list[int]] = {}
    for review in reviews:
        for category, score in review.scores.items():
            given.setdefault(category, []).append(score)
    return {category: sum(n) / len(n) for category, n in sorted(given.items())}


def _refused(error: LakewardError) -> Refusal | None:
    match error:
        case NotThere():
            return Refusal(404, "no_such_demo", GONE)
        case NotWanted():
            return Refusal(409, "not_wanted", acting.sentence(error))
        case Terminal():
            return Refusal(409, "not_there", acting.sentence(error))
    return None
