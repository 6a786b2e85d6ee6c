"""The leak alarm: what a feature matrix must not know, looked for before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mlcoop.features.audit_values import Finding, value_leaks
from mlcoop.features.build import FeatureMatrix, build_features
from mlcoop.features.factor import Factor
from mlcoop.schema import PAIR

PROBED_YEARS = 3
PROBED_PAIRS = 800


def audit(
    matrix: FeatureMatrix,
    *,
    panel: pd.DataFrame | None = None,
    factors: Sequence[Factor] = (),
    seed: int = 0,
) -> list[Finding]:
    """Return the leaks found in a feature matrix; an empty list when clean.

    Two kinds of check. *Values*: every column against the target, its neighbours in time and
    statistics of it (`value_leaks`); this is all that can be done for a ready panel. *Rebuilding*,
    given panel and factors: features must come out the same when every figure not yet known is
    replaced by noise, and when a year is built alone. It is exact and names the factor.

    Parameters
    ----------
    matrix : FeatureMatrix
    panel, factors
        What `build_features` made the matrix from.
    seed : int
        Of the sample of rows and of the noise.

    Returns
    -------
    list of Finding
        At most one per column for the values, in column order.

    Notes
    -----
    A clean audit is no proof: a value leak drowned in noise larger than the counts' own is not
    seen. What is reported was seen far beyond what counts with Poisson noise allow.
    """
    findings = value_leaks(matrix, seed=seed) + _declared(factors)
    if panel is not None and factors:
        findings += _rebuilt(matrix, panel, factors, seed)
    return findings


def _declared(factors: Sequence[Factor]) -> list[Finding]:
    found = []
    for factor in factors:
        if factor.lag < 1:
            found.append(
                Finding(
                    "lag",
                    factor.name,
                    f"{factor.name}: lag {factor.lag}; nothing of the target year is known at the "
                    "origin, so the least is 1",
                )
            )
        if "works" in factor.inputs and "international_works" not in factor.inputs:
            found.append(
                Finding(
                    "pair_past",
                    factor.name,
                    f"{factor.name}: reads the pair's own works; keep them for the forecast model",
                )
            )
    return found


def _rebuilt(
    matrix: FeatureMatrix, panel: pd.DataFrame, factors: Sequence[Factor], seed: int
) -> list[Finding]:
    """Compare features with those of the same panel with all later figures replaced by noise."""
    rng = np.random.default_rng(seed)
    rows = matrix.rows
    pairs = rows[PAIR].drop_duplicates()
    if len(pairs) > PROBED_PAIRS:
        pairs = pairs.iloc[np.sort(rng.choice(len(pairs), PROBED_PAIRS, replace=False))]
    part = panel.merge(pairs, on=PAIR, how="inner")
    every_year = sorted(rows["year"].unique())
    probes = sorted(
        {every_year[i] for i in np.linspace(0, len(every_year) - 1, PROBED_YEARS).astype(int)}
    )
    here = rows[PAIR].merge(pairs.assign(probe=True), on=PAIR, how="left")["probe"].notna()
    sampled = matrix.take(here.to_numpy())
    names = [feature.name for feature in matrix.features]
    blame: dict[str, tuple[str, str]] = {}

    def build(table: pd.DataFrame, years: list[int], some: Sequence[Factor]) -> pd.DataFrame:
        none = pairs.iloc[:0]
        return _keyed(
            build_features(table, factors=some, years=years, focal=matrix.focal, focus_pairs=none)
        )

    full = build(part, every_year, factors)
    given = _keyed(sampled).reindex(full.index)
    for name in _differing(given, full, names):
        blame[name] = ("not_as_declared", "its values are not those that its catalogue entry gives")
    swapped = build(_swap_ends(part), every_year, factors)
    pair_names = [f.name for f in matrix.features if f.role == "pair"]
    for name in _differing(_by_pair(full)[pair_names], _by_pair(swapped)[pair_names], pair_names):
        blame[name] = ("asymmetric", "it changes when the two countries are swapped")
    for year in probes:
        alone = build(part, [year], factors)
        for name in _differing(full.reindex(alone.index), alone, names):
            blame[name] = (
                "fitted_over_years",
                f"its value of {year} depends on which other years are built: a statistic is "
                "learnt across years",
            )
        for lag in sorted({factor.lag for factor in factors}):
            known = year - lag  # the last year whose figures may be used
            if not (part["year"] > known).any():
                continue
            group = [factor for factor in factors if factor.lag == lag]
            noisy = build(_scramble(part, known, rng), [year], group)
            for name in _differing(alone.loc[noisy.index], noisy, list(noisy.columns)):
                blame[name] = (
                    "future",
                    f"its value of {year} changes when data after {known} change, which were not "
                    "known then",
                )
    return [Finding(blame[n][0], n, f"{n}: {blame[n][1]}") for n in names if n in blame]


def _keyed(matrix: FeatureMatrix) -> pd.DataFrame:
    """Return the features by focal, partner and year."""
    return matrix.X.set_axis(pd.MultiIndex.from_frame(matrix.rows[["focal", "partner", "year"]]))


def _differing(left: pd.DataFrame, right: pd.DataFrame, names: list[str]) -> list[str]:
    kept = [name for name in names if name in left.columns and name in right.columns]
    # Equal to rounding of single precision: a sum may run in another order.
    same = np.isclose(left[kept], right[kept], rtol=1e-5, atol=1e-6, equal_nan=True)
    return [name for name, column in zip(kept, same.T, strict=True) if not column.all()]


def _by_pair(X: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair and year, whichever way the row looks."""
    ends = X.index.to_frame()
    low = np.minimum(ends["focal"].to_numpy(object), ends["partner"].to_numpy(object))
    high = np.maximum(ends["focal"].to_numpy(object), ends["partner"].to_numpy(object))
    keys = pd.MultiIndex.from_arrays([low, high, ends["year"]])
    return X.set_axis(keys)[~keys.duplicated()].sort_index()


def _scramble(panel: pd.DataFrame, known: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the panel with all figures after the year `known` replaced by noise."""
    later = (panel["year"] > known).to_numpy()
    columns = [c for c in panel.columns if c not in (*PAIR, "year")]
    noisy = panel.copy()
    noise = np.exp(rng.normal(size=(int(later.sum()), len(columns))) * 3)
    noisy[columns] = noisy[columns].astype(float)
    noisy.loc[later, columns] = noise
    return noisy


def _swap_ends(panel: pd.DataFrame) -> pd.DataFrame:
    """Return the panel with both ends' figures and codes exchanged."""
    other = {"a": "b", "b": "a"}
    return panel.rename(
        columns={c: f"{c[:-1]}{other[c[-1]]}" for c in panel.columns if c[-2:] in ("_a", "_b")}
    )
