"""Spells of years without works: left out where they are too long for chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlcoop.model.learners import LEARNERS
from mlcoop.model.linear_boosting import LinearBoosting
from mlcoop.model.mixed_fit import MixedFit, Rows
from mlcoop.model.spells import RARE, _too_rare, without_spells
from mlcoop.model.training import Training, arrange

PAIRS, YEARS, FACTORS = 50, 10, 6
PAIR = np.repeat([f"AAA|P{p:02d}" for p in range(PAIRS)], YEARS)
YEAR = np.tile(2010 + np.arange(YEARS), PAIRS)


def planted(seed: int, level: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Poisson counts of 50 pairs over ten years with two effects of 0.5 and pair effects of 0.4."""
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.normal(size=(PAIRS, FACTORS)), YEARS, axis=0)
    noise = np.repeat(rng.normal(scale=0.4, size=PAIRS), YEARS)
    y = rng.poisson(level * np.exp(0.5 * X[:, 0] + 0.5 * X[:, 1] + noise)).astype(float)
    return pd.DataFrame(X), y


def training(X: pd.DataFrame, y: np.ndarray, order: np.ndarray | None = None) -> Training:
    order = np.arange(len(y)) if order is None else order
    return arrange(X.iloc[order], y[order], None, None, PAIR[order], YEAR[order], 10_000, 0)


def spells(seed: int, kind: str) -> np.ndarray:
    """The rows of ten pairs in which they have not begun, pause for three to five years, or are
    after a stop in the fourth to the seventh year."""
    rng = np.random.default_rng([seed, 1])
    gone = np.zeros((PAIRS, YEARS), dtype=bool)
    for pair in rng.permutation(PAIRS)[:10]:
        at, length = rng.integers(3, 7), rng.integers(3, 6)
        first, last = {"begin": (0, at), "pause": (1, 1 + length), "stop": (at, YEARS)}[kind]
        gone[pair, first:last] = True
    return gone.ravel()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["begin", "pause", "stop"])
def test_spells_leave_slopes_and_errors_as_if_those_years_were_not_there(kind, seed) -> None:
    """Against a fit that never saw them, twenty works a year; rows come in any order."""
    X, y = planted(seed, 20.0)
    gone = spells(seed, kind)
    order = np.random.default_rng(seed).permutation(len(y))
    data, found = without_spells(training(X, np.where(gone, 0.0, y), order))
    assert found >= set(zip(PAIR[gone], YEAR[gone].tolist(), strict=True))
    assert {p for p, _ in found} == set(PAIR[gone])  # zeros by chance beside a spell belong to it
    assert len(data.y) == len(y) - len(found) and len(data.starts) == PAIRS
    model = LinearBoosting(LEARNERS["linear_boosting"].defaults, 0)
    given = {"pairs": PAIR, "years": YEAR}
    fit = model.fit(X, np.where(gone, 0.0, y), **given).fit_
    kept = {k: v[~gone] for k, v in given.items()}
    other = LinearBoosting(model.params, 0).fit(X[~gone], y[~gone], **kept).fit_
    error = np.sqrt(np.diag(other.covariance)[1 : FACTORS + 1])
    assert (np.abs(fit.coef - other.coef)[1 : FACTORS + 1] < 0.3 * error).all()
    assert np.sqrt(np.diag(fit.covariance)[1 : FACTORS + 1]) == pytest.approx(error, rel=0.05)
    assert model.spells == found and model.refit(pd.Series(1.0, data.pair_names), 0).spells == found
    expected = np.exp(model.margin(X)).sum()  # over all years, those of spells too
    assert expected == pytest.approx(np.where(gone, 0.0, y).sum())


