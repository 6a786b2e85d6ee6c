"""What a basis makes of columns in small units and of columns that are nearly all zero."""

from __future__ import annotations

import numpy as np
import pytest

from mlcoop.model.basis import learn_basis


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_unit_changes_nothing(unit: float) -> None:
    """An invariant: standardised values and bent parts do not know the unit."""
    rng = np.random.default_rng(0)
    x = rng.gamma(1.0, 1.0, 300)[:, None]
    one, other = (learn_basis(v, weight=np.ones(300), smooth=True) for v in (x, unit * x))
    np.testing.assert_allclose(other.standardise(unit * x), one.standardise(x), rtol=1e-9)
    assert len(one.smooths) == len(other.smooths) == 1


def test_a_constant_is_worth_nothing() -> None:
    """By hand: 0.1 is no binary fraction, so its mean differs from it by rounding alone."""
    x = np.full((700, 1), 0.1)
    basis = learn_basis(x, weight=np.full(700, 0.3), smooth=True)
    assert np.abs(basis.standardise(x)).max() < 1e-9 and not basis.smooths


def test_a_line_is_not_bent() -> None:
    """Closed form: with nine zeros in ten every knot is zero, and a hinge at the least value is a
    line; a bent part would be rounding."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random(800) < 0.9, 0.0, rng.gamma(1.0, 1.0, 800))[:, None]
    assert not learn_basis(x, weight=np.ones(800), smooth=True).smooths
    half = np.where(rng.random(800) < 0.5, 0.0, rng.gamma(1.0, 1.0, 800))[:, None]
    (bent,) = learn_basis(half, weight=np.ones(800), smooth=True).smooths
    assert np.abs(bent.rotation).max() < 1e3


@pytest.mark.parametrize("levels", [3, 5])
def test_a_score_of_few_values_may_bend_and_yes_or_no_may_not(levels: int) -> None:
    """Planted: one log work in the middle of a score, none at its ends; least squares finds it."""
    rng = np.random.default_rng(0)
    score = rng.integers(levels, size=(600, 1)).astype(float)
    peak = np.where(score[:, 0] == levels // 2, 1.0, 0.0)
    basis = learn_basis(score, weight=np.ones(600), smooth=True)
    design = basis.design(basis.standardise(score))
    coef, *_ = np.linalg.lstsq(design, peak, rcond=None)
    left = peak - design @ coef
    assert left.var() < (1e-12 if levels == 3 else 0.2) * peak.var()  # of a line all is left
    assert not learn_basis(np.minimum(score, 1), weight=np.ones(600), smooth=True).smooths
