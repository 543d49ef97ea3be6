"""Receiving: the bytes of uploads from the network to the disk, and a whole file to its place.

In: uploads of the app database, pieces of files. Out: how much is safe; of the last piece, a demo.
Everything here waits for disks and databases, so it runs in threads beside the loop. Fails with
`Full`, `InUse` and `Lost` (confidence/demos/partial.py), `Elsewhere` for an upload of another host,
`WrongHash` for a file that is not the one that was announced, and as database and bucket do.

    piece ─► unfinished/<id> ─► fsync ─► `received` in the database ─► answer
    last ──► SHA-256 ─► under its hash ─► demo in the place of the upload ─► unfinished/<id> goes
"""

from __future__ import annotations

import time
from typing import Final

from lakeward.confidence.demos import partial
from lakeward.confidence.demos.blobs import blobs_of
from lakeward.confidence.demos.partial import Full, Partial
from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir
from lakeward.server.answer import Refusal
from lakeward.settings import Settings
from lakeward.store.database import Database
from lakeward.store.demo import Demo
from lakeward.store.demos import Demos, Missing
from lakeward.store.uploads import NotThere, Offer, Upload, uploads_of

SYNC_BYTES: Final = 8 << 20
"""So much of a piece is made safe at a time: whoever is cut off sends no more than this again."""
TRIES: Final = 3


class WrongHash(Terminal):
    """A whole file is not the one that was announced."""


class Receiving:
    """What one worker receives."""

    def __init__(self, database: Database, lake: LakeDir, settings: Settings) -> None:
        self._lake, self._settings = lake, settings
        self._uploads = uploads_of(database, settings)
        self._demos = Demos(database)
        self._folder = partial.folder_of(lake)
        self.most_bytes = settings.demo_bytes

    def begin(self, offer: Offer) -> Upload:
        """An upload for a file that would fit now."""
        if not partial.has_room(self._folder, offer.size_bytes):
            raise Full("the disk has no room for the upload: try later, or ask an admin for room")
        return self._uploads.make(offer, self._lake.identity.lake_id)

    def finish_empty(self, upload: Upload) -> None:
        """A file without a byte is whole when it begins; the work on it says what is wrong."""
        with Partial(self._folder, upload.upload_id) as file:
            self._finish(file, upload)

    def find(self, upload_id: str) -> Upload | Demo | None:
        """An upload, or the demo that it has become."""
        return self._uploads.find(upload_id) or self._demos.find(upload_id)

    def refuse_over(self, upload: Upload) -> None:
        """410 for one whose time is over, which is swept soon."""
        if upload.expires_at <= time.time_ns() // 1_000_000:
            raise Refusal(410, "expired", "The upload waited too long for its next byte.")

    def open(self, upload_id: str, offset: int) -> Partial:
        """The file of an upload, locked, at the offset where it goes on."""
        file = Partial(self._folder, upload_id)
        try:
            upload = self._uploads.find(upload_id)
            if upload is None:
                file.unlink()  # it was made by asking for it
                raise NotThere("the upload was taken back, or is whole")
            self.refuse_over(upload)
            if upload.lake_id != self._lake.identity.lake_id:
                file.unlink()
                raise Refusal(409, "elsewhere", "Another host of this server has the upload's "
                              "bytes: send to the one where it began.")  # fmt: skip
            if upload.received != offset:
                raise Refusal(409, "wrong_offset", f"The upload goes on at {upload.received}.")
            file.begin(upload.received)
        except BaseException:
            file.close()
            raise
        return file

    def write(self, file: Partial, content: bytes, upload_id: str, may_sync: bool) -> None:
        """Append; now and then it is made safe on the way."""
        file.write(content)
        if may_sync and file.unsafe >= SYNC_BYTES:
            upload = self._found(upload_id)
            if file.size < upload.size_bytes:
                self._uploads.advance(upload, file.sync())

    def forget(self, file: Partial, upload_id: str) -> None:
        """Go back to what is safe."""
        file.begin(self._found(upload_id).received)

    def keep(self, file: Partial, upload_id: str) -> tuple[int, int]:
        """Make all that came safe, and a demo of it when that is all there is: how many bytes, and
        until when the next ones are waited for."""
        upload = self._found(upload_id)
        size = file.sync()
        if size == upload.size_bytes:
            self._finish(file, upload)
        elif size != upload.received:
            upload = self._uploads.advance(upload, size)
        return size, upload.expires_at

    def _finish(self, file: Partial, upload: Upload) -> None:
        digest = file.digest()
        if upload.sha256 not in (None, digest):
            self._uploads.take_back(upload, actor=upload.owner)
            file.unlink()
            raise WrongHash("the file is not the one that was announced: its SHA-256 is another")
        blobs = blobs_of(self._lake, self._settings)
        for left in reversed(range(TRIES)):
            blobs.put(file.path, digest)
            try:
                self._demos.receive(upload, digest, blobs.place, lambda: blobs.has(digest))
                break
            except Missing:
                if not left:
                    raise
        file.unlink()

    def take_back(self, upload_id: str, actor: str) -> None:
        """End an upload, or remove the demo that it has become."""
        with Partial(self._folder, upload_id) as file:
            upload = self._uploads.find(upload_id)
            if upload is not None:
                self._uploads.take_back(upload, actor=actor)
            else:
                self._demos.remove(upload_id, actor=actor)
            file.unlink()

    def _found(self, upload_id: str) -> Upload:
        upload = self._uploads.find(upload_id)
        if upload is None:
            raise NotThere("the upload was taken back, or is over")
        return upload
