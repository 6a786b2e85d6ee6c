"""The next years' forecast: columns, storage, sums, surprises, scores, scenarios."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.forecast.calibrate import Outcome, calibrate
from mlcoop.forecast.next_years import (
    Backtest,
    FittedForecaster,
    find_surprises,
    fit_forecaster,
    forecast_totals,
    look_ahead,
    run_backtest,
)
from mlcoop.schema import FORECAST_CSV

FAST = {"n_estimators": 15}
COUNTRIES = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH"]
FOCUS = pd.DataFrame({"country_a": "AAA", "country_b": COUNTRIES[1:]})


def world(n_years: int = 13, growth: float = 0.1, countries: list[str] = COUNTRIES) -> pd.DataFrame:
    """Draw pairs (28) that all grow by the same share a year, with Poisson noise."""
    rng = np.random.default_rng(8)
    rows = [
        (a, b, 2000 + t, float(rng.poisson(np.exp(level + growth * t))))
        for a, b in itertools.combinations(countries, 2)
        for level in [rng.uniform(4, 7)]
        for t in range(n_years)
    ]
    return pd.DataFrame(rows, columns=["country_a", "country_b", "year", "works"])


@pytest.fixture(scope="module")
def backtest() -> Backtest:
    return run_backtest(world(), FOCUS, params=FAST)


@pytest.fixture(scope="module")
def model(backtest: Backtest) -> FittedForecaster:
    return fit_forecaster(world(), FOCUS, backtest, horizons=(1, 3), params=FAST)


def test_forecast_columns(model: FittedForecaster) -> None:
    table = model.predict(world(), FOCUS)
    assert list(table.columns[: len(FORECAST_CSV)]) == FORECAST_CSV
    assert sorted(table["year"].unique()) == [2013, 2015]
    assert (table["last_year"] == 2012).all()
    assert (
        (table["lower"] <= table["predicted"] + 0.5) & (table["upper"] >= table["predicted"] - 0.5)
    ).all()


def test_a_planted_growth_goes_on() -> None:
    # Planted truth: everything grows by exp(0.1) a year; sums are that to 3 %. Sixteen countries,
    # since a few hundred counts lean on drift, which adds and so falls short of a power.
    table = world(countries=[c * 3 for c in "ABCDEFGHIJKLMNOP"])
    tested = run_backtest(table, FOCUS, params=FAST)
    model = fit_forecaster(table, FOCUS, tested, horizons=(1, 3), params=FAST)
    ahead = model.predict(table, FOCUS)
    for years_ahead in (1, 3):
        part = ahead[ahead["year"] == 2012 + years_ahead]
        ratio = part["predicted"].sum() / part["last_observed"].sum()
        assert ratio == pytest.approx(np.exp(0.1 * years_ahead), rel=0.03)


def test_counts_are_counts(model: FittedForecaster) -> None:
    table = model.predict(world(), FOCUS)
    for bound in ("lower", "upper"):
        assert (table[bound] >= 0).all() and (table[bound] == table[bound].round()).all()
    assert (table["predicted"] >= 0).all()
    assert table["p_zero"].between(0, 1).all()
    # Planted: no pair of this world ever had a zero.
    assert (table["p_zero"] == 0).all()


def test_farther_years_are_less_sure() -> None:
    # Planted truth: logs walk at random by 0.15 a year, so three years ahead the spread of errors
    # is sqrt(3) of one year's, and nothing about the walk can be known.
    rng = np.random.default_rng(1)
    table = world(20, growth=0.0)
    walk = np.concatenate([np.cumsum(rng.normal(0, 0.15, 20)) for _ in range(28)])
    table["works"] = np.round(500 * np.exp(walk))
    tests = [run_backtest(table, FOCUS, horizon=h, params=FAST) for h in (1, 3)]
    model = fit_forecaster(table, FOCUS, tests, horizons=(1, 3), params=FAST)
    ahead = model.predict(table, FOCUS)
    width = (np.log1p(ahead["upper"]) - np.log1p(ahead["lower"])).groupby(ahead["year"]).mean()
    assert width[2022] > 1.2 * width[2020]


def test_stored_model_forecasts_the_same(model: FittedForecaster) -> None:
    again = FittedForecaster.from_json(json.loads(json.dumps(model.to_json())))
    pd.testing.assert_frame_equal(model.predict(world(), FOCUS), again.predict(world(), FOCUS))
    with pytest.raises(DataError, match="format 99"):
        FittedForecaster.from_json({**model.to_json(), "format": 99})


def test_levels_nest(model: FittedForecaster) -> None:
    wide, narrow = (model.predict(world(), FOCUS, level=level) for level in (0.95, 0.5))
    assert (wide["lower"] <= narrow["lower"]).all() and (wide["upper"] >= narrow["upper"]).all()


def test_years_ahead_that_cannot_be_tested_are_left_out() -> None:
    # Of 11 years the first to train from is column 2. So 4 years ahead is first forecast from
    # column 6, whose outcome is column 10, the last; 5 years ahead has no outcome left.
    table = world(11)
    found = look_ahead(table, FOCUS, origins=3, horizons=5, params=FAST)
    assert found.forecast is not None
    assert sorted(found.forecast["year"].unique()) == [2011, 2012, 2013, 2014]
    warned = [w for w in found.warnings if "No forecast 5 years ahead" in w]
    assert warned and "14 consecutive years" in warned[0]
    # Every year ahead is tested, has intervals and sums.
    assert list(found.metrics["horizons"]) == [1, 2, 3, 4]
    assert found.forecast["lower"].notna().all()
    assert found.totals is not None
    assert sorted(found.totals["year"].unique()) == [2011, 2012, 2013, 2014]
    near = look_ahead(table, FOCUS, origins=3, horizons=4, params=FAST)
    pd.testing.assert_frame_equal(found.forecast, near.forecast)
    assert not [w for w in near.warnings if "No forecast" in w]


def test_unfitted_horizon_is_refused(model: FittedForecaster) -> None:
    with pytest.raises(DataError, match=r"horizons \[2\] were not fitted"):
        model.predict(world(), FOCUS, horizons=(2,))


def test_totals(model: FittedForecaster) -> None:
    table = model.predict(world(), FOCUS, horizons=(1,))
    calibration = model.horizons[1].calibration
    assert calibration is not None
    totals = forecast_totals(table, calibration).set_index("total")
    assert set(totals.index) == {"focus", "all", *COUNTRIES}
    # The focus is the pairs of AAA, so both totals are the same sum.
    assert totals.loc["focus", "predicted"] == pytest.approx(totals.loc["AAA", "predicted"])
    assert totals.loc["all", "predicted"] == pytest.approx(table["predicted"].sum())
    inside = (totals["lower"] < totals["predicted"]) & (totals["predicted"] < totals["upper"])
    assert inside.all()
    # 28 pairs with mostly independent Poisson noise: the sum is surer than the sum of bounds.
    assert totals.loc["all", "upper"] < totals.loc["all", "naive_upper"]
    # Shocks that no pair's own bounds hold do not widen a sum beyond the sum of the bounds.
    wild = replace(calibration, world_shock=2.0, focus_shock=2.0)
    wide = forecast_totals(table, wild)
    np.testing.assert_array_equal(wide["lower"], wide["naive_lower"])
    np.testing.assert_array_equal(wide["upper"], wide["naive_upper"])
    # Coherence, pair by pair: a country's forecast is the sum over its row of the matrix, and the
    # rows together count every pair twice.
    for country in COUNTRIES:
        row = table[(table["country_a"] == country) | (table["country_b"] == country)]
        assert totals.loc[country, "predicted"] == pytest.approx(row["predicted"].sum())
    both = totals.loc[COUNTRIES, "predicted"].sum()
    assert both == pytest.approx(2 * totals.loc["all", "predicted"])
    # Of one country's pairs every partner has one, so its sum is that pair's row.
    mine = table[(table[["country_a", "country_b"]] == "AAA").any(axis=1)]
    partner = mine["country_a"].where(mine["country_a"] != "AAA", mine["country_b"])
    alone = forecast_totals(mine, calibration).set_index("total").loc[partner]
    for side in ("predicted", "lower", "upper"):
        np.testing.assert_array_equal(alone[side], mine[side])
    with pytest.raises(DataError, match="one year at a time"):
        forecast_totals(model.predict(world(), FOCUS), calibration)


def test_the_interval_of_a_sum_is_that_of_the_shock_its_pairs_share() -> None:
    """Tables: of Student's t with 20 degrees of freedom 90 % lie within 1.725, 50 % in 0.687."""
    ends = np.array([(i, j) for i in range(8) for j in range(i)])
    names, ones = np.array([f"C{i:02d}" for i in range(8)]), np.ones(len(ends))
    flat = np.zeros(len(ends), dtype=bool)
    past = [Outcome(1e4 * ones, 1e4 * ones, ones, flat, ends) for _ in range(41)]  # df 20
    still = calibrate(past)
    calm = {name: replace(b, own=np.zeros_like(b.own)) for name, b in still.bins.items()}
    calibration = replace(still, bins=calm, world_shock=0.1)
    table = pd.DataFrame(
        {
            "country_a": names[ends[:, 1]], "country_b": names[ends[:, 0]], "year": 2020,
            "predicted": 1e4, "median": 1e4, "lower": 0.0, "upper": 1e5, "restless": 1.0,
            "in_focus": False,
        }
    )  # fmt: skip
    for level, quantile in ((0.9, 1.725), (0.5, 0.687)):
        totals = forecast_totals(table, calibration, level=level, draws=20_000).set_index("total")
        for name, pairs in (("all", 28), ("C03", 7)):
            moved = np.log(totals.loc[name, ["lower", "upper"]].astype(float) / (pairs * 1e4))
            assert moved.tolist() == pytest.approx([-0.1 * quantile, 0.1 * quantile], rel=0.03)


