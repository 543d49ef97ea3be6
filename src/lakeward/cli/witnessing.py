"""The keeper's task for PowerConfidence: invites and reminds people, scores partners, and lets the
lake hear of it, in a child when something is due.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from lakeward.cli.child import worked
from lakeward.cli.due import Due
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.confidence")


class Witnessing(Due):
    """Starts the child."""

    module: ClassVar[str] = __name__
    question: ClassVar[str] = (
        "SELECT EXISTS (SELECT 1 FROM lakeward_changes WHERE recorded_at IS NULL) "
        "OR EXISTS (SELECT 1 FROM lakeward_invitations "
        "WHERE state IN ('waiting', 'sent', 'opened') AND coalesce(due_at, expires_at) <= :now), "
        "EXISTS (SELECT 1 FROM lakeward_partners)"
    )


def child(lake_dir: str, env_folder: str, ring_dir: str) -> int:
    """What the child does: one round."""
    return worked(logger, "PowerConfidence", once, lake_dir, env_folder, ring_dir)


def once(lake: LakeDir, settings: Settings) -> None:
    """Invite, remind, score, tell."""
    from lakeward.cli.confidence import rounded

    rounded(settings)
