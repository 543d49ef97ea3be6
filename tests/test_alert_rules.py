"""The rules of alerts.toml: what is taken, and the one sentence with which the rest is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakeward.alerts.excluding import Exclude
from lakeward.alerts.rules import GROUPS, Budget, Rules, Silent, Threshold, parse, read
from lakeward.errors import SettingError
from lakeward.settings import load

WHOLE = """
[watch]
series = ["routes", "types"]
zone = "Europe/Lisbon"
sensitivity = 2
most = 50

[[exclude]]
from = 2026-07-24
until = 2026-07-27T12:00:00Z
series = "route:*"

[[threshold]]
name = "checkout errors"
metric = "error_rate"
event = "api_call"
where = ["route=/checkout", "method=POST"]
above = 0.05
minutes = 15
for = 2
severity = "critical"

[[budget]]
name = "AI"
amount = 50
currency = "USD"
per = "day"
warn_at = 0.5

[[silent]]
event = "demo_booking"
minutes = 120

[[tell]]
by = "slack"

[digest]
at = "08:00"
"""


def ms(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]  # parts of a moment


def test_a_file_says_all_that_can_be_said() -> None:
    rules = parse(WHOLE.encode(), "alerts.toml")
    assert (rules.watch.series, rules.watch.zone) == (("routes", "types"), "Europe/Lisbon")
    assert (rules.watch.sensitivity, rules.watch.most) == (2.0, 50)
    # a day begins where its zone says: Lisbon is an hour ahead in summer
    assert rules.excluded == (Exclude(ms(2026, 7, 23, 23), ms(2026, 7, 27, 12), "route:*"),)
    assert rules.thresholds == (
        Threshold(
            name="checkout errors", metric="error_rate", event="api_call",
            where=("route=/checkout", "method=POST"), above=0.05, minutes=15, lasts=2,
            severity="critical",
        ),
    )  # fmt: skip
    assert rules.budgets == (Budget("AI", 50.0, "USD", "day", 0.5),)
    assert rules.silences == (Silent("demo_booking", 120.0),)
    assert (rules.tell, rules.digest) == (({"by": "slack"},), {"at": "08:00"})
    assert rules.excludes("route:/a calls", ms(2026, 7, 24))
    assert not rules.excludes("type:click", ms(2026, 7, 24))
    assert not rules.excludes("route:/a calls", ms(2026, 7, 27, 12))


def test_without_a_file_all_is_watched_and_a_named_one_must_be_there(tmp_path: Path) -> None:
    assert read(load({}, tmp_path)) == Rules()
    assert Rules().watch.series == GROUPS
    assert parse(b"[watch]\nseries = []", "alerts.toml").asks_nothing
    (tmp_path / "alerts.toml").write_text(WHOLE)
    assert read(load({}, tmp_path)).where == str(tmp_path / "alerts.toml")
    with pytest.raises(SettingError, match=r"LAKEWARD_ALERTS names .*other\.toml, which is not"):
        read(load({"LAKEWARD_ALERTS": "other.toml"}, tmp_path))


LIMIT = '[[threshold]]\nname = "a"\nevent = "api_call"\n'
BUDGET = '[[budget]]\nname = "a"\namount = 5\n'
BROKEN = {
    "a = ": "is not TOML",
    "\ufeff[wach]": "the file has the unknown key 'wach'; known are watch, exclude",
    "watch = 3": r"watch must be a table, such as \[watch\]",
    "[watch]\nserie = []": "watch has the unknown key 'serie'; known are series, zone",
    "[watch]\nseries = ['route']": r"watch.series\[0\] must be one of routes, types, steps",
    "[watch]\nzone = 'Lisbon'": "watch: zone must be a time zone such as Europe/Lisbon",
    "[watch]\nsensitivity = 'much'": "watch.sensitivity must be a number",
    "[watch]\nsensitivity = nan": "watch: sensitivity must be from 0.1",
    "[watch]\nmost = 1.5": "watch.most must be a whole number",
    "[watch]\nmost = 0": "watch: most must be from 1 to 10000",
    "[exclude]": r"exclude must be a list of tables, each begun with \[\[exclude\]\]",
    "[[exclude]]\nfrom = 2026-01-02\nuntil = 2026-01-02": r"exclude\[1\].until must be after from",
    "[[exclude]]\nfrom = 2026-01-02": r"exclude\[1\].until must be a day or a moment",
    "[[exclude]]\nfrom = 2026-01-02\nuntil = 2026-01-03\nseries = 1": "series must be text",
    LIMIT: r"threshold\[1\]: give either above or below",
    LIMIT + "above = 1\nbelow = 2": r"threshold\[1\]: give either above or below",
    LIMIT + "above = '1'": r"threshold\[1\].above must be a number$",
    LIMIT + "above = inf": "the limit must be a finite number",
    LIMIT + "above = 1\nmetric = 'errs'": r"threshold\[1\]: 'errs' is no metric: take one of",
    LIMIT + "above = 1\nmetric = 'sum'": "The metric 'sum' needs a field",
    LIMIT + "above = 1\nwhere = ['x']": "'x' is no condition",
    LIMIT + "above = 1\nwhere = ['nope=1']": "'nope' is no field",
    LIMIT + "above = 1\nwhere = 'route=/'": r"threshold\[1\].where must be a list",
    LIMIT + "above = 1\nminutes = 0": "minutes must be from 1 to 1440",
    LIMIT + "above = 1\nfor = 0": "for must be from 1 to 100",
    LIMIT + "above = 1\nseverity = 'loud'": "severity must be one of info, warning, critical",
    LIMIT + "above = 1\n" + LIMIT + "above = 2": r"threshold\[2\] is called as one before it",
    "[[threshold]]\nname = 'a'\nabove = 1": r"threshold\[1\] needs the key 'event'",
    "[[threshold]]\nname = ''\nevent = '*'\nabove = 1": "name must have 1 to 80 letters",
    "[[threshold]]\nname = 'a'\nevent = 'a b'\nabove = 1": "'a b' is no interaction type",
    BUDGET + "per = 'week'": r"budget\[1\].per must be one of day, month",
    BUDGET + "currency = 'EUR'": "currency must be USD: the cost of AI is known in it alone",
    BUDGET + "warn_at = 80": "warn_at must be a share above 0 and at most 1",
    "[[budget]]\nname = 'a'\namount = -1": "amount must be a number above 0",
    "[[silent]]\nevent = 'x'\nminutes = 0": r"silent\[1\]: minutes must be from 1 to 43200",
    "[[silent]]\nevent = 'x y'\nminutes = 5": "event must be an interaction type",
    "[[silent]]\nevent = 'x'\nminutes = 5\n" * 2: r"silent\[2\] is called as one before it",
    "tell = ['slack']": r"tell\[1\] must be a table",
    "digest = 1": "digest must be a table",
    "[[silent]]\nevent = 'x'\nminutes = 5\n" * 51: "at most 50 of",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: repr(text)[-40:])
def test_what_cannot_be_meant_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SettingError, match=BROKEN[text]) as refused:
        parse(text.encode(), "here/alerts.toml")
    assert str(refused.value).startswith("here/alerts.toml")
    assert "\n" not in str(refused.value)


def test_the_rules_of_the_page_are_taken() -> None:
    page = (Path(__file__).parent.parent / "docs/alerts.md").read_text()
    rules = parse(
        page.partition("## Rules")[2].split("```")[1].removeprefix("toml").encode(), "page"
    )
    assert rules.watch.zone == "Europe/Lisbon"
    assert len(rules.excluded) == len(rules.thresholds) == len(rules.budgets) == 1
    assert rules.silences[0].service == "shop"


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(SettingError, match="is not UTF-8 text"):
        parse(b"\xff", "alerts.toml")
