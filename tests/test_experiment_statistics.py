"""The statistics of experiments: published answers, tea-tasting and scipy agree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lakeward.analysis.experiment import effect, frequentist, sequential
from lakeward.analysis.experiment.bayesian import Prior, believe
from lakeward.analysis.experiment.cuped import adjusted, adjustment
from lakeward.analysis.experiment.effect import Measured
from lakeward.analysis.experiment.moments import (
    PAIRS,
    Estimate,
    Moments,
    estimate,
    of_rows,
    of_share,
    of_sums,
    pooled,
    quantile,
    share,
)
from lakeward.analysis.experiment.multiple import benjamini_hochberg, holm
from lakeward.analysis.experiment.power import (
    Plan,
    days,
    detectable,
    power_of,
    share_variances,
    units_needed,
)
from lakeward.analysis.experiment.ratio import fixed as fixed_split
from lakeward.analysis.experiment.ratio import sequential as sequential_split
from lakeward.errors import Rejected

FIVE = 0.000005 + 1e-9
"""Five digits after the point, as the vectors are published."""


def near(value: float | None, digits: float) -> bool:
    return value is not None and abs(value - digits) <= FIVE


def told(found: Measured | None) -> Measured:
    assert found is not None
    return found


# Published answers


def test_two_means_have_the_published_lift_interval_and_p() -> None:
    one = estimate(of_sums(3407, 1396.87, 52377.9767))
    other = estimate(of_sums(3461, 2422.7, 134698.29))
    found = frequentist.compare(one, other)
    lift = told(found.lift)
    assert near(lift.value, 0.70732)
    assert near(lift.low, -0.03526)
    assert near(lift.high, 1.44989)
    assert near(lift.p, 0.06191)
    assert near(told(found.difference).p, 0.02016)


def test_two_proportions_have_the_published_p() -> None:
    found = frequentist.compare(share(of_share(28, 14)), share(of_share(30, 16)))
    assert near(told(found.lift).p, 0.80707)


def test_the_chance_to_win_is_the_published_one() -> None:
    lift = effect.lift(share(of_share(100, 49)), share(of_share(100, 51)))
    belief = believe(lift)
    assert belief is not None
    assert near(belief.chance_to_win, 0.60918)


def test_the_confidence_sequence_is_the_published_one() -> None:
    found = sequential.compare(share(of_share(3000, 1396)), share(of_share(3461, 2422)))
    assert near(told(found.lift).low, 0.40098)
    assert near(told(found.lift).high, 0.60675)


def test_holm_gives_the_published_values() -> None:
    found = holm([0.01, 0.04, 0.03, 0.005, 0.55, 0.6])
    assert found == pytest.approx([0.05, 0.12, 0.12, 0.03, 1, 1], abs=1e-12)


# Others agree


def rows(seed: int, n: int, lift: float) -> np.ndarray:
    """Sessions, orders and revenue of users, before and in the experiment."""
    dice = np.random.default_rng(seed)
    taste = dice.lognormal(0, 0.6, n)
    before = dice.poisson(3 * taste) + 1
    orders_before = dice.binomial(before, 0.3)
    sessions = dice.poisson(3 * taste) + 1
    orders = dice.binomial(sessions, 0.3 * (1 + lift))
    revenue = orders * dice.lognormal(3, 0.7, n)
    return np.column_stack([revenue, orders, sessions, orders_before, before]).astype(float)


CONTROL, TREATMENT = rows(1, 1300, 0.0), rows(2, 900, 0.08)
NAMES = ("revenue", "orders", "sessions", "orders_before", "sessions_before")


def analysed(metric: tea_tasting.metrics.MetricBase) -> dict[str, float]:
    import pyarrow as pa

    whole = np.vstack([CONTROL, TREATMENT])
    arms = [0] * len(CONTROL) + [1] * len(TREATMENT)
    table = pa.table({"variant": arms, **{n: whole[:, k] for k, n in enumerate(NAMES)}})
    found = tea_tasting.Experiment({"m": metric}).analyze(table)["m"]
    return dict(found._asdict())


def arms(*columns: int, fields: Sequence[str]) -> list[Moments]:
    return [of_rows(data[:, columns].tolist(), fields) for data in (CONTROL, TREATMENT)]


def agree(mine: effect.Effect, theirs: dict[str, float]) -> None:
    difference = told(mine.difference)
    assert difference.value == pytest.approx(theirs["effect_size"], rel=1e-9)
    assert difference.low == pytest.approx(theirs["effect_size_ci_lower"], rel=1e-9)
    assert difference.high == pytest.approx(theirs["effect_size_ci_upper"], rel=1e-9)
    assert difference.p == pytest.approx(theirs["pvalue"], rel=1e-8)
    assert told(mine.lift).value == pytest.approx(theirs["rel_effect_size"], rel=1e-9)


def test_means_are_those_of_tea_tasting() -> None:
    one, other = (estimate(arm) for arm in arms(0, fields="y"))
    agree(frequentist.compare(one, other), analysed(tea_tasting.Mean("revenue")))


def test_ratios_are_those_of_tea_tasting() -> None:
    one, other = (estimate(arm) for arm in arms(1, 2, fields="yd"))
    agree(frequentist.compare(one, other), analysed(tea_tasting.RatioOfMeans("orders", "sessions")))


def test_means_with_a_covariate_are_those_of_tea_tasting() -> None:
    both = arms(1, 3, fields="yx")
    by = adjustment(both)
    one, other = (adjusted(arm, by) for arm in both)
    agree(
        frequentist.compare(one, other),
        analysed(tea_tasting.Mean("orders", covariate="orders_before")),
    )
    assert one.variance < estimate(both[0]).variance


def test_ratios_with_a_covariate_are_those_of_tea_tasting() -> None:
    both = arms(1, 2, 3, 4, fields="ydxz")
    by = adjustment(both)
    one, other = (adjusted(arm, by) for arm in both)
    agree(
        frequentist.compare(one, other),
        analysed(
            tea_tasting.RatioOfMeans(
                "orders", "sessions",
                numer_covariate="orders_before", denom_covariate="sessions_before",
            )
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("ratio", "lift"), [(1, 0.05), (0.25, 0.1), (3, 0.02)])
def test_power_is_that_of_tea_tasting(ratio: float, lift: float) -> None:
    import pyarrow as pa

    arm = of_rows(CONTROL[:, [0]].tolist(), "y")
    table = pa.table({"revenue": CONTROL[:, 0]})

    def solved(parameter: str, **more: float) -> float:
        metric = tea_tasting.Mean("revenue", ratio=ratio, power=0.8, alpha=0.05, **more)
        found = metric.solve_power(table, parameter)[0]
        name = "effect_size" if parameter == "rel_effect_size" else parameter
        return float(getattr(found, name))

    plan = Plan(share=ratio / (1 + ratio))
    if ratio == 1:  # of other ratios it begins below two units an arm, and fails
        assert units_needed(lift * arm.y, arm.yy, plan) == solved("n_obs", rel_effect_size=lift)
    found = detectable(7000, arm.yy, plan)
    assert found == pytest.approx(solved("rel_effect_size", n_obs=7000), rel=1e-6)
    power = power_of(lift * arm.y, 7000, arm.yy, plan)
    assert power == pytest.approx(solved("power", n_obs=7000, rel_effect_size=lift), rel=1e-6)


@pytest.mark.parametrize("units", [(5050, 4950), (10_000, 9_000), (9_111, 1_000), (900, 100)])
def test_a_sample_ratio_is_that_of_tea_tasting(units: tuple[int, int]) -> None:
    import pyarrow as pa

    planned = (9, 1) if units[0] > 5 * units[1] else (1, 1)
    table = pa.table({"variant": [0] * units[0] + [1] * units[1]})
    metric = tea_tasting.SampleRatio(planned[1] / planned[0], method="norm", correction=False)
    theirs = tea_tasting.Experiment(m=metric).analyze(table)["m"]
    assert fixed_split(units, planned).p == pytest.approx(theirs.pvalue, rel=1e-6)


def test_the_fixed_test_is_scipys_welch() -> None:
    one, other = (estimate(arm) for arm in arms(0, fields="y"))
    theirs = stats.ttest_ind(TREATMENT[:, 0], CONTROL[:, 0], equal_var=False)
    mine = told(frequentist.compare(one, other).difference)
    interval = theirs.confidence_interval()
    assert mine.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_benjamini_and_hochberg_is_that_of_scipy(values: list[float]) -> None:
    assert benjamini_hochberg(values) == pytest.approx(
        stats.false_discovery_control(values).tolist(), rel=1e-9, abs=1e-300
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
@settings(deadline=None)
def test_holm_is_the_closed_test_of_bonferroni(values: list[float]) -> None:
    """The largest, over all groups a test is in, of the group's Bonferroni p."""
    n = len(values)
    groups = [g for k in range(1, n + 1) for g in itertools.combinations(range(n), k)]
    closed = [
        max(min(1.0, len(g) * min(values[m] for m in g)) for g in groups if k in g)
        for k in range(n)
    ]
    assert holm(values) == pytest.approx(closed, rel=1e-12)


