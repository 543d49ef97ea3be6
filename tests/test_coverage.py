"""`lakeward coverage`: declared flows and outcomes against what the table and the log hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from lakeward.flows import read
from lakeward.interaction import iso
from lakeward.lake.coverage import Coverage, coverage
from test_cli import lakeward, sentence
from test_table import NOON, Desk, line

DECLARED = """
[flows.contractor]
steps = ["verification", "focus_areas", "matching"]

[outcomes]
expected = ["partner_match", "deal_closed", "signed_up"]
"""
DAY = 86_400_000


def step(name: str, flow: str = "contractor", ms: int = NOON) -> bytes:
    return line(ms=ms, interaction_type="flow_step", outcomes={"flow": flow, "step": name})


def end(flow: str = "contractor", **outcomes: Any) -> bytes:
    return line(interaction_type="flow_completion", outcomes={"flow": flow} | outcomes)


@pytest.fixture
def desk(tmp_path: Path, lake: Lake) -> Desk:
    """A lake with rows in the table and in the log."""
    (tmp_path / "flows.toml").write_text(DECLARED)
    desk = Desk(tmp_path)
    desk.log.append([step("verification"), step("verification", ms=NOON + 5000), end()])
    desk.compact()
    desk.log.append(
        [
            step("focus_areas", ms=NOON + 2 * DAY),
            step("focus_area"),
            step("Verification", flow="contractors"),
            end(status="abandoned", derived=True),
            line(interaction_type="partner_match", partner_id="p1", outcomes={"score": 8}),
            line(interaction_type="partner_matched"),
            line(interaction_type="demo_booking", outcomes={"status": "booked"}),
        ]
    )
    assert desk.lake.root == lake.root
    return desk


def covered(desk: Desk, days: float | None = None) -> Coverage:
    flows = read(desk.settings)
    return coverage(desk.lake, desk.settings, flows, now_ms=NOON + 3 * DAY, days=days)


def test_each_declared_step_has_its_count_first_and_last(desk: Desk) -> None:
    flow = covered(desk).flows[0]
    assert (flow.name, flow.completed, flow.abandoned) == ("contractor", 1, 1)
    assert [(i.name, i.declared, i.state, i.count) for i in flow.steps] == [
        ("verification", True, "seen", 2),
        ("focus_areas", True, "seen", 1),
        ("matching", True, "never", 0),
        ("focus_area", False, "seen", 1),
    ]
    assert (flow.steps[0].first, flow.steps[0].last) == (iso(NOON), iso(NOON + 5000))
    assert (flow.steps[2].first, flow.steps[2].last) == (None, None)


def test_what_nobody_declared_is_listed_with_what_it_may_be_meant_for(desk: Desk) -> None:
    found = covered(desk)
    assert [step.like for step in found.flows[0].steps] == ["", "", "", "focus_areas"]
    assert [(f.name, f.declared, f.like) for f in found.flows[1:]] == [
        ("contractors", False, "contractor")
    ]
    slips = [(i.name, i.like) for i in found.outcomes if i.like]
    assert slips == [("partner_matched", "partner_match")]


def test_expected_outcomes_come_first_and_all_of_the_catalog_follow(desk: Desk) -> None:
    outcomes = {i.name: i for i in covered(desk).outcomes}
    assert list(outcomes)[:3] == ["partner_match", "deal_closed", "signed_up"]
    assert [outcomes[name].state for name in list(outcomes)[:3]] == ["seen", "never", "never"]
    assert (outcomes["demo_booking"].count, outcomes["demo_booking"].declared) == (1, False)
    assert outcomes["experiment_exposure"].state == "never"


def test_what_is_missing_is_named_and_what_is_old_counts_too_when_days_are_given(
    desk: Desk,
) -> None:
    assert covered(desk).missing == ("contractor.matching", "deal_closed", "signed_up")
    assert covered(desk, days=2).missing == (
        "contractor.verification", "contractor.matching", "partner_match", "deal_closed",
        "signed_up",
    )  # fmt: skip
    assert covered(desk, days=4).missing == covered(desk).missing


def test_the_command_answers_no_when_strict_and_something_is_missing(
    desk: Desk, lake: Lake, tmp_path: Path
) -> None:
    where = {"LAKEWARD_FLOWS": str(tmp_path / "flows.toml")}
    done = lakeward(lake, "coverage", **where)
    assert done.returncode == 0, done.stderr
    assert "focus_area (not declared, focus_areas?)" in done.stdout
    assert done.stdout.endswith(
        "3 of 6 declared were not seen: contractor.matching, deal_closed, signed_up\n"
    )
    assert lakeward(lake, "coverage", "--strict", **where).returncode == 1
    (tmp_path / "flows.toml").write_text('[flows.contractor]\nsteps = ["verification"]\n')
    assert lakeward(lake, "coverage", "--strict", **where).returncode == 0
    old = lakeward(lake, "coverage", "--strict", "--days", "1", "--format", "json", **where)
    assert old.returncode == 1
    assert json.loads(old.stdout)["missing"] == ["contractor.verification"]


def test_without_declarations_the_command_says_so_and_lists_what_was_seen(
    desk: Desk, lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / "flows.toml").unlink()
    done = lakeward(lake, "coverage", "--strict")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Nothing is declared: ")
    assert "Flow contractor (not declared, completed 1, abandoned 1)" in done.stdout


def test_a_broken_file_is_one_sentence_and_exit_code_2(
    desk: Desk, lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / "flows.toml").write_text("[flows.a]\nsteps = []\n")
    done = lakeward(lake, "coverage", LAKEWARD_FLOWS=str(tmp_path / "flows.toml"))
    assert done.returncode == 2
    assert "flows.a.steps must name 1 to 100 steps" in sentence(done)
    assert lakeward(lake, "coverage", "--days", "nan").returncode == 2


def test_names_that_visitors_made_up_do_not_steer_the_terminal(desk: Desk, lake: Lake) -> None:
    desk.log.append([step("\x1b[31mred", flow="\x1b]0;t\x07")])
    assert "\x1b" not in lakeward(lake, "coverage").stdout
