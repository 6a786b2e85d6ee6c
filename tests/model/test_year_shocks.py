"""What the pairs of a year share, beside a regression on as many rows as there are years."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from mlcoop.explain.defence.coefficients import regression_table
from mlcoop.explain.defence.regression import regress
from mlcoop.explain.ranking import rank_factors
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.model.learners import LEARNERS
from mlcoop.model.year_shocks import Shocks, freedom_with_years, year_doubt, year_shocks
from mlcoop.scenario.file import Change, Move, Scenario
from mlcoop.scenario.model import ScenarioModel, fit_scenario_model, play_scenario
from mlcoop.stages.compute import fit_factor_model


def panel_of(seed, *, years=12, pairs=40, mean=1e5, shock=0.2, effect=0.0):
    """Return counts with levels of pairs, shocks of years, and an effect of the national factor."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"j": [f"p{k:02d}" for k in range(pairs)], "i": "home"})
    table = table.merge(pd.DataFrame({"t": np.arange(years) + 2000}), how="cross")
    pair, year = np.divmod(np.arange(len(table)), years)
    for name in ("national", "other", "third"):
        table[name] = rng.standard_normal(years)[year]
    table["distance"] = rng.standard_normal(pairs)[pair]
    level = 0.3 * rng.standard_normal(pairs)[pair] + shock * rng.standard_normal(years)[year]
    level += effect * table["national"]
    table["n"] = rng.poisson(mean * np.exp(level + 0.02 * rng.standard_normal(len(table))))
    return table


def matrix_of(table, factors):
    return matrix_from_ready_panel(table, pair=["i", "j"], year="t", target="n", factors=factors)


def by_year(table, factors):
    """Return the regression of the years' mean log counts on the standardised factors."""
    yearly = np.log(table["n"]).groupby(table["t"]).mean()
    x = table.assign(year=table["t"]).groupby("year")[factors].mean()
    return sm.OLS(yearly, sm.add_constant((x - x.mean()) / x.std(ddof=0))).fit()


@pytest.mark.parametrize("chance", [1.0, 4.0])
def test_shocks_are_of_the_size_that_was_drawn(chance):
    """Truth: what was drawn; of 8 years two are taken by the constant and a slope."""
    rng = np.random.default_rng(0)
    Z = np.kron(np.eye(8), np.ones((30, 1)))
    X = np.column_stack([np.ones(240), Z @ np.arange(8.0)])
    bread = np.linalg.inv(X.T @ X)
    found = []
    for _ in range(400):
        y = Z @ rng.normal(0, 0.5, 8) + np.sqrt(chance) * rng.standard_normal(240)
        residual = y - X @ (bread @ X.T @ y)
        found.append(year_shocks(Z.T @ Z, Z.T @ X, bread, Z.T @ residual, chance))
    assert found[0].left == pytest.approx(6)
    # 0.25 and, with the chance of a year's 30 rows in it, so much more; s.e. 0.008 to 0.012
    assert np.mean([s.variance for s in found]) == pytest.approx(0.25, abs=0.035)
    assert np.mean([s.most for s in found]) == pytest.approx(0.25 + chance / 30, abs=0.035)
    alike = year_shocks(Z.T @ Z, Z.T @ X, bread, np.zeros(8), chance)
    assert alike == pytest.approx((0, chance / 30, 6))  # years that by chance do not differ


def test_where_factors_take_every_year_nothing_is_told():
    """By construction: three years, and three columns that tell them apart."""
    eye = np.eye(3)
    shocks = year_shocks(30 * eye, 30 * eye, eye / 30, np.zeros(3))
    _, share = shocks.added(np.array([1 / 30]), np.array([1.0]))
    freedom = freedom_with_years(share, 50, shocks.left)
    assert share == 1 and freedom == shocks.left == 0.5
    assert stats.t.ppf(0.975, freedom) > 100  # standard errors


def test_doubt_of_two_kinds_by_hand():
    """Satterthwaite 1946: a sum of chi-squares is given the freedom that its two moments have."""
    a, b, many, few = 2.0, 3.0, 40, 5
    mean, variance = a + b, 2 * a**2 / many + 2 * b**2 / few
    assert freedom_with_years(b / mean, many, few) == pytest.approx(2 * mean**2 / variance)
    assert freedom_with_years(0.5, 10, 8) == 10  # never more than that of what is resampled
    # a shock of one moves the coefficient by 1, 1 and 2: 0.25 * 6 beside a variance of 1.5
    pull = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    doubt = year_doubt(Shocks(0.25, 0.3, 6), [1, 2], pull, np.array([1.5, 0.0]), 4)
    assert doubt.times == pytest.approx([1, np.sqrt(2), 1, 1])
    assert doubt.share == pytest.approx([0, 0.3 * 6 / 3, 0, 0])
    assert doubt.left == 6