# Moments

NUMBER = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))
ROW = st.tuples(NUMBER, NUMBER, NUMBER, NUMBER)


@given(st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=4))
@settings(deadline=None)
def test_arms_put_together_are_what_all_rows_are(arms_: list[list[tuple[float, ...]]]) -> None:
    whole = pooled([of_rows(arm, "ydxz") for arm in arms_])
    plain = of_rows([row for arm in arms_ for row in arm], "ydxz")
    if plain.units == 0:
        assert whole.units == 0
        return
    for name in ("y", "d", "x", "z", *PAIRS):
        assert getattr(whole, name) == pytest.approx(getattr(plain, name), rel=1e-9, abs=1e-6)


def test_large_values_keep_their_spread() -> None:
    arm = of_rows([(1e9 + n % 2,) for n in range(1000)], "y")
    assert arm.yy == pytest.approx(0.25 * 1000 / 999, rel=1e-6)


def test_a_quantile_has_the_spread_of_its_order_statistics() -> None:
    found = quantile(400, 10.0, 9.0, 12.0, 1.96)
    assert found.error == pytest.approx(3 / 3.92)
    assert quantile(1, 10.0, None, None, 1.96).value is None


# What cannot be said

NOTHING = Estimate(0, None, 0.0)
FLAT = Estimate(50, 1.0, 0.0)


