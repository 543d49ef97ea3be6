"""The app database: what changes in place (keys today), beside the lake, where nothing does.

Importing this room without its extra fails with one sentence that names it.
"""

from __future__ import annotations

from importlib.util import find_spec

from lakeward.errors import MissingExtra

if not all(map(find_spec, ("sqlalchemy", "alembic"))):
    raise MissingExtra("the app database", "server")
