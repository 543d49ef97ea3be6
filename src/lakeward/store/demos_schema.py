"""Tables of demos: what is being uploaded, what was, the work on it, and what was made of it.

The rules of `schema` hold here, too. A demo keeps the id of its upload. Its bytes stand elsewhere,
under their hash; `sha256` of the demos that are not removed is what counts as a reference to them.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
)

from lakeward.store.metadata import METADATA

UPLOADS = Table(
    "lakeward_uploads",
    METADATA,
    Column("upload_id", String(36), primary_key=True),
    Column("partner_id", String(128), nullable=False),
    Column("lake_id", String(36), nullable=False),
    Column("owner", String(128), nullable=False),
    Column("title", String(200), nullable=False),
    Column("file_name", String(200), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "partner_id"),
    Index(None, "expires_at"),
)
"""Files that are not whole yet; `received` bytes of each are on the disk of the host whose lake it
names. `sha256` is what whoever sends says that it will be."""

DEMOS = Table(
    "lakeward_demos",
    METADATA,
    Column("demo_id", String(36), primary_key=True),
    Column("partner_id", String(128), nullable=False),
    Column("owner", String(128), nullable=False),
    Column("title", String(200), nullable=False),
    Column("file_name", String(200), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("place", String(36), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", String(255)),
    Column("media_type", String(127)),
    Column("probe", JSON(none_as_null=True)),
    Column("measures", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    CheckConstraint(
        "state IN ('received', 'processing', 'awaiting_transcript', 'completed', 'refused', "
        "'failed')",
        name="state",
    ),
    Index(None, "partner_id"),
    Index(None, "sha256"),
)
"""Whole files and what is known of them; `place` is where the bytes are, the lake's id for a host's
disk, or `s3`. One that is removed stands here until its bytes are gone, if no other has them."""

JOBS = Table(
    "lakeward_demo_jobs",
    METADATA,
    Column("demo_id", String(36), ForeignKey(DEMOS.c.demo_id), primary_key=True),
    Column("step", String(12), nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("percent", BigInteger, nullable=False),
    Column("message", String(255), nullable=False),
    Column("due_at", BigInteger),
    Column("lease", String(36)),
    Column("leased_until", BigInteger),
    Column("elsewhere", String(200)),
    Column("began_at", BigInteger),
    Column("ended_at", BigInteger),
    CheckConstraint(
        "step IN ('probe', 'thumbnails', 'transcript', 'text', 'measures', 'done')", name="step"
    ),
    Index(None, "due_at"),
)
"""The work on each demo: the step that is next, and who is at it. `elsewhere` names a job of a
service that transcribes; without `due_at` nothing is to be done."""

TRANSCRIPTS = Table(
    "lakeward_transcripts",
    METADATA,
    Column("demo_id", String(36), ForeignKey(DEMOS.c.demo_id), primary_key=True),
    Column("source", String(12)),
    Column("language", String(16)),
    Column("segments", JSON(none_as_null=True)),
    Column("given", Text),
    Column("given_by", String(128)),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint(
        "source IN ('webvtt', 'srt', 'whisper', 'transcribe', 'document')", name="source"
    ),
)
"""What is said or written in a demo. `given` is a transcript as it came, until it is read."""

THUMBNAILS = Table(
    "lakeward_demo_thumbnails",
    METADATA,
    Column("demo_id", String(36), ForeignKey(DEMOS.c.demo_id), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("second", BigInteger, nullable=False),
    Column("width", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("image", LargeBinary, nullable=False),
)
"""Pictures that were drawn here from a video: JPEG."""
