"""Intervals: nesting, whole numbers, coverage on exchangeable data, and sums."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mlcoop.forecast.calibrate import FOCUS_WIDEN, GRID, WIDEN, Outcome, adapt, calibrate
from mlcoop.forecast.intervals import Bin, Calibration


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


def by_hand(**changed) -> Calibration:
    """Return a calibration whose law is known: normal noise of 0.3, and shocks as given."""
    zero, bell = np.zeros(1), Bin(stats.norm.ppf(GRID), 0.0, 14, 1.0)
    given = {
        "sizes": zero,
        "spreads": np.log([0.3]),
        "edges": (),
        "bins": {"size0": bell},
        "world_shock": 0.0,
        "focus_shock": 0.0,
        "country_sizes": np.log1p([100.0, 10_000.0]),
        "country_shocks": zero.repeat(2),
        "zero_sizes": zero,
        "zero_shares": zero,
        "mean_sizes": zero,
        "mean_logs": zero,
        "origins": 41,  # Student's t with 20 degrees of freedom: 20 / 18 of the variance
    }
    return Calibration(**{**given, **changed})


def test_the_reach_of_an_interval_is_that_of_the_tables() -> None:
    # Tables: 95 % of a bell lie below 1.645, of Student's t with 13 degrees of freedom below 1.771.
    bell, none = stats.norm.ppf(GRID), np.zeros(len(GRID))
    noise = np.array([0.1])
    # (95 % and 99 % of it lie within 1.960 and 2.576; 200 quantiles hardly hold the last)
    for level, reach, off in ((0.9, 0.1645, 0.002), (0.95, 0.196, 0.002), (0.99, 0.2576, 0.02)):
        assert Bin(bell, 0.0, 14, 1.0).reach(noise, level) == pytest.approx([reach], rel=off)
    assert Bin(none, 0.2, 14, 1.0).reach(noise, 0.9) == pytest.approx([0.3542], rel=1e-3)
    assert Bin(bell, 0.2, 14, 2.0).reach(noise, 0.9) == pytest.approx(
        [2 * np.hypot(0.1645, 0.3542)], rel=0.01
    )
    # noise falls as a power of works plus one between its knots: from 1 at 1 to 1/10 at 100
    falling = by_hand(sizes=np.log([1.0, 100.0]), spreads=np.log([1.0, 0.1]))
    found = falling.noise(np.array([0.0, 9.0, 99.0, 999.0]), np.ones(4))
    assert found == pytest.approx([1, 10**-0.5, 0.1, 0.1])


def test_shocks_start_from_their_prior_which_grows_with_the_horizon() -> None:
    # By hand: five years without any error and five of the prior, 8 %, whose square is halved; in
    # four years it has doubled (the root), and that of a set has gone fourfold.
    years = [
        Outcome(o.predicted, o.predicted, o.restless, o.in_focus, o.ends) for o in outcomes(5, 3)
    ]
    for horizon, times in ((1, (1, 1)), (4, (2, 4))):
        bins = calibrate(years, horizon=horizon).bins
        found = [bins[name].shock / (0.08 * np.sqrt(0.5)) for name in ("size0", "focus")]
        assert found == pytest.approx(times)


def test_widths_settle_where_the_same_comes_every_year() -> None:
    # Closed form: w = w**0.5 * exp(step) at exp(2 * step); a focus set forgets nothing and runs to
    # the ends, 0.5 and 2.5.
    years = outcomes(6, 3)
    o = years[5]
    calibration = calibrate(years[:5])
    for observed, step, end in ((o.predicted.round(), -0.07, 0.5), (o.predicted * 99, 0.3, 2.5)):
        came = Outcome(o.predicted, observed, o.restless, o.in_focus, o.ends)
        moved = calibration
        for _ in range(40):
            widths = adapt(moved, came)
            bins = {name: replace(b, width=widths[name]) for name, b in moved.bins.items()}
            moved = replace(moved, bins=bins)
        assert widths == pytest.approx({**dict.fromkeys(widths, np.exp(2 * step)), "focus": end})


def test_joint_draws_have_the_variances_and_covariances_of_their_shocks() -> None:
    # Closed form: a pair's log has the countries' shocks, each by its total (A 10,000: 0.1; B, C
    # and D by straight lines in logs), and the rest of the noise of 0.3; what a set or the world
    # shares is added. Variances of shocks are 20 / 18 of their squares. s.e. of each is 1 %.
    predicted = np.array([5_000.0, 5_000.0, 1_000.0])
    ends = np.array([[0, 1], [0, 2], [2, 3]])
    shocks = np.interp(
        np.log1p([10_000.0, 5_000.0, 6_000.0, 1_000.0]), np.log1p([100.0, 10_000.0]), [0.18, 0.1]
    )
    heavy, ones = 20 / 18, np.ones(3)
    focus = np.array([True, True, False])
    for world, of_set in ((0.0, 0.0), (0.2, 0.1)):
        calibration = by_hand(
            country_shocks=np.array([0.18, 0.1]), world_shock=world, focus_shock=of_set
        )
        drawn = calibration.draw(predicted, ones, focus, ends, draws=40_000, seed=3)
        found = np.cov(np.log((drawn + 1) / (predicted + 1)), rowvar=False)
        both = (shocks[ends] ** 2).sum(axis=1)
        expected = np.diag(0.3**2 - both + heavy * both) + heavy * world**2
        expected[:2, :2] += heavy * of_set**2
        expected[0, 1] += heavy * shocks[0] ** 2
        expected[1, 2] += heavy * shocks[2] ** 2
        at = np.triu_indices(3)
        np.testing.assert_allclose(found[at], expected[at], rtol=0.05, atol=0.002)
    # twice as wide, and restless as twice: only the pair's own part moves
    wide = by_hand(bins={"size0": Bin(stats.norm.ppf(GRID), 0.0, 14, 2.0)})
    drawn = wide.draw(predicted, 2 * ones, focus, ends, draws=40_000, seed=3)
    assert np.log((drawn + 1) / (predicted + 1)).std(axis=0) == pytest.approx(
        0.6 * 2 ** np.minimum(np.log1p(predicted) / 8, 1), rel=0.03
    )


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