@pytest.mark.parametrize("compare", [frequentist.compare, sequential.compare])
@pytest.mark.parametrize("one", [NOTHING, FLAT, Estimate(1, 2.0, 0.0), Estimate(40, 0.0, 0.0)])
def test_of_nothing_nothing_is_said(compare: object, one: Estimate) -> None:
    assert callable(compare)
    for control, treatment in ((one, NOTHING), (NOTHING, one), (one, FLAT), (FLAT, one)):
        found = compare(control, treatment)
        for each in (found.difference, found.lift):
            assert each is None or (each.low is None and each.high is None and each.p is None)


def test_a_lift_on_a_control_near_zero_is_not_told() -> None:
    near_zero, other = Estimate(100, 0.3, 1.0), Estimate(100, 2.0, 1.0)
    assert frequentist.compare(near_zero, other).lift is None
    assert frequentist.compare(near_zero, other).difference is not None
    assert sequential.compare(Estimate(100, 0.9, 1.0), other).lift is None


def test_below_zero_more_is_towards_more() -> None:
    found = frequentist.compare(Estimate(100, -2.0, 1.0), Estimate(100, -1.0, 1.0))
    assert told(found.lift).value == 0.5


# Sequential


@given(
    st.integers(30, 10**7), st.integers(30, 10**7), st.floats(0.01, 0.99), st.floats(0.01, 0.99),
    st.sampled_from([0.9, 0.95, 0.99]),
)  # fmt: skip
@settings(deadline=None)
def test_the_always_valid_p_is_below_alpha_where_the_interval_leaves_zero_out(
    n: int, m: int, one: float, other: float, level: float
) -> None:
    control, treatment = (Estimate(k, v, v * (1 - v)) for k, v in ((n, one), (m, other)))
    found = told(sequential.compare(control, treatment, level).difference)
    assert found.p is not None
    assert found.low is not None
    assert found.high is not None
    leaves_out = found.low > 0 or found.high < 0
    if abs(found.p - (1 - level)) > 1e-9:
        assert leaves_out == (found.p < 1 - level)
    usual = told(frequentist.compare(control, treatment, level).difference)
    assert usual.low is not None
    if n + m > 300:
        assert found.low < usual.low


