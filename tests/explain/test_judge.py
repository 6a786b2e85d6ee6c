"""What is judged of factors whose doubt is known: closed forms, of one row and exact spreads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from mlcoop.explain.judge import interval_widths, judge
from mlcoop.model.year_shocks import YearDoubt, freedom_with_years

FREEDOM, LEFT, SHARE = 40.0, 6.0, 0.75
VALUES = np.array([26.0, -8.0, 20.0, 0.5])
# spreads: five repeats 1.2 times the replicates', shocks of years twice, the posterior three times
WIDER = np.array([1.2, 2.0, 3.0, 1.0])


def exact(n: int, spread: np.ndarray, seed: int) -> np.ndarray:
    """Return columns of these standard deviations that do not move together, (n, 1, n_columns)."""
    drawn = np.random.default_rng(seed).normal(size=(n, len(spread)))
    columns = np.linalg.qr(drawn - drawn.mean(axis=0))[0] * np.sqrt(n - 1)
    return (columns * spread)[:, None]


@pytest.fixture(scope="module")
def explained() -> SimpleNamespace:
    return SimpleNamespace(
        values=VALUES[None],
        replicates=exact(300, np.ones(4), 0),
        draws=exact(100, np.array([0.9, 1.0, 3.0, 1.0]), 1),
        by_repeat=VALUES + exact(5, np.array([1.2, 0.5, 0.5, 0.5]), 2),
        freedom=FREEDOM,
        years=YearDoubt(np.array([1.0, 2.0, 1.0, 1.0]), np.array([0, SHARE, 0, 0]), LEFT),
    )


def test_a_factor_stands_out_by_the_widest_of_its_spreads(explained):
    """Student's t of a value over its widest spread, where years share it with their freedom."""
    table, *_ = judge(explained, {k: [k] for k in range(4)}, level=0.95, seed=0)
    of_years = freedom_with_years(SHARE, FREEDOM, LEFT)
    freedom = np.array([FREEDOM, of_years, FREEDOM, FREEDOM])
    p = 2 * stats.t.sf(np.abs(VALUES) / WIDER, freedom)
    # over 300 replicates the mean square is a three-hundredth below the variance
    assert table["null_p"].to_numpy() == pytest.approx(p, rel=0.05)
    assert table["null_q"].to_numpy() == pytest.approx(stats.false_discovery_control(table.null_p))
    assert table["above_null"].tolist() == [True, True, True, False]
    # a spread of less freedom counts as a wider one of the others'
    wider = WIDER * np.where(freedom < FREEDOM, stats.t.ppf(0.975, of_years) / 2.0211, 1)
    assert table["importance_se"].to_numpy() == pytest.approx(wider, rel=1e-3)
    # the share of the first, by the delta method: (28.5, 26, 26, 26) / 54.5^2 for each spread
    error = np.sqrt(((np.array([28.5, 26, 26, 26]) / 54.5**2 * wider) ** 2).sum())
    bounds = 26 / 54.5 + 2.0211 * error * np.array([-1, 1])
    assert table.loc[0, ["share_low", "share_high"]].to_list() == pytest.approx(bounds, rel=0.03)
    half, widening = interval_widths(explained, {str(k): [k] for k in range(4)}, 0.95)
    assert half == pytest.approx(stats.t.ppf(0.975, freedom))
    assert widening == pytest.approx([1, 2, 3, 1])


def test_orders_at_once_take_the_posterior_where_it_is_far_wider(
    explained,
):
    """By hand: 26 above 20 by 6 / sqrt(1.2^2 + 1) = 3.8 errors of the replicates, but by no more
    than 6 / sqrt(1.2^2 + 3^2) = 1.9 of the posterior; 20 above 0.5 by 6.2 of these."""
    _, _, _, _, orders = judge(explained, {k: [k] for k in range(4)}, level=0.95, seed=0)
    assert orders.told[0, 2] and not orders.at_once[0, 2]
    assert orders.told[2, 3] and orders.at_once[2, 3]
    assert orders.p[0, 2] == pytest.approx(stats.t.sf(6 / np.sqrt(2.44), FREEDOM), rel=0.02)
    assert not (orders.at_once & ~orders.told).any() and not orders.told[3].any()


def test_a_certain_factor_is_not_hidden_by_a_noisy_one_of_its_group():
    """The sum moves with the noisy one alone: 10 against a spread of 30, though one is 10 of 1."""
    found = SimpleNamespace(
        values=np.array([[10.0, 0.1, 5.0]]),
        replicates=exact(300, np.array([1.0, 30.0, 10.0]), 0),
        draws=exact(100, np.array([1.0, 30.0, 10.0]), 1),
        by_repeat=np.array([10.0, 0.1, 5.0]) + exact(5, np.full(3, 0.1), 2),
        freedom=FREEDOM,
        years=None,
    )
    own = judge(found, {k: [k] for k in range(3)}, level=0.95, seed=0)[0]["null_p"].to_numpy()
    players = {"both": [0, 1], "other": [2]}
    alone = judge(found, players, level=0.95, seed=0)[0]
    assert not alone["above_null"].any()
    table = judge(found, players, level=0.95, seed=0, parts={"both": own[:2], "other": own[2:]})[0]
    assert table["above_null"].tolist() == [True, False]
    assert table["null_p"].tolist() == pytest.approx([4 * own[0], own[2]])
