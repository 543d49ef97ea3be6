"""Endpoints for the SDKs of other products: change the host name, and they write into this lake.

One file a dialect, and its mapping as a table in `docs/compatible.md`.
"""

from lakeward.server.compat import otlp, posthog, segment, snowplow
from lakeward.server.compat.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (
    segment.DIALECT,
    posthog.DIALECT,
    snowplow.DIALECT,
    otlp.DIALECT,
)
"""No two of them have a path in common."""