def test_a_pair_may_have_more_than_one_spell() -> None:
    """Works in three years alone, thirty each; zeros between them are two spells, one at an end."""
    X, y = planted(0, 30.0)
    alone = np.isin(PAIR, ["AAA|P00"])
    y[alone] = np.where(np.isin(YEAR[alone], [2012, 2013, 2018]), 30.0, 0.0)
    empty = [2010, 2011, 2014, 2015, 2016, 2017, 2019]
    assert without_spells(training(X, y))[1] == {("AAA|P00", year) for year in empty}


@pytest.mark.parametrize("level", [0.1, 0.3, 1.0, 5.0])
def test_years_without_works_by_chance_stay(level: float) -> None:
    """Poisson counts, many of which are zero: of a hundred worlds one should lose any."""
    for seed in range(8):
        data = training(*planted(seed, level))
        left, found = without_spells(data)
        assert left is data and not found


@pytest.mark.parametrize("kind", ["begin", "pause", "stop"])
def test_years_that_a_factor_of_the_panel_explains_stay(kind: str) -> None:
    """Ten pairs in some of whose years a ban multiplies works by exp(-6)."""
    X, y = planted(0, 20.0)
    banned = spells(0, kind)
    X[FACTORS] = banned.astype(float)
    y = np.where(banned, np.random.default_rng(1).poisson(y * np.exp(-6)), y).astype(float)
    assert (y[banned] == 0).mean() > 0.9
    assert not without_spells(training(X, y))[1]


def test_without_years_there_are_no_spells() -> None:
    X, y = planted(0, 20.0)
    data = arrange(X, np.where(spells(0, "stop"), 0.0, y), None, None, PAIR, None, 10_000, 0)
    assert without_spells(data) == (data, frozenset())


@pytest.mark.parametrize("works", [2, 5, 30])
@pytest.mark.parametrize("rate", [1.0, 3.0])
def test_of_few_works_little_is_known_of_the_years_after(works: int, rate: float) -> None:
    """Closed form: a level unknown before is gamma of the shape of a pair's works until then, so
    years that expect `rate` times as many are without any by (1 + rate) ** -works."""
    y = np.array([works, 0.0, works, works])
    offset = np.log([works, rate * works, works, works])
    rows = Rows(
        np.ones((4, 1)), np.array([-1]), y, offset, np.ones(4), np.array([0, 2]), np.arange(4) // 2
    )
    fit = MixedFit(
        coef=np.zeros(1),
        covariance=np.zeros((1, 1)),
        penalty=np.zeros(1),
        pair_variance=1e9,
        dispersion=0.0,
        scale=1.0,
        pair_effect=np.zeros(2),
        closeness=np.ones(2),
    )
    ended = np.array([False, True, False, False])
    assert _too_rare(rows, fit, ended)[0] == ((1 + rate) ** -works < RARE / len(y))


@pytest.mark.parametrize("dispersion", [0.0, 0.5])
@pytest.mark.parametrize("run", range(2, 15))
def test_a_run_is_too_rare_by_the_negative_binomial(run: int, dispersion: float) -> None:
    """scipy: the chance of so many zeros at a mean of 3, no pair with an effect of its own."""
    n = 40 + run
    y, pair = np.full(2 * n, 3.0), np.repeat([0, 1], n)
    ended = np.arange(2 * n) >= 2 * n - run
    y[ended] = 0
    one, zero = np.ones(2 * n), np.zeros(2 * n)
    rows = Rows(one[:, None], np.array([-1]), y, zero, one, np.array([0, n]), pair)
    fit = MixedFit(
        coef=np.log([3.0]),
        covariance=np.zeros((1, 1)),
        penalty=np.zeros(1),
        pair_variance=1e-9,
        dispersion=dispersion,
        scale=1.0,
        pair_effect=np.zeros(2),
        closeness=np.ones(2),
    )
    size = 1 / max(dispersion, 1e-9)
    chance = stats.nbinom.pmf(0, size, size / (size + 3.0)) ** run
    assert _too_rare(rows, fit, ended).tolist() == [False, chance < RARE / len(y)]
