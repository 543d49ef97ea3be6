"""Endpoints for the SDKs of other products: change the host name, and they write into this lake.

One file a dialect, and its mapping as a table in `docs/compatible.md`.
"""

from lakeward.server.compat.dialect import Dialect
from lakeward.server.compat.otlp import DIALECT as OTLP

DIALECTS: tuple[Dialect, ...] = (OTLP,)
"""No two of them have a path in common."""