def test_a_sum_of_pairs_that_are_each_likely_none_is_not() -> None:
    """Truth: Poisson counts of mean 0.02; fifty of them sum to some with probability 0.63."""
    ends = np.array([(i, j) for i in range(51) for j in range(i)])
    mean = np.full(len(ends), 0.02)
    rng = np.random.default_rng(3)
    none, one = np.zeros(len(ends), dtype=bool), np.ones(len(ends))
    past = [Outcome(mean, rng.poisson(mean) * 1.0, one, none, ends) for _ in range(6)]
    calibration = calibrate(past)
    lower, upper = calibration.interval(mean, one, none, 0.9)
    assert (upper == 0).all()  # each is none with probability 0.98
    names = np.array([f"C{i:02d}" for i in range(51)])
    table = pd.DataFrame(
        {
            "country_a": names[ends[:, 1]], "country_b": names[ends[:, 0]], "year": 2020,
            "predicted": mean, "median": mean, "lower": lower, "upper": upper, "restless": one,
            "in_focus": none,
        }
    )  # fmt: skip
    totals = forecast_totals(table, calibration).set_index("total")
    # Poisson's 95 % quantiles at means of 1 and of 25.5 (R: qpois(0.95, 1), qpois(0.95, 25.5))
    assert (totals.loc[names, "upper"] >= 3).all() and totals.loc["all", "upper"] >= 34
    # of one pair, its own bound
    single = forecast_totals(table.iloc[:1], calibration).set_index("total")
    assert (single["upper"] == 0).all()


