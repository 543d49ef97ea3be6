"""The rooms of a worker: groups of parts, each with handlers of its own.

In: what a worker has to offer, as a `Site`. Out: its rooms. Their parts are known by name even on a
server that lacks one, so that no setting gives a part the path of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from lakeward.collector import Collector
from lakeward.confidence.desk import Desk
from lakeward.lakedir import LakeDir
from lakeward.server import (
    alerts,
    answers,
    data,
    demos,
    experiments,
    hooks,
    invitations,
    keys,
    login,
    overview,
    pages,
    partners,
    people,
    quarantine,
    questions,
    rules,
    schema,
    setup,
    sql,
    suggest,
    switches,
    traces,
    uploads,
    views,
    witness,
)
from lakeward.server.asker import Asker
from lakeward.server.bands import Bands
from lakeward.server.guard import Guard
from lakeward.server.handler import Handler
from lakeward.server.intake import Intake
from lakeward.server.receiving import Receiving
from lakeward.server.routes import Part
from lakeward.server.status import Status
from lakeward.settings import Settings
from lakeward.store.alerts import AlertTable
from lakeward.store.database import Database

PARTS: tuple[Part, ...] = (
    *pages.PARTS,
    *login.PARTS,
    *alerts.PARTS,
    *answers.PARTS,
    *data.PARTS,
    *demos.PARTS,
    *experiments.PARTS,
    *hooks.PARTS,
    *invitations.PARTS,
    *keys.PARTS,
    *overview.PARTS,
    *partners.PARTS,
    *people.PARTS,
    *quarantine.PARTS,
    *questions.PARTS,
    *rules.PARTS,
    *schema.PARTS,
    *setup.PARTS,
    *sql.PARTS,
    *suggest.PARTS,
    *switches.PARTS,
    *traces.PARTS,
    *uploads.PARTS,
    *views.PARTS,
    *witness.PARTS,
)


class Room(Protocol):
    """A group of parts with handlers of their own."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parts, with their default paths."""

    def moved(self, paths: Mapping[str, str]) -> None:
        """Be told where every part of the server is."""

    def handlers(self) -> Mapping[str, Handler]:
        """What answers, by part, or by part and path below its root."""


class Site(msgspec.Struct, frozen=True):
    """What a worker has."""

    settings: Settings
    lake: LakeDir
    collector: Collector
    database: Database
    guard: Guard
    intake: Intake
    asker: Asker
    status: Status


def rooms(site: Site) -> list[Room]:
    """Those that read the lake and the app database; pages and logins are the worker's own."""
    settings, database, guard, intake = site.settings, site.database, site.guard, site.intake
    receiving = Receiving(database, site.lake, settings)
    sending = uploads.UploadRoom(receiving, guard, intake)
    bands = Bands(AlertTable(database), site.lake, settings, site.asker)
    desk = Desk(database, settings)
    return [
        alerts.Alerts(database, settings, site.collector, guard, intake, bands),
        data.Data(site.lake, settings, site.status, site.collector),
        demos.DemoRoom(database, site.lake, settings, guard, intake, sending),
        experiments.Experiments(site.asker, settings),
        hooks.HookRoom(desk, intake),
        invitations.InvitationRoom(desk, guard, intake),
        answers.AnswerRoom(desk, guard, intake),
        keys.KeyRoom(database, guard, intake),
        partners.PartnerRoom(desk, guard, intake),
        overview.Overview(site.asker, site.status, site.lake, database, settings),
        people.PeopleRoom(database, settings, guard, intake),
        quarantine.Quarantine(site.lake, site.collector, database, guard, intake),
        questions.Questions(site.asker, intake, settings),
        rules.RuleRoom(settings, guard),
        schema.SchemaPage(),
        setup.Setup(settings, guard),
        sql.Sql(intake, settings),
        suggest.Suggest(site.asker, settings),
        switches.Switches(database, settings, guard, intake),
        traces.Traces(site.asker),
        sending,
        views.ViewRoom(database, guard, intake),
        witness.WitnessRoom(desk, guard, intake),
    ]
