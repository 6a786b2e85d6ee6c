"""The default learner: log-linear with pair effects, and shallow boosting where pairs are many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.model.basis import Basis, Term, basis_interactions, basis_shapley, learn_basis
from mlcoop.model.loglinear import fit_mixed
from mlcoop.model.mixed_doubt import draw_coef, pair_influences, without_pair_levels
from mlcoop.model.mixed_fit import MixedFit, Rows
from mlcoop.model.mixed_rows import mixed_rows
from mlcoop.model.scales import scales_of
from mlcoop.model.shallow import read_shallow, shallow_interactions
from mlcoop.model.spatial import knows_places
from mlcoop.model.spells import without_spells
from mlcoop.model.training import MANY_PAIRS, Training, arrange, expected_works
from mlcoop.model.trees import BinnedRows, fit_trees, predict_margin, tree_shapley
from mlcoop.model.year_shocks import YearDoubt, year_doubt, year_shocks

Params = dict[str, Any]
MOST_PRODUCT_FEATURES = 15
# Trees tell one pair from another by its standing factors. With few pairs they learn the pairs'
# own noise and give it to the factors; the terms of the log-linear part are then all there is.
FEWEST_PAIRS_TO_BOOST = MANY_PAIRS


class LinearBoosting:
    """Log-linear part with lasting pair effects, and shallow boosting of what it leaves.

    Parameters
    ----------
    params : dict
        `smooth`, `products` (bool): bent and product terms in the log-linear part; each stays
        only if it stands out of chance. With `smooth` and few pairs skew factors are taken in logs
        where that explains more. `terms`, where given: the terms and scales to have instead.
        `trees` and the settings of the trees: 0 trees for none.
        `most_rows`: rows drawn for fitting when there are more.
    seed : int

    Notes
    -----
    Lasting pair effects absorb what factors cannot explain of a pair, so that a pair that stands
    out for reasons of its own does not lend its weight to whichever factors it happens to have.
    They are for fitting only: margins and Shapley values are of the factors alone.

    With many pairs (`FEWEST_PAIRS_TO_BOOST`) the log-linear part is PPML without lasting effects,
    and trees take the place of bent and product terms. Measured on China and 66 Belt and Road
    countries, trained on all pairs of 126: deviance explained on held-out focus pairs 0.86 (mean of
    twelve splits), boosted trees alone 0.86, PPML 0.81; of held-out pairs of the world 0.964, 0.956
    and 0.947; see `docs/defence.md`.

    Refits grow the trees again. With splits kept and only leaves fitted again a refit takes a tenth
    of the time, but the uncertainty of the splits is lost: see `docs/tried-rankings.md`.
    """

    def __init__(self, params: Params, seed: int) -> None:
        self.params, self.seed = params, seed
        self.spells: frozenset[tuple[str, int]] = frozenset()
        """Training pairs and years without works that are left out of the fit."""
        self._pulls: np.ndarray | None = None

    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        *,
        exposure: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        pairs: np.ndarray | None = None,
        years: np.ndarray | None = None,
    ) -> LinearBoosting:
        """Fit on rows of factors and counts."""
        given = (X, y, exposure, weight, pairs, years)
        data = arrange(*given, self.params["most_rows"], self.seed)
        many = len(data.pair_names) >= FEWEST_PAIRS_TO_BOOST
        boost = bool(many and self.params["trees"])
        self.level_data_ = data
        if not many:
            data, self.spells = without_spells(data)
        terms = self.params.get("terms")
        smooth = self.params["smooth"] and not boost
        scales = scales_of(data, terms) if smooth and not many else ()
        basis = learn_basis(
            data.X, weight=data.weight, smooth=smooth, scales=scales, years=data.years
        )
        if terms is not None and not boost:
            basis = basis.only(terms)
        rows = mixed_rows(basis, data, nuisance=not boost)
        cuts = _cuts(basis, self.params) if terms is None else None
        fit = fit_mixed(rows, z_cut=cuts, poisson=boost)
        if terms is None and self.params["products"] and len(basis.mean) > 1 and not boost:
            basis = _with_products(basis, fit)
            rows = mixed_rows(basis, data)
            fit = fit_mixed(rows, z_cut=_cuts(basis, self.params))
        if not boost:  # with trees no term has been dropped
            basis, rows, fit = _without_dropped(basis, data, fit)
        self.data_, self.rows_, self.basis_, self.fit_ = data, rows, basis, fit
        self.binned_ = None
        if boost:
            self.level_data_ = arrange(*given, self.params["tree_rows"], self.seed)
            self.binned_ = BinnedRows(self.level_data_.X, self.level_data_.y)
        self._boost(None, self.seed)
        return self

    def refit(self, multiplicity: pd.Series, seed: int) -> LinearBoosting:
        """Return a copy with training pairs reweighted; terms and variances are kept."""
        copy = LinearBoosting(self.params, seed)
        times = multiplicity.reindex(self.data_.pair_names).to_numpy(float)
        copy.data_, copy.rows_, copy.basis_ = self.data_, self.rows_, self.basis_
        move = (times - 1) @ self._influences()
        copy.fit_ = replace(self.fit_, coef=self.fit_.coef + move)
        copy.level_data_, copy.binned_ = self.level_data_, self.binned_
        copy.spells = self.spells
        copy._boost(multiplicity, seed)
        return copy

    @property
    def has_posterior(self) -> bool:
        """Whether `draw` holds all uncertainty of the fit: not where trees are part of it."""
        return self.booster_ is None

    def draw(self, seed: int) -> LinearBoosting:
        """Return a copy with coefficients drawn from their posterior."""
        copy = LinearBoosting(self.params, seed)
        copy.data_, copy.rows_, copy.basis_ = self.data_, self.rows_, self.basis_
        coef = draw_coef(self.fit_, np.random.default_rng(seed))
        copy.fit_, copy.booster_ = replace(self.fit_, coef=coef), self.booster_
        copy.level_, copy.spells = self.level_, self.spells
        return copy

    @property
    def terms(self) -> frozenset[Term]:
        """Bends, products and scales that the fit has."""
        return self.basis_.terms

    @property
    def apart(self) -> frozenset[str]:
        """Training pairs without works that hardly count, since others like them have many."""
        return frozenset(self.data_.pair_names[self.fit_.apart])

    @property
    def spatial(self) -> bool:
        """Whether the fit has effects that near countries share."""
        return self.booster_ is None and knows_places(self.data_.pair_names)

    def _coef(self) -> np.ndarray:
        """Coefficients of the factors' columns, without countries, years and pairs."""
        return self.fit_.coef[: len(self.basis_.blocks())]

    def year_doubt(self) -> YearDoubt | None:
        """Return how year shocks widen the standard errors of factors that vary over years alone.

        None where there are no such factors. Resampling pairs does not show what all pairs of a
        year share: a factor that is the same for all of them, such as a focal country's own
        figures, has only as many independent observations as there are years.
        """
        years, of_years = self.data_.years, sorted(self.basis_.of_years)
        if years is None or not of_years:
            return None
        rows, fit = self.rows_, self.fit_
        used = np.flatnonzero(np.isfinite(fit.penalty))
        used = used[used < rows.design.shape[1] - rows.years]
        design = rows.design[:, used]
        times, response = without_pair_levels(rows, fit)
        weighted = times(design)
        bread = np.linalg.inv(design.T @ weighted + np.diag(fit.penalty[used] + 1e-9))
        Z = np.eye(len(np.unique(years)))[np.unique(years, return_inverse=True)[1]]
        left = response - design @ (bread @ (weighted.T @ response))
        shared = Z.T @ weighted
        shocks = year_shocks(Z.T @ times(Z), shared, bread, Z.T @ times(left[:, None])[:, 0])
        pull = np.zeros((len(shared), rows.design.shape[1]))
        pull[:, used] = shared @ bread
        columns = 1 + np.array(of_years)
        variance = (self._influences()[:, columns] ** 2).sum(axis=0)
        return year_doubt(shocks, of_years, pull[:, columns], variance, len(self.basis_.mean))

    def _influences(self) -> np.ndarray:
        if self._pulls is None:
            self._pulls = pair_influences(self.rows_, self.fit_)
        return self._pulls

    def _boost(self, multiplicity: pd.Series | None, seed: int) -> None:
        """Set the level so that expected works add up to the observed, then boost from there.

        The mean of works lies above the exponential of the mean log, which lasting effects of
        pairs move; forecasts and deviance are about the mean of works.
        """
        data = self.level_data_
        weight = data.weight
        if multiplicity is not None:
            weight = weight * multiplicity.reindex(data.pair_names).to_numpy(float)[data.pair]
        margin = self._linear_margin(data.X)
        expected = (weight * np.exp(np.clip(margin + data.offset, -25, 25))).sum()
        observed = (weight * data.y).sum()
        self.level_ = float(np.log(max(observed, 1e-6) / expected)) if expected > 0 else 0.0
        self.booster_ = None
        if self.binned_ is not None:
            self.booster_ = fit_trees(
                self.binned_,
                base_margin=margin + self.level_ + data.offset,
                weight=weight,
                params=self.params,
                seed=seed,
            )

    def _linear_margin(self, values: np.ndarray) -> np.ndarray:
        return self.basis_.design(self.basis_.standardise(values)) @ self._coef()

    def margin(self, X: pd.DataFrame) -> np.ndarray:
        """Return log expected works per exposure, shape (n_rows,)."""
        values = np.asarray(X, dtype=float)
        margin = self._linear_margin(values) + self.level_
        return margin if self.booster_ is None else margin + predict_margin(self.booster_, values)

    def predict(self, X: pd.DataFrame, *, exposure: np.ndarray | None = None) -> np.ndarray:
        """Return expected works, shape (n_rows,)."""
        return expected_works(self.margin(X), exposure)

    def shap_values(self, X: pd.DataFrame, background: pd.DataFrame) -> tuple[pd.DataFrame, float]:
        """Return interventional Shapley values on the log scale, and the base value."""
        x, b = np.asarray(X, dtype=float), np.asarray(background, dtype=float)
        values, base = basis_shapley(self.basis_, self._coef(), x, b)
        base += self.level_
        if self.booster_ is not None:
            more, level = tree_shapley(self.booster_, x, b)
            values, base = values + more, base + level
        return pd.DataFrame(values, index=X.index, columns=X.columns), base

    def interactions(
        self, X: pd.DataFrame, background: pd.DataFrame
    ) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Return pairs of columns, and their interventional Shapley interaction values."""
        x, b = np.asarray(X, dtype=float), np.asarray(background, dtype=float)
        pairs = list(self.basis_.products)
        values = basis_interactions(self.basis_, self._coef(), x, b)
        trees = None if self.booster_ is None else read_shallow(self.booster_)
        if trees is not None:
            found, more = shallow_interactions(trees, x, b)
            pairs, values = pairs + found, np.hstack([values, more])
        return pairs, values


def _cuts(basis: Basis, params: Params) -> dict[int, float]:
    smooths = {k + 1: params["smooth_cut"] for k in range(len(basis.smooths))}
    first = 1 + len(basis.smooths)
    products = {first + k: params["product_cut"] for k in range(len(basis.products))}
    return smooths | products


def _with_products(basis: Basis, fit: MixedFit) -> Basis:
    """Add products of the features that matter most, by the size of their linear term."""
    size = np.abs(fit.coef[1 : 1 + len(basis.mean)])
    top = np.sort(np.argsort(-size, kind="stable")[:MOST_PRODUCT_FEATURES])
    products = tuple(
        (int(a), int(b))
        for k, a in enumerate(top)
        for b in top[k + 1 :]
        if not basis.of_years >= {int(a), int(b)}
    )
    return replace(basis, products=products)


def _without_dropped(basis: Basis, data: Training, fit: MixedFit) -> tuple[Basis, Rows, MixedFit]:
    """Leave dropped terms out of the design, so that refits are fast."""
    alive = np.isfinite(fit.penalty)
    first = 1 + len(basis.mean)
    kept, smooths = [np.arange(first)], []
    for s in basis.smooths:
        last = first + s.rotation.shape[1]
        if alive[first]:
            kept.append(np.arange(first, last))
            smooths.append(s)
        first = last
    last = first + len(basis.products)
    products = tuple(p for p, on in zip(basis.products, alive[first:last], strict=True) if on)
    small = replace(basis, smooths=tuple(smooths), products=products)
    if small.drifts != basis.drifts:
        rows = mixed_rows(small, data)
        return small, rows, fit_mixed(rows)
    kept += [first + np.flatnonzero(alive[first:last]), np.arange(last, len(fit.coef))]
    left = np.concatenate(kept)
    return (
        small,
        mixed_rows(small, data),
        MixedFit(
            coef=fit.coef[left],
            covariance=fit.covariance[np.ix_(left, left)],
            penalty=fit.penalty[left],
            pair_variance=fit.pair_variance,
            dispersion=fit.dispersion,
            scale=fit.scale,
            pair_effect=fit.pair_effect,
            closeness=fit.closeness,
        ),
    )
