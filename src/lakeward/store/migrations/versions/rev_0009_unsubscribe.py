"""Where a mail program unsubscribes, with each message that has such an address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column, empty in messages that wait and in those that an earlier version adds."""
    op.add_column("lakeward_outbox", sa.Column("unsubscribe", sa.Text()))
