"""Simple rules against hand calculation and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.tsa.holtwinters import Holt

from mlcoop.errors import DataError
from mlcoop.forecast.baselines import (
    BASELINES,
    SMOOTHING,
    country_growth,
    drift,
    forecast_baselines,
    group_growth,
    persist,
    ppml,
    smooth,
)
from mlcoop.forecast.history import build_history, years_with_counts
from mlcoop.schema import BASELINES as NAMES


def counts_of(rows: dict[str, list[float]], first: int = 2000) -> pd.DataFrame:
    """Return a long table; keys like "AB" name the two countries."""
    return pd.DataFrame(
        [
            {"country_a": key[0], "country_b": key[1], "year": first + i, "works": float(v)}
            for key, values in rows.items()
            for i, v in enumerate(values)
        ]
    )


def test_every_baseline_of_the_schema_is_there_in_its_order() -> None:
    assert tuple(BASELINES) == NAMES


def test_drift_by_hand() -> None:
    counts = np.array([[7.0, 1.0, 1.0, 3.0], [0.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 0.0]])
    # One year: 3+(3-1) = 5; zeros stay; 0-9, held at 0.
    assert drift(counts, 1) == pytest.approx([5, 0, 0])
    # Three years: 3+(3-7)/3 = 1.666667
    assert drift(counts, 3)[0] == pytest.approx(5 / 3)
    # Two years ahead: 3+2*(3-1) = 7
    assert drift(counts, 1, horizon=2)[0] == pytest.approx(7)
    # Only three steps are known, so five years become three.
    assert drift(counts, 5) == pytest.approx(drift(counts, 3))
    # Seen for two years, its drift over three is that over one: 6+(6-4) = 8.
    late = np.array([[np.nan, np.nan, 4.0, 6.0]])
    assert [drift(late, span)[0] for span in (1, 3)] == [8, 8]
    # Seen for three years, over two: 9+(9-4)/2 = 11.5; seen once, or never, there is none.
    others = np.array([[np.nan, 4.0, 6.0, 9.0], [np.nan] * 3 + [7.0], [np.nan] * 4])
    assert drift(others, 3) == pytest.approx([11.5, 7, np.nan], nan_ok=True)


def test_group_growth_by_hand() -> None:
    history = build_history(counts_of({"AB": [10, 20], "AC": [30, 40], "BC": [10, 10]}))
    # Totals: A 40 -> 60 (1.5), B 20 -> 30 (1.5), C 40 -> 50 (1.25).
    growth = country_growth(history.counts, history.ends, 3)
    assert growth == pytest.approx([1.5, 1.5, 1.25])
    # AB: 20 * sqrt(1.5*1.5) = 30; AC: 40 * sqrt(1.5*1.25) = 54.772256; BC: 13.693064
    expected = [30, 54.772256, 13.693064]
    assert group_growth(history.counts, history.ends, 3) == pytest.approx(expected, abs=1e-5)
    # A quarter each way: the mean with drift3, whose span is one year here.
    both = forecast_baselines(history, 2001)
    assert both["drift3_group"] == pytest.approx((both["drift3"] + both["group_growth"]) / 2)


def test_a_country_with_one_pair_grows_as_all_do() -> None:
    # A has both pairs (40 -> 60); B and C have one each and get 60/40 = 1.5 as well.
    history = build_history(counts_of({"AB": [10, 30], "AC": [30, 30]}))
    assert country_growth(history.counts, history.ends, 3) == pytest.approx([1.5] * 3)


def test_growth_from_nothing_is_not_known() -> None:
    # A had no work (0 -> 9), so it grows as all pairs do, 10 -> 25; B and C by 10 -> 19 and 22.
    history = build_history(counts_of({"AB": [0, 3], "AC": [0, 6], "BC": [10, 16]}))
    assert country_growth(history.counts, history.ends, 3) == pytest.approx([2.5, 1.9, 2.2])
    # Where no pair had any, the last count stays.
    first = build_history(counts_of({"AB": [0, 3], "AC": [0, 6]}))
    assert forecast_baselines(first, 2001, 2)["group_growth"] == pytest.approx([3, 6])


def test_every_rule_goes_as_far_as_the_horizon() -> None:
    # All pairs grow by a fifth a year, here to 100: closed forms three years later. Rules of growth
    # go on by it, drifts by 3 (100 - 100 / 1.2^n) / n.
    growing = [100 * 1.2 ** (t - 8) for t in range(9)]
    history = build_history(counts_of(dict.fromkeys(("AB", "AC", "BC"), growing)))
    drifts = {n: 100 + 3 * (100 - 100 / 1.2**n) / n for n in (1, 3, 5)}
    grown = 100 * 1.2**3
    known = {
        "persistence": 100,
        "drift1": drifts[1],
        "drift3": drifts[3],
        "drift5": drifts[5],
        "group_growth": grown,
        "drift3_group": (drifts[3] + grown) / 2,
        "ppml": grown,
    }
    found = forecast_baselines(history, 2008, 3)
    assert {n: v.tolist() for n, v in found.items() if n in known} == {
        n: pytest.approx([v] * 3, rel=1e-6) for n, v in known.items()
    }
    # Damped: between this growth of one year and that of three.
    assert ((found["smoothing"] > 1.25 * 100) & (found["smoothing"] < grown)).all()


def test_a_count_carried_forward_is_no_growth() -> None:
    # Planted: every pair grows by 20 %, and half of them lack the last count. By hand: the others
    # grew by 1.2, so a pair last seen at 250 is forecast at 300, as in a world without gaps.
    rows = {key: [250.0, 300.0] for key in ("AB", "AC", "AD", "BC", "BD", "CD")}
    full = build_history(counts_of(rows))
    gaps = build_history(
        counts_of({k: [v[0], np.nan if k in ("AB", "CD", "AD") else v[1]] for k, v in rows.items()})
    )
    assert country_growth(gaps.counts, gaps.ends, 4) == pytest.approx([1.2] * 4)
    forecast = forecast_baselines(gaps, 2001)
    seen = np.isfinite(gaps.counts[:, 1])
    whole = forecast_baselines(full, 2001)["group_growth"]
    assert forecast["group_growth"][seen] == pytest.approx(whole[seen])
    assert forecast["group_growth"][~seen] == pytest.approx(300.0)


@pytest.mark.parametrize("horizon", [1, 4])
def test_smoothing_equals_statsmodels(horizon: int) -> None:
    # Truth: statsmodels' damped Holt on the log counts for every setting of the constants, begun
    # so that its level in the first year is that year's log count, and averaged.
    rng = np.random.default_rng(3)
    counts = rng.poisson(np.exp(rng.uniform(1, 6, (6, 1)) + 0.08 * np.arange(15))).astype(float)
    counts[5, :4] = np.nan
    ours = smooth(counts, horizon)
    for row, value in zip(counts, ours, strict=True):
        logs = np.log1p(row[np.isfinite(row)])
        start = (logs[3] - logs[0]) / 3
        ahead = []
        for alpha, beta, phi in SMOOTHING:
            model = Holt(
                logs[1:],
                damped_trend=True,
                initialization_method="known",
                initial_level=logs[0],
                initial_trend=start,
            )
            fit = model.fit(
                smoothing_level=alpha, smoothing_trend=beta, damping_trend=phi, optimized=False
            )
            ahead.append(fit.forecast(horizon)[-1])
        assert value == pytest.approx(np.expm1(np.mean(ahead)), rel=1e-9)


def test_smoothing_damps_a_steady_growth() -> None:
    # On an exact line in logs a damped forecast lies between the last value and the line.
    logs = np.log(10) + 0.1 * np.arange(40)
    forecast = smooth(np.expm1(logs)[None, :])[0]
    assert np.expm1(logs[-1]) < forecast < np.expm1(logs[-1] + 0.1)
    # Falling to nothing, it stays there.
    assert smooth(np.array([[60.0, 12.0, 2.0, 0.0]]), horizon=3) == [0]
    # A constant has no trend: 50 stays 50 at any horizon.
    assert smooth(np.full((1, 9), 50.0), horizon=3) == pytest.approx([50.0])


def test_ppml_equals_statsmodels_poisson() -> None:
    # Truth: statsmodels GLM (Poisson, log link) on each pair's last five years, predicted ahead.
    rng = np.random.default_rng(5)
    pace = np.linspace(-0.7, 0.4, 20)[:, None]
    counts = rng.poisson(np.exp(rng.uniform(3, 5, (20, 1)) + pace * np.arange(-3, 5))).astype(float)
    t = np.arange(5.0)
    for horizon in (1, 3):
        ours = ppml(counts, horizon)
        for row, value in zip(counts, ours, strict=True):
            fit = sm.GLM(row[-5:], sm.add_constant(t), family=sm.families.Poisson()).fit()
            theirs = fit.predict([[1.0, 4.0 + horizon]])[0]
            assert value == pytest.approx(theirs, rel=1e-5)


def test_ppml_bears_zeros_and_gaps() -> None:
    counts = np.array([[0, 0, 0, 0, 0.0], [0, 0, 0, 0, 9.0], [np.nan, 4.0, 4.0, np.nan, 4.0]])
    forecast = ppml(counts)
    assert np.isfinite(forecast).all()
    assert forecast[0] == 0
    # One year alone: held to a trend of one log unit, of which the nine are the last of five.
    assert forecast[1] == pytest.approx(9 * np.e / np.exp(-np.arange(5.0)).sum())
    # A constant with gaps stays: effect 4, trend 0.
    assert forecast[2] == pytest.approx(4.0, abs=1e-6)


def test_baselines_read_nothing_after_the_origin() -> None:
    # Invariant: later columns may hold anything.
    rng = np.random.default_rng(1)
    rows = {k: list(rng.poisson(30, 12)) for k in ("AB", "AC", "BC")}
    history = build_history(counts_of(rows))
    scrambled = build_history(counts_of({k: v[:8] + [999.0] * 4 for k, v in rows.items()}))
    for horizon in (1, 2):
        one = forecast_baselines(history, 2007, horizon)
        other = forecast_baselines(scrambled, 2007, horizon)
        assert all(np.array_equal(one[n], other[n]) for n in one)


def test_persistence_is_the_last_count() -> None:
    assert persist(np.array([[3.0, 8.0]])).tolist() == [8.0]


def test_history_refuses_what_would_mislead() -> None:
    table = counts_of({"AB": [1, 2]})
    with pytest.raises(DataError, match="more than one row for A-B 2000"):
        build_history(
            pd.concat(
                [table, table.rename(columns={"country_a": "country_b", "country_b": "country_a"})]
            )
        )
    with pytest.raises(DataError, match="negative works for A-B 2001"):
        build_history(counts_of({"AB": [1, -2]}))
    with pytest.raises(DataError, match="none of X-Y is among the counts"):
        build_history(table, pd.DataFrame({"country_a": ["Y"], "country_b": ["X"]}))


def test_missing_is_not_zero() -> None:
    history = build_history(counts_of({"AB": [1, np.nan, 3], "AC": [np.nan, 5, 6]}))
    assert np.isnan(history.counts).sum() == 2
    forecast = forecast_baselines(history, 2000)
    # A-C was not seen by 2000: no forecast, rather than one from zero; of A-B the only count.
    assert all(np.isnan(values[1]) for values in forecast.values())
    assert {name: values[0] for name, values in forecast.items()} == pytest.approx(
        dict.fromkeys(BASELINES, 1.0)
    )
    # A year in which no pair has a count is none of the years known.
    open_end = pd.concat([counts_of({"AB": [1, np.nan, 3]}), counts_of({"AB": [np.nan]}, 2003)])
    assert build_history(open_end).years.tolist() == [2000, 2001, 2002]
    assert build_history(open_end).observed_years.tolist() == [2000, 2002]
    assert years_with_counts(open_end).tolist() == [2000, 2002]