def test_an_arm_in_which_nothing_happened_yet_proves_nothing() -> None:
    """900 units of which 50 did and 60 of which none: no variance is no certainty."""
    busy, quiet = share(of_share(900, 50)), share(of_share(60, 0))
    found = told(sequential.compare(busy, quiet).difference)
    assert found.p is not None
    assert found.p > 0.5
    bare = told(sequential.measured(effect.difference(busy, quiet), 0.95))
    assert bare.p is not None
    assert bare.p < 0.01


@pytest.mark.parametrize("of_60", [0, 1, 59, 60])
def test_few_who_did_or_did_not_are_judged_about_as_exactly_as_fisher_does(of_60: int) -> None:
    whole = 50 if of_60 < 30 else 850
    found = told(
        frequentist.compare(share(of_share(900, whole)), share(of_share(60, of_60))).difference
    )
    table = [[whole, 900 - whole], [of_60, 60 - of_60]]
    assert found.p == pytest.approx(stats.fisher_exact(table).pvalue, abs=0.2)
    assert found.p is not None
    assert found.p > 0.05


def test_the_interval_is_tightest_near_its_tuning() -> None:
    widths = {n: sequential.width(n, 0.05, 5000) for n in (500, 5000, 50_000)}
    assert widths[5000] < min(widths[500], widths[50_000])
    assert widths[5000] == pytest.approx(3.035, abs=0.01)


# Bayesian


@given(st.floats(-2, 2), st.floats(0.05, 2), st.none() | st.floats(0.1, 3))
@settings(deadline=None, max_examples=40)
def test_a_belief_is_that_of_a_numeric_posterior(
    value: float, error: float, spread: float | None
) -> None:
    belief = believe(
        effect.Contrast(value, error, 100, 98.0), 0.95, None if spread is None else Prior(0, spread)
    )
    assert belief is not None
    grid = np.linspace(-16, 16, 400_001)
    weight = stats.norm.pdf(value, grid, error)
    weight *= 1.0 if spread is None else stats.norm.pdf(grid, 0, spread)
    weight /= weight.sum()
    assert belief.chance_to_win == pytest.approx(weight[grid > 0].sum(), abs=1e-3)
    assert belief.loss_if_shipped == pytest.approx((weight * np.maximum(0, -grid)).sum(), abs=1e-6)
    assert belief.loss_if_kept == pytest.approx((weight * np.maximum(0, grid)).sum(), abs=1e-6)
    between = (grid >= belief.low) & (grid <= belief.high)
    assert weight[between].sum() == pytest.approx(0.95, abs=1e-3)


def test_less_is_a_win_where_less_is_better() -> None:
    contrast = effect.Contrast(-0.2, 0.1, 100, 98.0)
    more, less = believe(contrast), believe(contrast, lower=True)
    assert more is not None
    assert less is not None
    assert more.chance_to_win == pytest.approx(1 - less.chance_to_win)
    assert more.loss_if_shipped == pytest.approx(less.loss_if_kept)


# Shares as planned


def test_a_split_is_held_against_its_plan_and_not_against_equal_shares() -> None:
    assert not fixed_split((9_020, 980), (90, 10)).broken
    assert not sequential_split((9_020, 980), (90, 10)).broken
    assert fixed_split((9_020, 980), (50, 50)).broken
    assert fixed_split((10_400, 9_600), (1, 1)).broken
    assert sequential_split((10_800, 9_200), (1, 1)).broken


