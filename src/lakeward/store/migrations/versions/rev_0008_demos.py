"""Demos: uploads, whole files, the work on them, transcripts and thumbnails."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UPLOADS, DEMOS, JOBS = "lakeward_uploads", "lakeward_demos", "lakeward_demo_jobs"
TRANSCRIPTS, THUMBNAILS = "lakeward_transcripts", "lakeward_demo_thumbnails"


def upgrade() -> None:
    """Make five tables."""
    _uploads()
    _demos()
    _jobs()
    _transcripts()
    op.create_table(
        THUMBNAILS,
        _text("demo_id", 36),
        *_moments("number", "second", "width", "height"),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("demo_id", "number", name=op.f(f"pk_{THUMBNAILS}")),
        _of_a_demo(THUMBNAILS),
    )


def _uploads() -> None:
    op.create_table(
        UPLOADS,
        _text("upload_id", 36),
        _text("partner_id", 128),
        _text("lake_id", 36),
        _text("owner", 128),
        _text("title", 200),
        _text("file_name", 200),
        *_moments("size_bytes", "received"),
        _text("sha256", 64, nullable=True),
        *_moments("created_at", "expires_at"),
        sa.PrimaryKeyConstraint("upload_id", name=op.f(f"pk_{UPLOADS}")),
    )
    _index(UPLOADS, "partner_id")
    _index(UPLOADS, "expires_at")


def _demos() -> None:
    states = ("received", "processing", "awaiting_transcript", "completed", "refused", "failed")
    op.create_table(
        DEMOS,
        _text("demo_id", 36),
        _text("partner_id", 128),
        _text("owner", 128),
        _text("title", 200),
        _text("file_name", 200),
        *_moments("size_bytes"),
        _text("sha256", 64),
        _text("place", 36),
        _text("state", 20),
        _text("reason", 255, nullable=True),
        _text("media_type", 127, nullable=True),
        sa.Column("probe", sa.JSON(none_as_null=True)),
        sa.Column("measures", sa.JSON(none_as_null=True)),
        *_moments("created_at", "updated_at"),
        *_moments("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("demo_id", name=op.f(f"pk_{DEMOS}")),
        _one_of(DEMOS, "state", states),
    )
    _index(DEMOS, "partner_id")
    _index(DEMOS, "sha256")


def _jobs() -> None:
    steps = ("probe", "thumbnails", "transcript", "text", "measures", "done")
    op.create_table(
        JOBS,
        _text("demo_id", 36),
        _text("step", 12),
        *_moments("tries", "percent"),
        _text("message", 255),
        *_moments("due_at", nullable=True),
        _text("lease", 36, nullable=True),
        *_moments("leased_until", nullable=True),
        _text("elsewhere", 200, nullable=True),
        *_moments("began_at", "ended_at", nullable=True),
        sa.PrimaryKeyConstraint("demo_id", name=op.f(f"pk_{JOBS}")),
        _of_a_demo(JOBS),
        _one_of(JOBS, "step", steps),
    )
    _index(JOBS, "due_at")


def _transcripts() -> None:
    sources = ("webvtt", "srt", "whisper", "transcribe", "document")
    op.create_table(
        TRANSCRIPTS,
        _text("demo_id", 36),
        _text("source", 12, nullable=True),
        _text("language", 16, nullable=True),
        sa.Column("segments", sa.JSON(none_as_null=True)),
        sa.Column("given", sa.Text()),
        _text("given_by", 128, nullable=True),
        *_moments("updated_at"),
        sa.PrimaryKeyConstraint("demo_id", name=op.f(f"pk_{TRANSCRIPTS}")),
        _of_a_demo(TRANSCRIPTS),
        _one_of(TRANSCRIPTS, "source", sources),
    )


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _moments(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _of_a_demo(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_demo_id_{DEMOS}")
    return sa.ForeignKeyConstraint(["demo_id"], [f"{DEMOS}.demo_id"], name=name)


def _one_of(table: str, column: str, words: Sequence[str]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
