"""An experiment that its flag describes is judged without saying anything of it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from lakeward.analysis.experiment.planned import Planned, faults_of_plans, planned
from lakeward.cli import main
from lakeward.errors import Rejected
from lakeward.flags.feature import Plan, read_json
from test_experiment_cli import told

PLAN = {
    "hypothesis": "Reasons make people book.", "metrics": ["demo_booking", "count:demo_booking"],
    "guardrails": ["lower:count:page_view"], "withinDays": 10, "control": "control",
}  # fmt: skip
RULE = {
    "key": "match-page", "variations": ["plain", "reasons"], "weights": [0.4, 0.6],
    "meta": [{"key": "control"}, {"key": "treatment"}], "plan": PLAN,
}  # fmt: skip
Run = Callable[..., tuple[int, str, str]]


def flags(*rules: dict[str, Any]) -> bytes:
    return json.dumps({"features": {"page": {"defaultValue": "plain", "rules": rules}}}).encode()


@pytest.fixture
def run(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """The command on a lake with exposures, with these flags in its file."""
    told(lake)
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "flags.json"
    monkeypatch.setenv("LAKEWARD_FLAGS", str(path))

    def asked(content: bytes, *words: str) -> tuple[int, str, str]:
        path.write_bytes(content)
        code = main(("experiment", "match-page", *words))
        out, err = capsys.readouterr()
        return code, out, err

    return asked


def test_metrics_split_days_and_control_are_read_from_the_flag(run: Run) -> None:
    code, out, err = run(flags(RULE), "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [(m["metric"], m["role"]) for m in found["metrics"]] == [
        ("demo_booking", "metric"), ("count:demo_booking", "metric"),
        ("count:page_view", "guardrail"),
    ]  # fmt: skip
    assert [(arm["arm"], arm["planned"]) for arm in found["arms"]] == [
        ("control", pytest.approx(0.4)), ("treatment", pytest.approx(0.6)),
    ]  # fmt: skip
    assert found["control"] == "control"
    assert found["notes"] == ["planned: Reasons make people book."]
    # Ten days: `--within 14` would take nothing else here, and what is said wins.
    _, sql, _ = run(flags(RULE), "--sql")
    assert str(10 * 86_400_000) in sql


def test_what_is_said_wins_and_a_split_that_is_another_one_is_noted(run: Run) -> None:
    words = ("--split", "50/50", "--metric", "count:page_view", "--within", "3")
    code, out, _ = run(flags(RULE), *words, "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert [m["metric"] for m in found["metrics"]] == ["count:page_view"]
    assert [arm["planned"] for arm in found["arms"]] == [0.5, 0.5]
    assert found["notes"][1:] == [
        "--split 50/50 is not what the flag plans, which is control=0.4,treatment=0.6"
    ]
    assert str(3 * 86_400_000) in run(flags(RULE), *words, "--sql")[1]
    _, same, _ = run(flags(RULE), "--split", "treatment=60,control=40", "--format", "json")
    assert len(json.loads(same)["notes"]) == 1


def test_flags_that_contradict_each_other_are_one_sentence_unless_one_says_it(run: Run) -> None:
    two = flags(RULE, RULE | {"weights": [0.5, 0.5], "condition": {"country": "NZ"}})
    code, out, err = run(two)
    assert (code, out) == (2, "")
    assert "share out the experiment 'match-page' in two ways: say which with --split" in err
    assert run(two, "--split", "50/50")[0] == 0
    plans = flags(RULE, RULE | {"plan": PLAN | {"metrics": ["page_view"]}})
    assert "have two plans for the experiment 'match-page'" in run(plans)[2]
    assert run(plans, "--metric", "demo_booking")[0] == 0


def test_a_misspelt_name_in_a_plan_is_named_by_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flags.json"
    path.write_bytes(flags(RULE | {"plan": {"metrix": ["demo_booking"]}}))
    assert main(("flags", "check", str(path))) == 2
    assert "unknown field `metrix`" in capsys.readouterr().err


def test_a_flag_with_faults_is_judged_with_a_note_of_each(run: Run) -> None:
    code, out, _ = run(flags(RULE | {"weights": [0.9, 0.2]}), "--format", "json")
    assert code == 0
    (note,) = [note for note in json.loads(out)["notes"] if "mend" in note]
    assert note.startswith("mend the flag page: rule 1: `weights` must add up to 1")


def test_a_hypothesis_that_ends_with_a_full_stop_has_one(run: Run) -> None:
    _, out, _ = run(flags(RULE))
    assert "Note: planned: Reasons make people book.\n" in out


def test_without_a_metric_the_verdict_says_how_one_is_added(run: Run) -> None:
    rule = {name: value for name, value in RULE.items() if name != "plan"}
    assert "no metric was asked for: add --metric, or a plan to the flag." in run(flags(rule))[1]


def test_flags_that_cannot_be_read_are_noted_and_stop_nothing(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(b"{", "--metric", "demo_booking", "--format", "json")
    assert code == 0
    (note,) = json.loads(out)["notes"]
    assert note.startswith(
        f"the flags in {tmp_path / 'flags.json'} cannot be read, so nothing is taken from them: "
    )


def as_far_as_sums_go(text: str) -> Any:
    """A document whose numbers have the digits that a sum in any order has."""
    return json.loads(text, parse_float=lambda number: float(f"{float(number):.9g}"))


def test_a_plan_in_the_app_database_is_read_as_one_in_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = run(flags(RULE), "--format", "json", "--until", "2026-09-30")
    assert main(("flags", "import", str(tmp_path / "flags.json"))) == 0
    assert capsys.readouterr().out == "imported 1 flag\n"
    monkeypatch.setenv("LAKEWARD_FLAGS", "database")
    code, out, _ = run(b"{", "--format", "json", "--until", "2026-09-30")
    assert code == 0
    assert as_far_as_sums_go(out) == as_far_as_sums_go(here[1])


def test_an_experiment_that_no_flag_runs_is_asked_as_before(run: Run) -> None:
    code, out, _ = run(flags({**RULE, "key": "other"}), "--format", "json")
    assert (code, json.loads(out)["notes"]) == (0, [])


def split(**rule: Any) -> Any:
    found = planned(read_json(flags({"variations": [1, 2, 3], **rule})), "page")
    assert found is not None
    return found.split


def test_shares_are_those_that_units_get() -> None:
    third = pytest.approx(1 / 3, abs=1e-5)
    assert split() == (("0", third), ("1", third), ("2", third))
    assert split(weights=[0.9, 0.1, 0], coverage=0.5) == (("0", 0.9), ("1", 0.1))
    assert split(ranges=[[0, 0.1], [0.5, 0.8], [0.8, 0.8]]) == (("0", 0.25), ("1", 0.75))
    assert split(meta=[{"key": "a"}, {}, {"key": "c"}])[1][0] == "1"


def test_a_flag_that_is_off_or_forces_plans_nothing() -> None:
    payload = read_json(flags({**RULE, "enabled": False}, {"force": 1}))
    assert planned(payload, "match-page") is None
    assert planned(read_json(flags({**RULE, "plan": None})), "match-page") == Planned(
        (("control", 0.4), ("treatment", 0.6)), Plan()
    )


def test_plans_that_cannot_be_read_are_found_by_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = PLAN | {"metrics": ["ratio:one"], "unit": "nobody", "control": "x", "withinDays": 0}
    path = tmp_path / "flags.json"
    path.write_bytes(flags(RULE | {"plan": bad}, {"force": 1, "plan": {}}))
    assert main(("flags", "check", str(path))) == 1
    said = capsys.readouterr().out
    for part in ("a ratio is of two", "'nobody' is no field", "`control` is none of its",
                 "`withinDays` must be above 0", "a `plan` and no `variations`"):  # fmt: skip
        assert part in said
    assert faults_of_plans(read_json(flags(RULE))) == []
    two = read_json(flags(RULE, RULE | {"weights": [0.5, 0.5]}))
    assert len(faults_of_plans(two)) == 1
    with pytest.raises(Rejected):
        planned(two, "match-page")
