"""The table of interactions without CloudFormation, with what the template `storage` guarantees.

In: settings that name it. Out: the table of `lakeward.sinks.blueprint`, which makes key, indexes,
expiry and recovery, and protection against being deleted. What is there already stays.
"""

from __future__ import annotations

from contextlib import closing
from typing import Literal

from lakeward.settings import Settings
from lakeward.sinks import blueprint


def make_table(settings: Settings) -> Literal["made", "was there"]:
    """Make the table unless it is there, and protect it."""
    with closing(blueprint.table_api(settings)) as api:
        name = settings.interactions_table
        there = blueprint.describe(api, name)
        blueprint.create_table(settings)
        found = blueprint.describe(api, name) or {}
        if not found.get("DeletionProtectionEnabled"):
            api.ask("update_table", TableName=name, DeletionProtectionEnabled=True)
    return "made" if there is None else "was there"