def test_a_plainly_broken_split_is_found_among_few_units_and_a_small_fault_among_many() -> None:
    assert sequential_split((69, 51), (90, 10)).broken
    assert sequential_split((32, 26), (90, 10)).broken
    assert not sequential_split((52, 6), (90, 10)).broken
    assert sequential_split((24_235, 23_285), (1, 1)).broken
    assert not sequential_split((24_000, 23_520), (1, 1)).broken


def test_too_few_units_break_no_split() -> None:
    assert fixed_split((8, 0), (1, 1)).p is None
    assert sequential_split((0, 0), (1, 1)).p is None
    assert sequential_split((8, 0), (1, 1)).p == pytest.approx(0.9, abs=0.01)


@given(st.lists(st.integers(0, 400), min_size=2, max_size=4), st.lists(st.integers(1, 9),
       min_size=4, max_size=4))  # fmt: skip
@settings(deadline=None)
def test_the_bayes_factor_is_that_of_scipy(units: list[int], weights: list[int]) -> None:
    plan = np.array(weights[: len(units)]) / sum(weights[: len(units)])
    n = sum(units)
    planned = stats.multinomial.logpmf(units, n, plan)
    factors = [
        stats.dirichlet_multinomial.logpmf(units, near * plan, n) - planned
        for near in (100, 1_000, 10_000)
    ]
    p = sequential_split(units, weights[: len(units)]).p
    if n:
        against = np.logaddexp.reduce(factors) - math.log(3)
        assert p == pytest.approx(min(1.0, math.exp(-against)), rel=1e-6)


@pytest.mark.parametrize("planned", [(50,), (50, 0), (50, -1), (1, math.inf)])
def test_a_plan_that_fits_no_arms_is_refused(planned: tuple[float, ...]) -> None:
    with pytest.raises(Rejected, match=r"share"):
        fixed_split((5, 5), planned)


# Power


def test_a_share_needs_the_units_of_the_textbook() -> None:
    """10 % to 12 %, two sides, 80 %: 3,841 an arm by the normal approximation (Fleiss)."""
    one, other = share_variances(0.10, 0.02)
    needed = units_needed(0.02, one, Plan(), other)
    assert needed == pytest.approx(2 * 3839, abs=6)


def test_looking_always_costs_units_and_gains_what_is_promised() -> None:
    variance = 4.0
    fixed, always = (units_needed(0.2, variance, Plan(sequential=s)) for s in (False, True))
    assert 1.5 * fixed < always < 4 * fixed
    assert power_of(0.2, always, variance, Plan(sequential=True)) >= 0.8
    assert power_of(0.2, always - 2, variance, Plan(sequential=True)) < 0.8


@given(st.floats(0.001, 100), st.floats(0.01, 1e4), st.booleans(), st.floats(0.05, 0.95))
@settings(deadline=None, max_examples=40)
def test_the_units_needed_detect_the_effect(
    effect_: float, variance: float, sequentially: bool, part: float
) -> None:
    plan = Plan(sequential=sequentially, share=part)
    needed = units_needed(effect_, variance, plan)
    found = detectable(needed, variance, plan)
    assert found is not None
    assert found <= effect_ * (1 + 1e-6)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: units_needed(0, 1, Plan()), "`effect`"),
        (lambda: units_needed(math.nan, 1, Plan()), "`effect`"),
        (lambda: units_needed(1, -1, Plan()), "`variance`"),
        (lambda: units_needed(1e-12, 1e9, Plan()), "more units than there are"),
        (lambda: Plan(alpha=0), "`alpha`"),
        (lambda: Plan(power=1), "`power`"),
        (lambda: Plan(share=1.5), "`share`"),
        (lambda: Plan(tuning=0), "`tuning`"),
        (lambda: share_variances(0.9, 0.2), "0.9"),
    ],
)  # fmt: skip
def test_what_no_experiment_can_promise_is_refused(call: object, named: str) -> None:
    assert callable(call)
    with pytest.raises(Rejected, match=named):
        call()


def test_days_are_units_by_what_comes_in_a_day() -> None:
    assert days(7000, 500) == 14
    assert days(7000, 0) is None
    assert detectable(3, 1.0, Plan()) is None
    assert detectable(100, 0.0, Plan()) == 0
