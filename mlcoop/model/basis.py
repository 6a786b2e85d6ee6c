"""Turn factors into columns of a log-linear model: linear, bent and product terms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

FEWEST_TO_BEND = 3  # values: scores of one to five may act above three, or in the middle, too
FEW_VALUES = 8  # up to which a factor's scale is as given
SMOOTH_KNOTS = 6
SMOOTH_COLUMNS = 4
OF_YEARS = 0.75
"""Share of a factor's variance between years from which it counts as one that varies over years
alone. It has few distinct values, so its effect is linear, it enters no product, and year shocks
are part of its standard error."""
Z_RANGE = 5.0  # beyond five standard deviations an effect is taken to be flat
LOGS = ("log", "started log")


class Term(NamedTuple):
    """What a fit has chosen to have: a bend, a product, or a scale for a factor."""

    kind: str
    columns: tuple[int, ...]


class Scale(NamedTuple):
    """Logarithm of one factor, from a start that is added first; lower values count as `floor`."""

    column: int
    floor: float
    start: float

    @property
    def term(self) -> Term:
        """How a fit names it."""
        return Term(LOGS[self.start > 0], (self.column,))

    def of(self, x: np.ndarray) -> np.ndarray:
        """Return values on this scale; NaN stays."""
        return np.log(np.maximum(x, self.floor) + self.start)


@dataclass(frozen=True)
class Smooth:
    """Bent part of one factor's effect: hinges at quantiles, free of any linear part."""

    column: int
    low: float
    high: float
    knots: np.ndarray
    linear: np.ndarray  # (2, n_hinges): constant and slope taken out of each hinge
    rotation: np.ndarray  # (n_hinges, n_columns)

    def values(self, z: np.ndarray) -> np.ndarray:
        """Return the columns for standardised values, flat beyond the range seen."""
        x = np.clip(z, self.low, self.high)
        hinges = np.maximum(x[:, None] - self.knots, 0.0)
        straight = self.linear[0] + x[:, None] * self.linear[1]
        return (hinges - straight) @ self.rotation


@dataclass(frozen=True)
class Basis:
    """Columns learnt from training rows: mean fill, scale, smooths and products.

    Attributes
    ----------
    mean, scale : arrays of shape (n_features,)
        Of the factors on their scales.
    smooths : tuple of Smooth
    products : tuple of (int, int)
    scales : tuple of Scale
        Of the factors that are not taken as given.
    of_years : frozenset of int
        Factors that move over years and hardly differ between pairs.
    """

    mean: np.ndarray
    scale: np.ndarray
    smooths: tuple[Smooth, ...] = ()
    products: tuple[tuple[int, int], ...] = ()
    scales: tuple[Scale, ...] = ()
    of_years: frozenset[int] = frozenset()

    @property
    def terms(self) -> frozenset[Term]:
        """Bends, products and scales."""
        bends = {Term("bend", (s.column,)) for s in self.smooths}
        products = {Term("product", p) for p in self.products}
        return frozenset(bends | products | {s.term for s in self.scales})

    def only(self, terms: Collection[Term]) -> Basis:
        """Return the basis with these bends and products and no others."""
        smooths = tuple(s for s in self.smooths if Term("bend", (s.column,)) in terms)
        products = sorted((t.columns[0], t.columns[1]) for t in terms if t.kind == "product")
        return replace(self, smooths=smooths, products=tuple(products))

    @property
    def drifts(self) -> tuple[int, ...]:
        """Factors in products, whose slopes may drift over the years in the fit beside them."""
        return tuple(sorted({column for pair in self.products for column in pair}))

    def standardise(self, X: np.ndarray) -> np.ndarray:
        """Return z-scores; a missing value is set to the training mean, so it has no effect."""
        X = _on_scales(X, self.scales)
        filled = np.where(np.isnan(X), self.mean, X)
        return np.clip((filled - self.mean) / self.scale, -Z_RANGE, Z_RANGE)

    def design(self, z: np.ndarray) -> np.ndarray:
        """Return all columns: constant, linear, smooths, products."""
        parts = [np.ones((len(z), 1)), z]
        parts += [s.values(z[:, s.column]) for s in self.smooths]
        if self.products:
            first, second = np.array(self.products).T
            parts.append(z[:, first] * z[:, second])
        return np.hstack(parts)

    def owners(self) -> list[tuple[int, ...]]:
        """Return the feature or features that own each column (the constant: none)."""
        owners: list[tuple[int, ...]] = [()]
        owners += [(k,) for k in range(len(self.mean))]
        for s in self.smooths:
            owners += [(s.column,)] * s.rotation.shape[1]
        return owners + list(self.products)

    def blocks(self) -> np.ndarray:
        """Return the penalty block of each column: linear terms share one, the rest have own."""
        blocks = [-1] + [0] * len(self.mean)
        block = 1
        for s in self.smooths:
            blocks += [block] * s.rotation.shape[1]
            block += 1
        return np.array(blocks + list(range(block, block + len(self.products))))


def _on_scales(X: np.ndarray, scales: Collection[Scale]) -> np.ndarray:
    if not scales:
        return X
    X = np.array(X, dtype=float)
    for scale in scales:
        X[:, scale.column] = scale.of(X[:, scale.column])
    return X


