"""What time brings: people are invited and reminded, surveys come round, scores are made anew, and
the lake hears of it all.

In: a desk, a collector, what sends messages. Out: how much was done of each. Fails as the database
does; whatever was done until then stands, and the next round goes on. Two hosts may do it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from lakeward.collector import Collector
from lakeward.confidence.desk import Desk, quarter
from lakeward.confidence.sending import CAP_DAYS, Post, Sending, manner_of
from lakeward.errors import LakewardError, Rejected, SettingError, Terminal
from lakeward.interaction import iso
from lakeward.messaging.message import Channel
from lakeward.messaging.telling import offered
from lakeward.messaging.unsubscribe import is_link
from lakeward.store import changes
from lakeward.store.changes import LAKEWARD

logger = logging.getLogger("lakeward.confidence")

DAY_MS: Final = 86_400_000
MOST: Final = 500
MOST_LOOKS: Final = 20
QUARTERLY_PAUSE_MS: Final = 45 * DAY_MS
"""Who answered so lately is asked in the next quarter."""


class Done(msgspec.Struct, frozen=True):
    """How much one round did."""

    invited: int = 0
    """Surveys that came round."""
    sent: int = 0
    scored: int = 0
    told: int = 0


def come_round(desk: Desk) -> int:
    """Ask customers who gave a reference once in each later quarter; how many."""
    if not desk.settings.quarterly:
        return 0
    now, period, asked = desk.now_ms(), quarter(desk.now_ms()), 0
    lasts = manner_of(desk.settings).lasts_ms
    for partner in desk.partners.all():
        newest: dict[str, int] = {}
        for one in desk.responses.of(partner.partner_id):
            if one.form != "employee" and one.invitation_id is not None:
                newest[one.witness_id] = max(newest.get(one.witness_id, 0), one.at)
        for witness in desk.witnesses.of(partner.partner_id) if newest else ():
            answered = newest.get(witness.witness_id)
            if answered is None or quarter(answered) == period:
                continue
            if now - answered < QUARTERLY_PAUSE_MS or not (witness.phone or witness.email):
                continue
            _, new = desk.invitations.invite(
                witness, "quarterly", actor=LAKEWARD, lasts_ms=lasts, period=period, renew=False
            )
            asked += new
    return asked


def send(desk: Desk, post: Post, channels: Sequence[Channel]) -> int:
    """See every invitation whose time has come a step further; how many messages went."""
    manner = manner_of(desk.settings)
    for outbox_id in desk.invitations.lost():
        desk.invitations.bounced(outbox_id, "refused by the provider", desk.now_ms())
    due = desk.invitations.due(desk.now_ms(), MOST)
    if due and not is_link(manner.address):
        raise SettingError(
            "LAKEWARD_PUBLIC_URL must be set to an address such as https://data.example.com, other "
            "letters in their xn-- form: invitations wait, as nobody could follow their links"
        )
    sending = Sending(
        desk.invitations, desk.witnesses, desk.opt_outs, post, manner=manner, secret=desk.secret,
        channels=channels, now_ms=desk.now_ms,
    )  # fmt: skip
    sent = 0
    for seen in due:
        try:
            witness = desk.witnesses.get(seen.witness_id)
            partner = desk.partners.get(seen.partner_id)
        except Terminal:  # removed meanwhile
            desk.invitations.end(seen, "withdrawn", "removed")
            continue
        try:
            sent += sending.step(seen, witness, partner) == "sent"
        except SettingError:
            raise
        except (Terminal, Rejected) as error:  # of this one message: a template, a length
            logger.error("an invitation cannot be sent: %s", error)
            desk.invitations.end(seen, "failed", "the message was refused")
    return sent


def tell(desk: Desk, collector: Collector) -> int:
    """Let the lake hear of every change; how many it took. What it has no room for waits."""
    total = 0
    while waiting := changes.untold(desk.database, MOST):
        done = []
        for change in waiting:
            fields = {
                **change.fields,
                "interaction_id": change.change_id, "timestamp": iso(change.at),
            }  # fmt: skip
            if not offered(collector, change.type, fields):
                break
            done.append(change.change_id)
        changes.told(desk.database, done, desk.now_ms())
        total += len(done)
        if len(done) < len(waiting):
            break
    return total


def tidy(desk: Desk) -> None:
    """Delete what nobody asks for any more."""
    desk.opt_outs.prune()
    desk.invitations.prune(desk.now_ms() - CAP_DAYS * DAY_MS)
    if days := desk.settings.outbox_days:
        changes.prune(desk.database, desk.now_ms() - days * DAY_MS)


def once(desk: Desk, collector: Collector, post: Post | None, channels: Sequence[Channel]) -> Done:
    """One round. Whatever fails is logged, and keeps nothing else from being done."""
    invited = sent = scored = 0
    try:
        invited = come_round(desk)
        if post is not None:
            sent = send(desk, post, channels)
    except SettingError as error:
        logger.error("invitations: %s", error)
    told = tell(desk, collector)  # before what takes its time
    try:
        scored, more = _scored(desk, collector)
        told += more
    except LakewardError as error:
        logger.error("scores: %s", error)
    tidy(desk)
    return Done(invited, sent, scored, told)


def _scored(desk: Desk, collector: Collector) -> tuple[int, int]:
    """Score until nothing is new and nothing is left to tell. What is said after a look is told
    behind it, and would not be due any more: so whatever was told is looked for once more."""
    from lakeward.confidence.scoring import Scoring

    scored = told = 0
    for _ in range(MOST_LOOKS):
        found = len(Scoring(desk).look())
        heard = tell(desk, collector)
        scored, told = scored + found, told + heard
        if not heard:
            break
    return scored, told
