"""Intervals: nesting, whole numbers, coverage on exchangeable data, and sums."""

import numpy as np
import pytest

from mlcoop.model.intervals import (
    FOCUS_WIDEN,
    WIDEN,
    Calibration,
    Outcome,
    adapt,
    calibrate,
)


def outcomes(
    n_years: int, seed: int, *, pairs: int = 600, shock: float = 0.05, focus: int = 60
) -> list[Outcome]:
    """Draw years of forecasts whose log errors are exchangeable: a shock, then noise by size."""
    rng = np.random.default_rng(seed)
    ends = np.column_stack([np.arange(pairs) % 40, np.arange(pairs) % 37 + 40])
    size = np.exp(rng.uniform(1, 8, pairs))
    drawn = []
    for _ in range(n_years):
        spread = np.sqrt(0.08**2 + 1 / size)
        log_error = shock * rng.standard_normal() + spread * rng.standard_normal(pairs)
        observed = np.maximum(np.round((size + 1) * np.exp(log_error) - 1), 0)
        in_focus = np.arange(pairs) < focus
        drawn.append(Outcome(size, observed, np.ones(pairs), in_focus, ends))
    return drawn


def covered(calibration: Calibration, outcome: Outcome, level: float) -> np.ndarray:
    low, high = calibration.interval(outcome.predicted, outcome.restless, outcome.in_focus, level)
    return (outcome.observed >= low) & (outcome.observed <= high)


def test_intervals_nest_and_are_whole_numbers() -> None:
    # Invariant: a higher level never has a narrower interval.
    years = outcomes(8, 1)
    calibration = calibrate(years)
    widths = adapt(calibration, years[0])
    calibration = calibrate(years, widths)
    bounds = [
        calibration.interval(years[0].predicted, years[0].restless, years[0].in_focus, level)
        for level in (0.5, 0.8, 0.9, 0.95, 0.99)
    ]
    for (low, high), (lower, higher) in zip(bounds, bounds[1:], strict=False):
        assert (lower <= low).all() and (higher >= high).all()
    low, high = bounds[2]
    assert (low >= 0).all()
    assert (low == np.round(low)).all() and (high == np.round(high)).all()


def test_coverage_on_exchangeable_years() -> None:
    # Statistical: 60 seeded worlds, each calibrated on 10 years and checked on the next one. The
    # shock is shared, so worlds are the unit: the standard error of the mean over 60 is about
    # 0.006; 0.03 is five of them, and the finite number of years is allowed to widen, not narrow.
    shares, focus_shares = [], []
    for seed in range(60):
        years = outcomes(11, 100 + seed)
        inside = covered(calibrate(years[:10]), years[10], 0.9)
        shares.append(inside.mean())
        focus_shares.append(inside[years[10].in_focus].mean())
    assert 0.87 <= np.mean(shares) <= 0.94
    assert 0.87 <= np.mean(focus_shares) <= 0.95


def test_misses_widen_and_hits_narrow() -> None:
    years = outcomes(6, 3)
    calibration = calibrate(years[:5])
    hit = Outcome(
        years[5].predicted,
        np.round(years[5].predicted),
        years[5].restless,
        years[5].in_focus,
        years[5].ends,
    )
    miss = Outcome(hit.predicted, hit.predicted * 3 + 50, hit.restless, hit.in_focus, hit.ends)
    assert all(w < 1 for w in adapt(calibration, hit).values())
    assert all(w > 1 for w in adapt(calibration, miss).values())
    # Steps are bounded: from a width of one, a year of misses widens by the step of the bin.
    adapted = adapt(calibration, miss)
    assert adapted.pop("focus") == pytest.approx(np.exp(FOCUS_WIDEN))
    assert list(adapted.values()) == pytest.approx([np.exp(WIDEN)] * 4)


