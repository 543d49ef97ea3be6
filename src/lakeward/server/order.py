"""What a supervisor tells a worker, apart from both: the supervisor serves nothing itself, and
starts a tenth of a second sooner without what a worker loads.

In and out: JSON on the worker's command line.
"""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, frozen=True):
    """What a worker is told."""

    number: int
    workers: int
    socket: int
    """Descriptor of the listening socket."""
    pipe: int
    """Descriptor whose end of file means that the supervisor is gone."""
    loopback: bool
    """Whether it listens on this machine only."""
    hosts: tuple[str, ...] = ()
