"""The keeper's task for PowerConfidence: invites and reminds people, scores partners, and lets the
lake hear of it, in a child when something is due: a change that nobody was told of, an invitation
whose time has come or whose message no provider took, a message of ours that waits to be sent.
"""

from __future__ import annotations

import logging
import time
from typing import ClassVar

import msgspec

from lakeward.cli.child import worked
from lakeward.cli.due import Due
from lakeward.errors import Transient
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.confidence")


class Witnessing(Due):
    """Starts the child."""

    module: ClassVar[str] = __name__
    question: ClassVar[str] = (
        "SELECT EXISTS (SELECT 1 FROM lakeward_changes WHERE recorded_at IS NULL) "
        "OR EXISTS (SELECT 1 FROM lakeward_invitations "
        "WHERE state IN ('waiting', 'sent', 'opened') AND coalesce(due_at, expires_at) <= :now) "
        "OR EXISTS (SELECT 1 FROM lakeward_invitations i JOIN lakeward_outbox o USING (outbox_id) "
        "WHERE i.state = 'sent' AND o.state = 'failed' AND i.delivered_at IS NULL "
        "AND coalesce(i.reason, '') NOT LIKE 'bounced%' || i.channel) "
        "OR EXISTS (SELECT 1 FROM lakeward_outbox WHERE state IN ('queued', 'unsure') "
        "AND due_at <= :now AND purpose = 'confidence' AND kind <> 'own'), "
        "EXISTS (SELECT 1 FROM lakeward_partners)"
    )


def child(lake_dir: str, env_folder: str, ring_dir: str) -> int:
    """What the child does: one round."""
    return worked(logger, "PowerConfidence", once, lake_dir, env_folder, ring_dir)


def once(lake: LakeDir, settings: Settings) -> None:
    """Invite, remind, score, tell. Transient where something is due and nothing could be done, so
    that the next child is not started at once."""
    from lakeward.cli.confidence import rounded

    now_ms = time.time_ns() // 1_000_000
    done = rounded(settings)
    if any(msgspec.structs.astuple(done)) or settings.database_url:
        return
    due, _ = Witnessing.looked(lake.private / "app.db", now_ms)
    if due:
        raise Transient("PowerConfidence: what is due cannot be done now, and is tried again later")
