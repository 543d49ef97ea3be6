"""A lake with demos in it, without a server: uploads that become demos, and the work on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select

from lakeward.confidence.demos import partial
from lakeward.confidence.demos.blobs import blobs_of
from lakeward.confidence.demos.work import run_jobs, work_once
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import Settings, load
from lakeward.store.changes import LAKEWARD, untold
from lakeward.store.database import Database
from lakeward.store.demo import Demo, Transcript
from lakeward.store.demos import Demos
from lakeward.store.partners import Partners
from lakeward.store.uploads import Offer, Upload, uploads_of

PARTNER, OWNER = "p9", "ann@example.com"


class Stand:
    """What a test does with demos."""

    def __init__(self, database: Database, lake: LakeDir, settings: Settings) -> None:
        self.database, self.lake, self.settings = database, lake, settings
        self.uploads = uploads_of(database, settings)
        self.demos = Demos(database)

    @classmethod
    def of(cls, store: Any, **more: str) -> Stand:
        """In one of the two databases of a test."""
        database = store.open()
        settings = load(store.env | more, store.lake.parent)
        return cls(database, open_lake(store.lake), settings)

    def begun(self, size: int, name: str = "a", partner: str = PARTNER, owner: str = OWNER,
              **more: Any) -> Upload:  # fmt: skip
        """An upload that nothing came of yet."""
        known = Partners(self.database)
        if partner not in {one.partner_id for one in known.all()}:
            known.upsert(partner, actor=LAKEWARD, name=partner, category="roofing")
        offer = Offer(partner_id=partner, owner=owner, title="A demo", file_name=name,
                      size_bytes=size, **more)  # fmt: skip
        return self.uploads.make(offer, self.lake.identity.lake_id)

    def sent(self, file: Path, partner: str = PARTNER, owner: str = OWNER) -> Demo:
        """A whole file."""
        content = file.read_bytes()
        upload = self.begun(len(content), file.name, partner, owner)
        blobs = blobs_of(self.lake, self.settings)
        with partial.Partial(partial.folder_of(self.lake), upload.upload_id) as growing:
            growing.begin(0)
            growing.write(content)
            growing.sync()
            digest = growing.digest()
            blobs.put(growing.path, digest)
            demo = self.demos.receive(upload, digest, blobs.place, lambda: blobs.has(digest))
            growing.unlink()
        return demo

    def worked(self) -> int:
        """All that is due is done; how many demos it was."""
        return run_jobs(self.lake, self.settings)

    def once(self, **more: Any) -> bool:
        """One of it."""
        return work_once(self.lake, self.settings, self.database, **more)

    def made_of(self, file: Path) -> Demo:
        """A demo after the work on it."""
        demo = self.sent(file)
        self.worked()
        return self.found(demo)

    def found(self, demo: Demo) -> Demo:
        """As it is now."""
        found = self.demos.find(demo.demo_id)
        assert found is not None
        return found

    def said(self, demo: Demo) -> Transcript:
        """Its transcript."""
        found = self.demos.transcript(demo.demo_id)
        assert found is not None
        return found

    def files(self) -> list[Path]:
        """All that is kept of demos on the disk."""
        folder = self.lake.private / "demos"
        return sorted(path for path in folder.rglob("[!.]*") if path.is_file())

    def rows(self, table: Any) -> list[Any]:
        """All rows of a table."""
        with self.database.read() as connection:
            return list(connection.execute(select(table)).mappings())

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What the lake has to hear of demos."""
        found = [(change.type, change.fields) for change in untold(self.database)]
        return [one for one in found if one[0] == "demo_upload"]


Making = Callable[..., Stand]