def test_a_shock_without_precedent_does_not_leave_the_large_pairs_bare() -> None:
    # Planted: nine calm years, then all pairs 8 % below; own noise of large pairs is 0.08. Without
    # a prior the reach is 1.645 * 0.08 = 0.132 and holds Phi(0.65) = 0.74; with five prior years of
    # 0.08 among 14 it is hypot(0.132, 0.048 * t(13)) = 0.157 and holds Phi(0.96) = 0.83.
    years = outcomes(9, 5, shock=0.0, pairs=3000)
    hit = outcomes(1, 6, shock=0.0, pairs=3000)[0]
    observed = np.round(hit.observed * np.exp(-0.08))
    struck = Outcome(hit.predicted, observed, hit.restless, hit.in_focus, hit.ends)
    large = hit.predicted > np.quantile(hit.predicted, 0.8)
    assert covered(calibrate(years), struck, 0.9)[large & ~hit.in_focus].mean() >= 0.79


def test_a_common_error_of_the_focus_set_that_goes_on_for_years_is_expected() -> None:
    # Planted: three calm origins, then the focus set 32 % below, as 8 % a year comes to in four.
    # Own noise is 0.08 to 0.6; with the prior of one year the shock's part of the reach is
    # 0.063 * t(7) = 0.12, with that of four years 0.48, which alone holds the fall.
    years = outcomes(3, 11, shock=0.0, pairs=3000, focus=300)
    hit = outcomes(1, 12, shock=0.0, pairs=3000, focus=300)[0]
    observed = hit.observed.copy()
    observed[:300] = np.maximum(np.round((observed[:300] + 1) * np.exp(-0.32) - 1), 0)
    struck = Outcome(hit.predicted, observed, hit.restless, hit.in_focus, hit.ends)
    large = hit.in_focus & (hit.predicted > 50)
    held = [covered(calibrate(years, horizon=h), struck, 0.9)[large].mean() for h in (1, 4)]
    assert held[0] < 0.5
    assert held[1] >= 0.9


def test_large_pairs_of_the_focus_set_are_held_as_often_as_small_ones() -> None:
    # Planted: a yearly shock of 12 % that all focus pairs share, whatever their size.
    shares = []
    for seed in range(40):
        years = outcomes(11, 700 + seed, shock=0.12, focus=200)
        inside = covered(calibrate(years[:10]), years[10], 0.9)[:200]
        large = years[10].predicted[:200] > np.median(years[10].predicted[:200])
        shares.append((inside[large].mean(), inside[~large].mean()))
    large_share, small_share = np.mean(shares, axis=0)
    assert large_share >= 0.85 and small_share >= 0.85


def test_sums_know_that_pairs_err_together() -> None:
    # Truth: with a shared shock of 0.10 the log error of a sum of 600 pairs has standard
    # deviation just above 0.10, so its 90 % interval is about +-0.165: far wider than
    # independence (about 0.01) and narrower than the sum of bounds.
    years = outcomes(40, 7, shock=0.10)
    calibration = calibrate(years)
    o = years[0]
    sample = calibration.draw(o.predicted, o.restless, o.in_focus, o.ends, draws=4000, seed=1).sum(
        axis=1
    )
    low, high = np.quantile(np.log(sample / o.predicted.sum()), [0.05, 0.95])
    assert 0.12 < (high - low) / 2 < 0.24
    bounds = calibration.interval(o.predicted, o.restless, o.in_focus, 0.9)
    naive = np.log(bounds[1].sum() / bounds[0].sum()) / 2
    assert (high - low) / 2 < naive


def test_few_pairs_are_calibrated_by_all() -> None:
    # Five focus pairs over three years cannot be a bin of their own.
    calibration = calibrate(outcomes(3, 9, focus=5))
    assert "focus" not in calibration.bins
    assert "focus" in calibrate(outcomes(3, 9, focus=60)).bins


def test_calibration_survives_json() -> None:
    calibration = calibrate(outcomes(5, 2), {"size0": 1.3})
    again = Calibration.from_json(calibration.to_json())
    o = outcomes(1, 4)[0]
    one = calibration.interval(o.predicted, o.restless, o.in_focus, 0.8)
    other = again.interval(o.predicted, o.restless, o.in_focus, 0.8)
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
