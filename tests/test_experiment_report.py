"""Reports and verdicts: each thing that can be said of an experiment, and what it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeward.analysis.experiment.distributions import need
from lakeward.analysis.experiment.moments import Moments, of_share, of_sums
from lakeward.analysis.experiment.power import Plan, units_needed
from lakeward.analysis.experiment.report import report
from lakeward.analysis.experiment.result import (
    Aside,
    Observed,
    Population,
    Report,
    Role,
    Terms,
)
from lakeward.analysis.experiment.sheet import order_statistics, read
from lakeward.cli.verdict import lines
from lakeward.errors import MissingExtra, Rejected, Terminal

EVEN = {"control": 5000, "treatment": 5000}


def shares(
    name: str, counts: Mapping[str, int], of: Mapping[str, int] = EVEN, role: Role = "metric",
    lower: bool = False,
) -> Observed:  # fmt: skip
    arms = {arm: of_share(of[arm], n) for arm, n in counts.items()}
    return Observed(metric=name, kind="share", role=role, lower=lower, arms=arms)


UP = shares("booked", {"control": 500, "treatment": 700})
DOWN = shares("signed", {"control": 700, "treatment": 500})
SAME = shares("clicked", {"control": 700, "treatment": 704})
HARM = shares("failed", {"control": 100, "treatment": 220}, role="guardrail", lower=True)
CALM = shares("slow", {"control": 100, "treatment": 98}, role="guardrail", lower=True)


def judged(
    *observed: Observed, arms: Mapping[str, int] = EVEN, aside: tuple[Aside, ...] = (),
    **terms: Any,
) -> Report:  # fmt: skip
    people = Population(experiment="x", arms=arms, set_aside=list(aside))
    return report(people, observed, Terms(**terms))


# Verdicts


def test_a_gain_without_harm_is_shipped() -> None:
    found = judged(UP, SAME, CALM).verdict
    assert (found.status, found.arm) == ("ship", "treatment")
    assert found.sentence.startswith("Ship treatment: booked is better: +0.04 (95 % interval +0.0")
    assert found.sentence.endswith("No guardrail is hurt.")
    reason = found.reasons[0]
    assert (reason.code, reason.metric) == ("better", "booked")
    assert reason.figures["difference"] == pytest.approx(0.04)
    assert 0 < reason.figures["difference_low"] < 0.04 < reason.figures["difference_high"]
    assert reason.figures["p_adjusted"] < 0.001
    assert reason.figures["lift"] == pytest.approx(0.4)


def test_a_gain_beside_a_guardrail_that_nobody_did_says_so() -> None:
    misspelt = shares("slw", {"control": 0, "treatment": 0}, role="guardrail", lower=True)
    found = judged(UP, misspelt).verdict
    assert found.status == "ship"
    assert found.sentence.endswith("The guardrail: nobody did slw: is that its name?")


def test_a_loss_is_not_shipped() -> None:
    found = judged(DOWN, CALM).verdict
    assert (found.status, found.reasons[0].code) == ("do_not_ship", "worse")
    assert found.sentence.startswith("Do not ship treatment: signed is worse: -0.04")


def test_a_gain_that_hurts_a_guardrail_is_not_shipped() -> None:
    found = judged(UP, HARM).verdict
    assert found.status == "do_not_ship"
    assert found.sentence.startswith("Do not ship treatment: the guardrail failed is hurt: +0.024")


def test_a_gain_and_a_loss_are_somebodys_to_weigh() -> None:
    found = judged(UP, DOWN).verdict
    assert found.status == "mixed"
    assert "booked is better" in found.sentence
    assert "signed is worse" in found.sentence


def test_what_is_unclear_runs_on_and_says_what_it_could_show() -> None:
    found = judged(SAME, CALM).verdict
    assert found.status == "keep_running"
    assert "clicked is unclear" in found.sentence
    assert "So many units show a difference of" in found.sentence
    assert found.reasons[0].figures["detectable"] > 0


def test_a_gain_too_small_to_matter_is_not_shipped() -> None:
    found = judged(SAME, minimum=0.3).verdict
    assert (found.status, found.reasons[0].code) == ("do_not_ship", "too_small")
    assert "gains less than 30.00%" in found.sentence
    assert judged(SAME, minimum=0.01).verdict.status == "keep_running"


def test_the_smallest_lift_that_matters_says_how_long_to_wait() -> None:
    people = Population(experiment="x", arms=EVEN, per_day=500.0)
    found = report(people, [SAME], Terms(minimum=0.05, sequential=False))
    effect = found.metrics[0].effects[0]
    needed = units_needed(0.05 * 0.14, 0.14 * 0.86, Plan())
    assert effect.needed == needed
    assert effect.days_left == pytest.approx((needed - 10_000) / 500)
    assert f"A lift of 5.00% needs {needed:,} units of both arms, about " in found.verdict.sentence
    assert judged(SAME).metrics[0].effects[0].needed is None


def test_arms_without_their_planned_shares_are_broken_whatever_they_show() -> None:
    found = judged(UP, arms={"control": 5000, "treatment": 5600}).verdict
    assert (found.status, found.arm) == ("broken", None)
    assert found.reasons[0].code == "sample_ratio"
    assert found.reasons[0].figures["p"] < 0.001
    assert "control 5,000 of 5,300 planned, treatment 5,600 of 5,300 planned" in found.sentence
    for fixed in (True, False):
        arms = {"control": 9000, "treatment": 1010}
        planned = ((None, 90.0), (None, 10.0))
        sound = judged(UP, arms=arms, split=planned, sequential=not fixed)
        assert not sound.split.broken


def test_too_many_units_in_several_arms_are_broken() -> None:
    crossed = (Aside("several_arms", "control + treatment", 300),)
    found = judged(UP, aside=crossed).verdict
    assert (found.status, found.reasons[0].code) == ("broken", "several_arms")
    assert "300 of 10,300 units (2.9%) met several arms" in found.sentence
    few = (Aside("several_arms", "control + treatment", 60),)
    assert judged(UP, aside=few).verdict.status == "ship"
    small = {"control": 50, "treatment": 50}
    nine = (Aside("several_arms", "control + treatment", 9),)
    metric = shares("m", {"control": 5, "treatment": 6}, small)
    assert judged(metric, arms=small, aside=nine).verdict.status == "keep_running"


def test_of_a_few_units_nothing_is_said() -> None:
    few = {"control": 40, "treatment": 20}
    found = judged(shares("m", {"control": 0, "treatment": 20}, few), arms=few).verdict
    assert (found.status, found.reasons[0].code) == ("keep_running", "few_units")
    assert "treatment has 20 units" in found.sentence
    assert judged().verdict.reasons[0].code == "no_metric"


def test_arms_without_any_spread_are_unclear() -> None:
    for counts, said in (
        ({"control": 0, "treatment": 0}, "nobody did m: is that its name?"),
        ({"control": 0, "treatment": 5000}, "nothing can be said"),
    ):
        found = judged(shares("m", counts))
        assert found.verdict.status == "keep_running"
        assert said in found.verdict.sentence
        assert found.metrics[0].effects[0].belief is None


def test_of_several_arms_the_best_is_shipped_and_p_is_of_all() -> None:
    arms = {"a": 5000, "control": 5000, "c": 5000}
    metric = shares("m", {"a": 600, "control": 500, "c": 700}, arms)
    found = judged(metric, arms=arms)
    assert [arm.arm for arm in found.arms] == ["control", "a", "c"]
    assert (found.verdict.status, found.verdict.arm) == ("ship", "c")
    first, second = found.metrics[0].effects
    assert first.difference is not None
    assert first.p_adjusted == first.difference.p
    assert second.difference is not None
    assert second.p_adjusted == pytest.approx(2 * (second.difference.p or 0))


def test_less_is_better_where_it_is() -> None:
    metric = shares("failed", {"control": 700, "treatment": 500}, lower=True)
    found = judged(metric)
    assert found.verdict.status == "ship"
    belief = found.metrics[0].effects[0].belief
    assert belief is not None
    assert belief.chance_to_win > 0.99


def test_a_correction_of_many_metrics_takes_what_one_would_have_been() -> None:
    weak = shares("booked", {"control": 500, "treatment": 574})
    alone = judged(weak, sequential=False)
    assert alone.verdict.status == "ship"
    many = [shares(f"m{n}", {"control": 500, "treatment": 500 + n}) for n in range(5)]
    assert judged(weak, *many, sequential=False).verdict.status == "keep_running"
    assert judged(weak, *many, sequential=False, correction="none").verdict.status == "ship"
    # A guardrail is held against its own p, however many metrics there are.
    hurt = shares("failed", {"control": 500, "treatment": 574}, role="guardrail", lower=True)
    assert judged(hurt, *many, sequential=False).verdict.status == "do_not_ship"


def test_looking_always_needs_more_than_looking_once() -> None:
    weak = shares("booked", {"control": 500, "treatment": 570})
    assert judged(weak, sequential=False).verdict.status == "ship"
    assert judged(weak).verdict.status == "keep_running"


def test_a_covariate_takes_noise_off() -> None:
    def arm(mean: float) -> Moments:
        return Moments(2000, y=mean, x=1.0, yy=4.0, xx=4.0, yx=3.2)

    arms = {"control": arm(1.0), "treatment": arm(1.12)}
    people = Population(experiment="x", arms=dict.fromkeys(arms, 2000))
    with_, without = (
        report(people, [Observed(metric="m", kind="mean", role="metric", arms=arms, covariate=c)],
               Terms(sequential=False)).metrics[0] for c in (True, False)
    )  # fmt: skip
    assert with_.adjusted is not None
    assert with_.adjusted.variance_kept == pytest.approx(0.36, abs=0.001)
    assert without.adjusted is None
    assert (with_.effects[0].state, without.effects[0].state) == ("better", "unclear")


def test_a_prior_draws_the_belief_towards_no_effect() -> None:
    flat, drawn = (
        judged(UP, prior=prior).metrics[0].effects[0].belief for prior in (None, 0.05)
    )  # fmt: skip
    assert flat is not None
    assert drawn is not None
    assert 0 < drawn.high < flat.high


# Terms and arms


@pytest.mark.parametrize(
    ("terms", "named"),
    [
        ({"control": "d"}, "the control 'd' is no arm: there are control, treatment"),
        ({"split": ((None, 50.0),)}, "the split names 1 shares for 2 arms"),
        ({"split": ((None, 50.0), (None, 0.0))}, "each share of the split"),
        ({"level": 1.0}, "`level`"),
        ({"level": float("nan")}, "`level`"),
        ({"minimum": -0.1}, "`minimum`"),
        ({"prior": 0}, "`prior`"),
        ({"tuning": 0}, "`tuning`"),
        ({"correction": "b"}, "`correction`"),
        ({"split": (("only", 1.0),)}, "only 'only' was met"),
    ],
)
def test_terms_that_fit_no_arms_are_refused_by_name(terms: dict[str, Any], named: str) -> None:
    with pytest.raises(Rejected, match=named):
        judged(UP, **terms)


def test_arms_that_the_plan_does_not_name_are_set_aside() -> None:
    arms = EVEN | {"third": 7}
    found = judged(UP, arms=arms, split=(("control", 1.0), ("treatment", 1.0)))
    assert [arm.arm for arm in found.arms] == ["control", "treatment"]
    assert Aside("not_in_the_plan", "third", 7) in found.set_aside
    missing = judged(UP, arms=EVEN, split=(("control", 1), ("treatment", 1), ("gone", 1)))
    assert missing.verdict.status == "broken"


def test_arms_made_up_by_strangers_are_shown_together() -> None:
    arms = EVEN | {f"z{n}": n + 1 for n in range(500)}
    found = judged(UP, arms=arms, split=(("control", 1.0), ("treatment", 1.0)))
    assert found.verdict.status == "ship"
    assert len(found.set_aside) == 21
    assert sum(each.units for each in found.set_aside) == 500 * 501 / 2


UNITS = st.integers(0, 10**6)
MEAN = st.sampled_from([0.0, 1.0, -1.0, 1e-9, 0.3, 1e15, -1e15])
SPREAD = st.sampled_from([0.0, 1e-12, 0.2, 1.0, 1e9, 1e30])


@given(
    st.lists(
        st.tuples(UNITS, MEAN, SPREAD, MEAN, SPREAD, st.floats(-1, 1)), min_size=2, max_size=4
    ),
    st.sampled_from(["mean", "ratio", "share"]), st.booleans(), st.booleans(),
    st.sampled_from([None, 0.02]), st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=80)
def test_whatever_arms_show_there_is_a_report_of_finite_figures(
    drawn: list[tuple[int, float, float, float, float, float]], kind: Any, sequential: bool,
    covariate: bool, minimum: float | None, lower: bool,
) -> None:  # fmt: skip
    arms = {
        f"a{n}": Moments(units, y=abs(y) % 1 if kind == "share" else y, yy=yy, d=d, dd=dd,
                         yd=r * (yy * dd) ** 0.5, x=y, xx=yy, yx=r * yy)
        for n, (units, y, yy, d, dd, r) in enumerate(drawn)
    }  # fmt: skip
    observed = Observed(
        metric="m", kind=kind, role="metric", lower=lower, arms=arms, covariate=covariate
    )
    people = Population(experiment="x", arms={name: m.units for name, m in arms.items()})
    found = report(people, [observed], Terms(sequential=sequential, minimum=minimum))
    text = msgspec.json.encode(found)
    assert msgspec.json.decode(text, type=Report) == found
    for effect in found.metrics[0].effects:
        for told in (effect.difference, effect.lift):
            if told is not None and told.p is not None:
                assert 0 <= told.p <= 1
                assert told.low is not None
                assert told.high is not None
                assert told.low <= told.value <= told.high
    assert list(lines(found))


@pytest.mark.parametrize("arms", [{}, {"control": 5}, {f"a{n}": 1 for n in range(21)}])
def test_no_arm_one_arm_and_too_many_are_refused(arms: dict[str, int]) -> None:
    with pytest.raises(Rejected, match="arm"):
        judged(arms=arms)


def test_a_report_is_json_and_words_for_every_state() -> None:
    crossed = Aside("several_arms", "a\x1b[31m + b", 300)
    for found in (judged(UP, HARM, aside=(crossed,)), judged(SAME), judged()):
        again = msgspec.json.decode(msgspec.json.encode(found), type=Report)
        assert again == found
        assert next(iter(lines(found))) == found.verdict.sentence


def test_without_scipy_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lakeward.analysis.experiment import distributions

    distributions._special.cache_clear()
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lakeward\[analysis\]'"):
        need()
    monkeypatch.undo()
    need()


# A CSV of users


def sheet(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "users.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_users_in_several_arms_and_rows_that_differ_are_set_aside(tmp_path: Path) -> None:
    found = read(sheet(tmp_path, (
        "\ufeffuser, arm ,orders\nu1,a,1\nu2,b,2\nu3,a,3\nu3,b,3\nu4,a,4\nu4,a,4\nu5,b,5\n"
        "u5,b,6\n\nu3,c,1\n u1 ,a,1\nu6,b,0\n"
    )))  # fmt: skip
    people = found.population("x")
    assert dict(people.arms) == {"a": 2, "b": 2, "c": 0}
    assert people.set_aside == [
        Aside("several_arms", "a + b + c", 1), Aside("repeated_rows", None, 2),
        Aside("differing_rows", None, 1),
    ]  # fmt: skip
    assert found.arms == {"a": [(1.0,), (4.0,)], "b": [(2.0,), (0.0,)], "c": []}


def test_a_column_of_zeros_and_ones_is_a_share_and_others_are_means(tmp_path: Path) -> None:
    found = read(sheet(tmp_path, "arm,user,did,spent,spent_before\na,1,0,2.5,1\nb,2,1,-1e3,2\n"))
    assert found.names() == ["did", "spent"]
    did, spent = (found.observed(name) for name in found.names())
    assert (did.kind, did.covariate, spent.kind, spent.covariate) == ("share", False, "mean", True)
    ratio = found.observed("lower:ratio:spent/did", "guardrail")
    assert (ratio.kind, ratio.lower, ratio.metric) == ("ratio", True, "ratio:spent/did")
    arm = found.observed("mean_of_nothing") if False else found.observed("p50:spent")
    assert (arm.kind, arm.covariate) == ("quantile", False)


def test_a_quantile_of_a_column_is_by_nearest_rank() -> None:
    found = order_statistics([float(n) for n in range(1, 101)], 0.9)
    assert (found.units, found.value) == (100, 90.0)
    assert found.error == pytest.approx((96 - 85) / 3.92, rel=0.01)
    assert order_statistics([1.0], 0.5).value is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "line 1: the columns must be user, arm and numbers"),
        ("user,variant\n", "line 1: the columns must be user, arm"),
        ("user,arm,a,a\n", "line 1: each column needs a name"),
        ("user,arm,\n", "line 1: each column needs a name"),
        ("user,arm," + ",".join(f"c{n}" for n in range(200)), "line 1: there are more than 200"),
        ("user,arm,n\nu1,a,1\nu2,b\n", "line 3: 2 cells for 3 columns"),
        ("user,arm,n\nu1,a,1\n,b,1\n", "line 3: user must have"),
        ("user,arm,n\nu1, ,1\n", "line 2: arm must have"),
        ("user,arm,n\nu1,a,many\n", "line 2: n must be a number$"),
        ("user,arm,n\nu1,a,\n", r"line 2: n must be a number \(an empty one"),
        ("user,arm,n\nu1,a,nan\n", "line 2: n must be a number"),
        ("user,arm,n\nu1,a,1_0\n", "line 2: n must be a number"),
        ('user,arm,n\nu1,a,"1\n', "line 2"),
        ('user,arm,n\n"u\n1",a,x\n', "line 3: n must"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_its_line(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(Terminal, match=named) as raised:
        read(sheet(tmp_path, text))
    assert "many" not in str(raised.value)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes("user,arm,n\nJosé,a,1\n".encode("latin-1"))
    with pytest.raises(Terminal, match="is not UTF-8"):
        read(path)


def test_a_column_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    found = read(sheet(tmp_path, "user,arm,n\nu1,a,1\n"))
    with pytest.raises(Rejected, match="there is no column 'm': take one of n"):
        found.observed("ratio:n/m")
    assert of_sums(0, 0, 0) == Moments(0)