def learn_basis(
    X: np.ndarray,
    *,
    weight: np.ndarray,
    smooth: bool,
    scales: tuple[Scale, ...] = (),
    years: np.ndarray | None = None,
) -> Basis:
    """Learn means, scales and smooth terms.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), NaN where missing
    weight : array of shape (n_rows,)
    smooth : bool
        Whether factors with three distinct values or more get a bent part.
    scales : tuple of Scale
        Of the factors that are not taken as given.
    years : array of shape (n_rows,), optional
        Factors that move with them alone get no bent part.
    """
    X = _on_scales(X, scales)
    seen = ~np.isnan(X)
    total = np.maximum((weight[:, None] * seen).sum(axis=0), 1e-12)
    filled = np.where(seen, X, 0.0)
    mean = (weight[:, None] * filled).sum(axis=0) / total
    variance = (weight[:, None] * np.where(seen, (X - mean) ** 2, 0.0)).sum(axis=0) / total
    # relative to the mean, so that a factor in a small unit is no constant
    scale = np.sqrt(np.where(variance > (1e-9 * mean) ** 2, variance, 1.0))
    z = Basis(mean, scale).standardise(X)
    basis = Basis(mean, scale, scales=scales, of_years=of_years(z, weight, years))
    if not smooth:
        return basis
    bent = [k for k in range(z.shape[1]) if k not in basis.of_years]
    smooths = [s for k in bent if (s := _learn_smooth(z[seen[:, k], k], k))]
    return replace(basis, smooths=tuple(smooths))


def of_years(z: np.ndarray, weight: np.ndarray, years: np.ndarray | None) -> frozenset[int]:
    """Return the columns that move over years and hardly differ between the pairs of a year."""
    if years is None:
        return frozenset()
    code = np.unique(years, return_inverse=True)[1]
    size = np.maximum(np.bincount(code, weight), 1e-12)
    share = []
    for column in z.T:
        mean = np.bincount(code, weight * column) / size
        within = (weight * (column - mean[code]) ** 2).sum()
        of_all = (weight * (column - np.average(column, weights=weight)) ** 2).sum()
        share.append(of_all > 0 and within < (1 - OF_YEARS) * of_all)
    return frozenset(np.flatnonzero(share).tolist())


def _learn_smooth(z: np.ndarray, column: int) -> Smooth | None:
    values = np.unique(z)
    if len(values) < FEWEST_TO_BEND:
        return None
    low, high = np.quantile(z, [0.005, 0.995])
    knots = np.unique(np.quantile(z, np.linspace(0, 1, SMOOTH_KNOTS + 2)[1:-1]))
    x = np.clip(z, low, high)
    hinges = np.maximum(x[:, None] - knots, 0.0)
    straight = np.column_stack([np.ones(len(x)), x])
    linear, *_ = np.linalg.lstsq(straight, hinges, rcond=None)
    left, size, right = np.linalg.svd(hinges - straight @ linear, full_matrices=False)
    if size[0] < 1e-8 * np.linalg.norm(hinges):
        return None  # all knots at the least value: hinges are lines, and what is left is rounding
    kept = min(SMOOTH_COLUMNS, int((size > 1e-6 * size[0]).sum()))
    # wiggly directions are small in the hinges; keep half of that as a preference for smoothness
    rotation = right[:kept].T / np.sqrt(size[:kept] * size[0]) * np.sqrt(len(x))
    return Smooth(column, float(low), float(high), knots, linear, rotation)


def basis_shapley(
    basis: Basis, coef: np.ndarray, X: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the interventional Shapley values of one-feature terms and products, and the base."""
    z, zb = basis.standardise(X), basis.standardise(background)
    n_features = len(basis.mean)
    values = np.zeros(X.shape)
    first = 1 + n_features
    values += (z - zb.mean(axis=0)) * coef[1:first]
    for s in basis.smooths:
        last = first + s.rotation.shape[1]
        level = (s.values(zb[:, s.column]) @ coef[first:last]).mean()
        values[:, s.column] += s.values(z[:, s.column]) @ coef[first:last] - level
        first = last
    for k, (a, b) in enumerate(basis.products):
        mean_a, mean_b, joint = zb[:, a].mean(), zb[:, b].mean(), (zb[:, a] * zb[:, b]).mean()
        both = z[:, a] * z[:, b]
        values[:, a] += coef[first + k] * 0.5 * (z[:, a] * mean_b - joint + both - mean_a * z[:, b])
        values[:, b] += coef[first + k] * 0.5 * (mean_a * z[:, b] - joint + both - z[:, a] * mean_b)
    base = float((basis.design(zb) @ coef).mean())
    return values, base


def basis_interactions(
    basis: Basis, coef: np.ndarray, X: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Return the products' interventional Shapley interactions, shape (n_rows, n_products)."""
    z, zb = basis.standardise(X), basis.standardise(background)
    values = np.empty((len(X), len(basis.products)))
    first = len(coef) - len(basis.products)
    for k, (a, b) in enumerate(basis.products):
        joint = (zb[:, a] * zb[:, b]).mean()
        both = z[:, a] * z[:, b] - z[:, a] * zb[:, b].mean() - zb[:, a].mean() * z[:, b] + joint
        values[:, k] = coef[first + k] * both
    return values
