"""Years without works at the end of a pair: left out where they are too many for chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlcoop.model.learners import LEARNERS
from mlcoop.model.linear_boosting import LinearBoosting
from mlcoop.model.mixed_fit import MixedFit, Rows
from mlcoop.model.stopped import RARE, _stopped, while_active
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


def stops(seed: int) -> np.ndarray:
    """The rows from some year between the fourth and the seventh on of ten pairs."""
    rng = np.random.default_rng([seed, 1])
    last = zip(rng.permutation(np.unique(PAIR))[:10], rng.integers(2013, 2017, 10), strict=True)
    year = dict(last)
    return np.array([y >= year.get(p, np.inf) for p, y in zip(PAIR, YEAR, strict=True)])


@pytest.mark.parametrize("seed", range(3))
def test_pairs_that_stop_leave_slopes_and_errors_as_if_those_years_were_not_there(seed) -> None:
    """Against a fit that never saw them, twenty works a year; rows come in any order."""
    X, y = planted(seed, 20.0)
    gone = stops(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    data, names = while_active(training(X, np.where(gone, 0.0, y), order))
    assert names == set(PAIR[gone])
    assert len(data.y) <= (~gone).sum() and len(data.starts) == PAIRS
    model = LinearBoosting(LEARNERS["linear_boosting"].defaults, 0)
    given = {"pairs": PAIR, "years": YEAR}
    fit = model.fit(X, np.where(gone, 0.0, y), **given).fit_
    kept = {k: v[~gone] for k, v in given.items()}
    other = LinearBoosting(model.params, 0).fit(X[~gone], y[~gone], **kept).fit_
    error = np.sqrt(np.diag(other.covariance)[1 : FACTORS + 1])
    assert (np.abs(fit.coef - other.coef)[1 : FACTORS + 1] < 0.3 * error).all()
    assert np.sqrt(np.diag(fit.covariance)[1 : FACTORS + 1]) == pytest.approx(error, rel=0.05)
    assert model.stopped == names and model.refit(pd.Series(1.0, names), 0).stopped == names
    expected = np.exp(model.margin(X)).sum()  # over all years, those after the last work too
    assert expected == pytest.approx(np.where(gone, 0.0, y).sum())


@pytest.mark.parametrize("level", [0.1, 0.3, 1.0, 5.0])
def test_years_without_works_by_chance_stay(level: float) -> None:
    """Poisson counts, many of which end with zeros: of a hundred worlds one should lose any."""
    for seed in range(8):
        data = training(*planted(seed, level))
        active, names = while_active(data)
        assert active is data and not names


def test_years_that_a_factor_of_the_panel_explains_stay() -> None:
    """Eight pairs in whose years from some on a ban multiplies works by exp(-6)."""
    X, y = planted(0, 20.0)
    banned = stops(0)
    X[FACTORS] = banned.astype(float)
    y = np.where(banned, np.random.default_rng(1).poisson(y * np.exp(-6)), y).astype(float)
    assert (y[banned] == 0).mean() > 0.9
    assert not while_active(training(X, y))[1]


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
    assert _stopped(rows, fit, ended)[0] == ((1 + rate) ** -works < RARE / 2)


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
    assert _stopped(rows, fit, ended).tolist() == [False, chance < RARE / 2]