@pytest.mark.parametrize("seed", range(3))
def test_a_factor_of_years_is_told_by_as_many_numbers_as_years(seed):
    """Truth: statsmodels, least squares on twelve yearly means; counts hardly vary beside."""
    factors = ["national", "distance"]
    table = panel_of(seed, effect=0.5)  # large, so that the prior does not shrink it
    matrix = matrix_of(table, factors)
    rows = matrix.rows
    learner = LEARNERS["linear_boosting"]
    fit = learner.make({**learner.defaults, "products": False}, 0).fit(
        matrix.X, rows["works"], pairs=rows["partner"].to_numpy(), years=rows["year"].to_numpy()
    )
    doubt = fit.year_doubt()
    spread = np.sqrt((fit._influences()[:, 1:3] ** 2).sum(axis=0))
    # 12 less a constant, a slope and, unless it has shrunk away, a trend
    with_trend = doubt.left < 9.5
    assert doubt.left == pytest.approx(9 if with_trend else 10, abs=0.5)
    of_years = by_year(table, ["national", "t"] if with_trend else ["national"])
    assert doubt.share == pytest.approx([1, 0], abs=0.02)
    assert doubt.times[1] == 1
    assert doubt.times[0] * spread[0] == pytest.approx(of_years.bse.iloc[1], rel=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_a_scenario_of_a_factor_of_years_is_as_uncertain_as_years_make_it(seed):
    """Truth: statsmodels on twelve yearly means, of one unit more; refits alone give a fiftieth."""
    table = panel_of(seed, effect=0.5)
    matrix = matrix_of(table, ["national", "distance"])
    fitted = fit_factor_model(matrix, LEARNERS["linear_boosting"], {"products": False}, 0)
    made = fit_scenario_model(matrix, None, fitted, unit="pair")
    model = ScenarioModel.from_json(json.loads(json.dumps(made.to_json())), made.rows)
    forecast = model.rows[["country_a", "country_b", "in_focus"]]
    forecast = forecast.assign(year=2012, predicted=100.0, lower=90.0, upper=110.0, level=0.9)
    scenario = Scenario(changes=[Change(factor="national", pairs="all", add=1.0)])
    move = Move(("national",), None, None, False, None, "add", 1.0, "")
    row = play_scenario(scenario, model, forecast, [move]).table.iloc[0]
    low, high = np.log1p(row[["difference_lower", "difference_upper"]].astype(float) / 100)
    by_years = by_year(table, ["national"])
    unit = table.groupby("t")["national"].mean().std(ddof=0)
    half = stats.t.ppf(0.95, by_years.df_resid) * by_years.bse.iloc[1] / unit
    assert (high - low) / 2 == pytest.approx(half, rel=0.5)  # sixteen refits: s.e. 18 %


def test_ppml_tests_a_factor_of_years_as_a_regression_on_years_does():
    """Truth: p-values of statsmodels on twelve yearly means; errors by pair alone give nearly 0."""
    columns = {"national": [0], "distance": [1]}
    for seed in range(6):
        table = panel_of(seed)
        matrix = matrix_of(table, list(columns))
        found = regression_table(
            matrix, regress(matrix, seed=0), matrix.X, columns, unit="pair", level=0.95
        )
        # Poisson weighs pairs and years by their works, so it is not quite the same regression
        expected = by_year(table, ["national"]).pvalues.iloc[1]
        assert found.loc["national", "ppml_p"] == pytest.approx(expected, abs=0.15)


def test_factors_of_years_are_not_found_in_shocks_of_years():
    """Planted truth: nothing has an effect. Before, two factors of years stood above in each."""
    for seed in (2, 7):
        factors = ["national", "other", "third", "distance"]
        matrix = matrix_of(panel_of(seed, mean=50), factors)
        ranking = rank_factors(matrix, "linear_boosting", resamples=20, seed=0)
        assert not ranking.factors["above_null"].any()
        assert ranking.notes["of_years"] == dict.fromkeys(factors[:3], 12)


def test_a_factor_of_years_is_straight_and_joins_with_no_other():
    """By construction: works follow a parabola of one figure and a product of two, all of years."""
    table = panel_of(1, years=16, mean=200, shock=0.0)
    a, b = table["national"], table["other"]
    table["n"] = np.random.default_rng(2).poisson(50 * np.exp(0.4 * a**2 + 0.5 * a * b))
    matrix = matrix_of(table, ["national", "other", "distance"])
    rows = matrix.rows
    learner = LEARNERS["linear_boosting"]
    fit = learner.make(dict(learner.defaults), 0).fit(
        matrix.X, rows["works"], pairs=rows["partner"].to_numpy(), years=rows["year"].to_numpy()
    )
    assert not {t for t in fit.terms if set(t.columns) <= {0, 1}}
