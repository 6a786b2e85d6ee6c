"""What earlier forecasts of a size have met, on counts whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from mlcoop.forecast.by_size import chance_of_zero, expected_works, fit_means, fit_zero_shares


def test_the_chance_of_a_zero_is_poissons_on_poisson_counts() -> None:
    # Truth: counts drawn from Poisson's law are zero with probability exp(-mean).
    rng = np.random.default_rng(3)
    mean = np.exp(rng.uniform(-3, 4, 40_000))
    sizes, shares = fit_zero_shares(mean, rng.poisson(mean).astype(float))
    asked = np.array([0.1, 0.3, 1.0, 2.0, 5.0, 30.0])
    assert chance_of_zero(sizes, shares, asked) == pytest.approx(np.exp(-asked), abs=0.04)
    # Invariant: a larger forecast is never likelier to be zero, be the larger the only zeros.
    assert (np.diff(chance_of_zero(sizes, shares, np.sort(mean))) <= 0).all()
    knots = fit_zero_shares(np.sort(mean), np.linspace(1, 0, len(mean)).round())
    assert chance_of_zero(*knots, asked) == pytest.approx(0.5, abs=0.001)


def test_large_pairs_of_a_small_study_have_not_the_zeros_of_the_small() -> None:
    # Truth: Poisson's law; 300 outcomes are those of 50 pairs and six origins.
    rng = np.random.default_rng(5)
    asked = np.array([0.2, 1.0, 20.0, 1000.0])
    found = []
    for _ in range(40):
        mean = np.exp(rng.normal(1, 2, size=300))
        found.append(chance_of_zero(*fit_zero_shares(mean, rng.poisson(mean) * 1.0), asked))
    gap = np.abs(np.array(found) - np.exp(-asked)).mean(axis=0)
    # a share of fifteen pairs has a standard error of 0.13 at most; in one heap all had 0.3
    assert (gap < [0.1, 0.1, 0.02, 0.001]).all(), gap


def skew_counts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return medians, means and outcomes: lognormal rates, the more restless the smaller."""
    median = np.exp(rng.uniform(0, 8, n))
    spread = 0.8 / (1 + median / 20)
    rate = median * np.exp(spread * rng.standard_normal(n))
    return median, median * np.exp(spread**2 / 2), rng.poisson(rate).astype(float)


def test_works_expected_are_the_mean_where_the_median_is_forecast() -> None:
    # Truth: the mean of a lognormal is exp(s^2 / 2) times its median.
    rng = np.random.default_rng(1)
    median, _, came = skew_counts(rng, 40_000)
    knots = fit_means(median, came, np.repeat(np.arange(8), 5_000))
    asked, mean, _ = skew_counts(rng, 40_000)
    found = expected_works(*knots, asked)
    for low, high in ((1, 3), (3, 10), (10, 30), (30, 3_000)):
        band = (asked >= low) & (asked < high)
        assert found[band].sum() == pytest.approx(mean[band].sum(), rel=0.03)
    assert asked[asked < 10].sum() < 0.85 * mean[asked < 10].sum()  # without, 15 % would lack
    np.testing.assert_array_equal(found[asked > 300], asked[asked > 300])
    # By what the small pairs of a year were off says nothing of the year: the same without others.
    small = median < 50
    knots = fit_means(median[small], came[small], np.zeros(small.sum(), dtype=int))
    low = asked < 10
    assert expected_works(*knots, asked[low]).sum() == pytest.approx(mean[low].sum(), rel=0.03)
    assert expected_works(np.array([0.0, 2.0]), np.log([0.5, 1.0]), np.zeros(1)) == [0]


def test_the_error_of_a_whole_year_is_no_matter_of_size() -> None:
    # By construction: every year was forecast 30 % or 10 % too high, small and large alike.
    rng = np.random.default_rng(2)
    mean = np.exp(rng.uniform(1, 8, 6_000))
    year = np.repeat([0, 1], 3_000)
    knots = fit_means(mean * np.where(year, 1.3, 1.1), rng.poisson(mean).astype(float), year)
    asked = np.geomspace(1, 3_000, 50)
    np.testing.assert_allclose(expected_works(*knots, asked), asked, rtol=0.03, atol=0.1)


def test_of_five_large_pairs_half_is_the_error_of_their_year() -> None:
    # By hand: they came at twice their forecast (plus one), so all are put up by the root of two.
    predicted = np.r_[np.full(1000, 9.0), np.full(5, 999.8)]
    observed = np.r_[np.full(1000, 9.0), np.full(5, 1999.8)]
    _, logs = fit_means(predicted, observed, np.zeros(1005, dtype=int))
    assert logs[0] == pytest.approx(np.log(10 / (1 + 9 * np.sqrt(2))))


@pytest.mark.parametrize("outcomes", [400, 900])
def test_few_outcomes_leave_forecasts_as_they_are(outcomes: int) -> None:
    median, _, came = skew_counts(np.random.default_rng(3), outcomes)
    knots = fit_means(median, came, np.zeros(outcomes, dtype=int))
    np.testing.assert_array_equal(expected_works(*knots, median), median)