def test_surprises_are_outside_and_last_year_only(backtest: Backtest) -> None:
    table = backtest.table.copy()
    last = table["year"] == table["year"].max()
    first = table.index[last][0]
    table.loc[first, "observed"] = 10 * table.loc[first, "upper"] + 100
    found = find_surprises(table)
    assert (found["year"] == table["year"].max()).all()
    assert found.loc[0, "observed"] == table.loc[first, "observed"]
    assert ((found["observed"] < found["lower"]) | (found["observed"] > found["upper"])).all()


def test_surprises_by_hand() -> None:
    # All pairs double every year: 100 % more are expected of all. A-B: 40 a year before, 60 were
    # forecast, 100 came, 20 above; A-C: none before, so no change in percent, 30 below its bound.
    history = pd.DataFrame(
        [(*p, 2000 + t, 2.0 ** (t + 3) - 1) for p in ("AB", "AC", "BC") for t in range(5)],
        columns=["country_a", "country_b", "year", "works"],
    )
    table = pd.DataFrame(
        [
            (2002, 2003, "A", "B", 9.0, 1.0, 1.0, 2.0, 1.0),  # an earlier year
            (2003, 2004, "A", "B", 100.0, 60.0, 50.0, 80.0, 40.0),
            (2003, 2004, "A", "C", 0.0, 50.0, 30.0, 70.0, 0.0),
            (2003, 2004, "B", "C", 30.0, 20.0, 10.0, 30.0, 20.0),  # on its bound
            (2003, 2004, "B", "D", 10.0, 20.0, 10.0, 30.0, 20.0),
        ],
        columns=[
            "origin", "year", "country_a", "country_b", "observed", "predicted", "lower", "upper",
            "persistence",
        ],
    ).assign(in_focus=True)  # fmt: skip
    found = find_surprises(table, history)
    assert (found["country_a"] + found["country_b"]).tolist() == ["AC", "AB"]
    assert found["last_observed"].tolist() == [0, 40]
    assert found["change_pct"].tolist() == pytest.approx([np.nan, 150], nan_ok=True)
    assert found["expected_change_pct"].tolist() == pytest.approx([np.nan, 50], nan_ok=True)
    assert found["shared_change_pct"].tolist() == pytest.approx([100, 100])
    assert found["ratio"].tolist() == pytest.approx([1 / 51, 101 / 61])
    assert find_surprises(table)["shared_change_pct"].isna().all()
