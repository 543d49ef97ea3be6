"""The keeper's task for demos: looks into what was uploaded, in a child when something is due.

The child reads no strange file itself: each step of the work has a process of its own that is shut
off (`lakeward.confidence.demos`).
"""

from __future__ import annotations

import logging
from typing import ClassVar

from lakeward.cli.child import worked
from lakeward.cli.due import Due
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.confidence")


class Viewing(Due):
    """Starts the child."""

    module: ClassVar[str] = __name__
    question: ClassVar[str] = (
        "SELECT EXISTS (SELECT 1 FROM lakeward_demo_jobs WHERE due_at <= :now "
        "AND coalesce(leased_until, 0) < :now) "
        "OR EXISTS (SELECT 1 FROM lakeward_uploads WHERE expires_at <= :now), "
        "EXISTS (SELECT 1 FROM lakeward_demos)"
    )


def child(lake_dir: str, env_folder: str, ring_dir: str) -> int:
    """What the child does: all that is due."""
    return worked(logger, "looking into demos", once, lake_dir, env_folder, ring_dir)


def once(lake: LakeDir, settings: Settings) -> None:
    """Do the work, and end what expired."""
    from lakeward.confidence.demos.work import run_jobs

    run_jobs(lake, settings)
