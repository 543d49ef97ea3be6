"""What alembic runs for each upgrade: on the connection, and in the transaction, it is handed."""

from __future__ import annotations

from alembic import context

from lakeward.store.schema import METADATA, REVISION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=REVISION_TABLE,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
