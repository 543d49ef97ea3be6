"""Uploads over HTTP: demos come in by tus, and go on after any interruption.

    POST    /api/partners/{id}/demos     begin: tus headers, or {"title": …, "size_bytes": …}
    HEAD    /api/uploads/{id}            how many bytes are safe
    PATCH   /api/uploads/{id}            more bytes, from there on; the last ones make a demo
    DELETE  /api/uploads/{id}            take it back
    OPTIONS /api/uploads                 what is spoken

In: requests of a person of the partner, an admin, or this machine; whoever began an upload goes on
with it, or an admin. Out: bytes on the disk before the answer says so. Says no with 400, 403, 404,
408, 409 for another offset, 410 for an upload that is over, 412, 413, 415, 422 for a file of
another hash, 423 while another request sends, 460 for a checksum, 503, 507 for a full disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, ParamSpec, TypeVar

import msgspec

from lakeward.confidence.demos.partial import PIECE, Full, InUse, Lost, Partial
from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.server import acting, body, tus
from lakeward.server.answer import Headers, Refusal, reply, reply_json, reply_refusal
from lakeward.server.guard import Guard
from lakeward.server.handler import Answer, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.receiving import Receiving, WrongHash
from lakeward.server.routes import Found, Part
from lakeward.store.demo import Demo
from lakeward.store.uploads import NoPartner, NotThere, Offer, OverQuota, Upload

PARTS: Final = (Part("uploads", "/api/uploads", ("", "/{id}")),)
WANTED: Final = (
    "The body must have a `title` and `size_bytes`, and may have a `file_name` and a `sha256`."
)
GONE: Final = "There is no such upload: it may be over, or taken back."
MOST_AT_ONCE: Final = 32
"""Uploads that one worker receives at a time; each has two pieces in memory."""
P = ParamSpec("P")
T = TypeVar("T")


class Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to send."""

    title: str
    size_bytes: int
    file_name: str = ""
    sha256: str | None = None


class UploadRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, receiving: Receiving, guard: Guard, intake: Intake) -> None:
        self._receiving = receiving
        self._guard = guard
        self._intake = intake
        self._paths: Mapping[str, str] = {}
        self._at_once = 0
        self.begin = _told(self._begin)

    def moved(self, paths: Mapping[str, str]) -> None:
        """Where uploads are found."""
        self._paths = paths

    def handlers(self) -> dict[str, Handler]:
        """What can be done with one; it begins where the demos of a partner are."""
        return {
            "uploads": Handler(("OPTIONS",), "read", self._options),
            "uploads/{id}": Handler(
                ("HEAD", "PATCH", "DELETE", "OPTIONS"), "read", _told(self._one)
            ),
        }

    async def _options(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await reply(request.send, 204, b"", headers=tus.offered(self._receiving.most_bytes))

    async def _begin(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        """Of a partner whose id is a step of the path."""
        partner_id = found.steps["id"]
        acting.refuse_others(acting.partner_of(request), partner_id)
        owner = acting.person(request, self._guard)
        if "uploads" not in self._paths:
            raise Refusal(404, "no_uploads", "Uploads are switched off on this server.")
        said = await self._said(request)
        offer = Offer(
            partner_id=partner_id, owner=owner, title=said.title or "Demo",
            file_name=said.file_name or "unnamed", size_bytes=said.size_bytes, sha256=said.sha256,
        )  # fmt: skip
        upload = await refusing(self._receiving.begin, offer)
        if upload.size_bytes == 0:  # there is nothing to wait for
            await refusing(self._receiving.finish_empty, upload)
        where = f"{request.prefix}{self._paths['uploads'].rstrip('/')}/{upload.upload_id}"
        told = [tus.RESUMABLE, (b"location", where.encode()), tus.expires(upload.expires_at)]
        await reply_json(request.send, plain(upload), 201, headers=told)

    async def _said(self, request: Request) -> tus.Announced:
        if b"tus-resumable" in request.headers:
            tus.check_version(request.headers)
            said = tus.announced(request.headers)
        else:
            asked = await acting.said(request, self._intake, Begun, WANTED)
            name = tus.plain_name(asked.file_name)
            title = tus.plain_name(asked.title) or name
            said = tus.Announced(asked.size_bytes, name, title, tus.checked_sha256(asked.sha256))
        most = self._receiving.most_bytes
        if not 0 <= said.size_bytes <= most:
            raise Refusal(413, "too_large", f"A demo has at most {most} bytes.")
        return said

    async def _one(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "OPTIONS":
            await self._options(request, found, headers)
            return
        tus.check_version(request.headers)
        upload_id = found.steps["id"]
        upload = await refusing(self._receiving.find, upload_id)
        if upload is None or not acting.may_see(request, upload.partner_id):
            raise Refusal(404, "no_such_upload", GONE)
        if request.method == "HEAD":
            await self._head(request, upload)
            return
        actor = acting.person(request, self._guard)
        if upload.owner != actor and acting.partner_of(request) is not None:
            raise Refusal(403, "not_the_owner", "Whoever began an upload goes on with it.")
        if request.method == "DELETE":
            await refusing(self._receiving.take_back, upload_id, actor)
            await reply(request.send, 204, b"", headers=[tus.RESUMABLE])
        else:
            await self._more(request, upload)

    async def _head(self, request: Request, upload: Upload | Demo) -> None:
        said = [
            tus.RESUMABLE,
            tus.offset(upload.size_bytes if isinstance(upload, Demo) else upload.received),
            (b"upload-length", b"%d" % upload.size_bytes),
            (b"upload-metadata", tus.metadata(filename=upload.file_name, title=upload.title)),
        ]
        if not isinstance(upload, Demo):
            self._receiving.refuse_over(upload)
            said.append(tus.expires(upload.expires_at))
        await reply(request.send, 200, b"", headers=said)

    async def _more(self, request: Request, upload: Upload | Demo) -> None:
        """Bytes from an offset on; what is safe in the end is what the answer says."""
        tus.check_kind(request.headers)
        offset = tus.number(request.headers, b"upload-offset")
        wanted = tus.checksum(request.headers)
        if isinstance(upload, Demo) or offset > upload.size_bytes:
            raise Refusal(409, "wrong_offset", "The upload goes on at another offset: ask for it.")
        length = request.headers.get(b"content-length", b"")
        if length.isdigit() and offset + int(length[:18]) > upload.size_bytes:
            raise Refusal(413, "too_large", "The body has more bytes than were announced.")
        if self._at_once >= MOST_AT_ONCE:
            raise Refusal(503, "busy", "Too many uploads at once: try again.", retry_after=2)
        self._at_once += 1
        try:
            with self._intake.shelf.lent(self._intake.client(request)) as lent:
                lent.grow(2 * PIECE)
                partial = await refusing(self._receiving.open, upload.upload_id, offset)
                try:
                    size, expires_at = await self._receive(request, upload, partial, wanted)
                finally:
                    partial.close()
        finally:
            self._at_once -= 1
        told = [tus.RESUMABLE, tus.offset(size), tus.expires(expires_at)]
        await reply(request.send, 204, b"", headers=told)

    async def _receive(
        self, request: Request, upload: Upload, partial: Partial, wanted: tus.Checksum | None
    ) -> tuple[int, int]:
        """Write what comes. An interruption keeps what was written, unless a checksum was to say
        that it is right; a mistake of the sender, and a disk that is full, keep nothing of it."""
        receiving, offset = self._receiving, partial.size
        most = upload.size_bytes - offset
        interrupted: Refusal | None = None
        try:
            async for piece in _gathered(body.pieces(request.receive, most)):
                if wanted is not None:
                    wanted.update(piece)
                await refusing(receiving.write, partial, piece, upload.upload_id, wanted is None)
        except Refusal as refusal:
            if wanted is not None or refusal.code not in ("disconnected", "timeout"):
                await refusing(receiving.forget, partial, upload.upload_id)
                raise
            interrupted = refusal
        if wanted is not None and not wanted.fits():
            await refusing(receiving.forget, partial, upload.upload_id)
            raise Refusal(tus.MISMATCH, "checksum_mismatch", "The bytes are not those that were "
                          "sent: send them again.")  # fmt: skip
        kept = await refusing(receiving.keep, partial, upload.upload_id)
        if interrupted is not None:
            raise interrupted
        return kept


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Larger pieces, so that there are fewer writes. What came before an interruption counts."""
    parts: list[bytes] = []
    size = 0
    try:
        async for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(parts)
                parts, size = [], 0
    except Refusal:
        if parts:
            yield b"".join(parts)
        raise
    if parts:
        yield b"".join(parts)


def _told(answer: Answer) -> Answer:
    """The same, which says the protocol's version with every answer, a no as well."""

    async def told(request: Request, found: Found[Handler], headers: Headers) -> None:
        try:
            await answer(request, found, headers)
        except Refusal as refusal:
            more = [tus.RESUMABLE]
            if refusal.status == 412:
                more.append((b"tus-version", tus.VERSION))
            await reply_refusal(request.send, refusal, more)

    return told


async def refusing(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Work in a thread beside the loop; what it cannot do as an answer."""
    return await acting.beside(_refused, work, *args, **named)


def _refused(error: LakewardError) -> Refusal | None:
    sentence = acting.sentence(error)
    match error:
        case InUse():
            return Refusal(423, "in_use", sentence, retry_after=1)
        case Full():
            return Refusal(507, "disk_full", sentence)
        case Lost():
            return Refusal(410, "lost", sentence)
        case NotThere():
            return Refusal(404, "no_such_upload", GONE)
        case NoPartner():
            return Refusal(404, "no_such_partner", sentence)
        case WrongHash():
            return Refusal(422, "wrong_sha256", sentence)
        case OverQuota():
            return Refusal(413, "over_quota", sentence)
    return None


def plain(upload: Upload) -> dict[str, object]:
    """An upload as JSON has it."""
    return {
        "demo_id": upload.upload_id,
        "partner_id": upload.partner_id,
        "state": "uploading",
        "title": upload.title,
        "file_name": upload.file_name,
        "size_bytes": upload.size_bytes,
        "received": upload.received,
        "created_at": iso(upload.created_at),
        "expires_at": iso(upload.expires_at),
    }
