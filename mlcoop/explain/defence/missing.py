"""How the ranking depends on the treatment of missing values, and whether they proxy size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import kendalltau

from mlcoop.errors import quoted, some
from mlcoop.explain.crossfit import fit_rows, fold_of_pairs, pair_names, split_pairs
from mlcoop.features.build import columns_by, explain_rows
from mlcoop.model.imputation import from_own_years, imputing
from mlcoop.model.learners import Learner
from mlcoop.model.training import MANY_PAIRS
from mlcoop.schema import PAIR

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

# Left to the model, imputed inside each training window, rows with every factor known alone.
TREATMENTS = ("own", "impute", "complete")
FOLDS = 5
MOST_EXPLAINED = 1_500
MOST_BACKGROUND = 200
FEWEST_PAIRS = 10  # in focus, below which complete cases rank nothing
TOP = 5
# Gaps tell of size where works differ by so much between rows with and without the factor, and
# seem to be used where the share so much exceeds that with gaps filled.
TELLING, GROWN, LEAST_SHARE = 2.0, 1.5, 0.02


@dataclass(frozen=True)
class Treatments:
    """The same ranking under three treatments of missing values.

    Attributes
    ----------
    table : DataFrame
        `factor, group, role, known` (share of explained rows), `works_where_missing` (mean works
        of the rows where it is missing over those where it is known; missing where it has no
        gap), `credit_where_missing_own` (mean absolute Shapley value over the rows where it is
        missing, over that of the rows where it is known), and `share_T, rank_T` for every
        treatment T of `TREATMENTS`; missing where the treatment left too little.
    notes : dict
        `rows`, `pairs`: those explained, by treatment. `between`: for every two treatments that
        rank (`"own/impute"`), `tau` (Kendall's), `top` (how many of the first five are the same)
        and the largest change of rank among the first ten of either (`factor, from, to`).
    warnings : list of str
        For a study that leaves missing values to its learner: factors that may owe their share
        to them.
    """

    table: pd.DataFrame
    notes: dict[str, Any]
    warnings: list[str]


def treat(matrix: FeatureMatrix, how: str) -> FeatureMatrix:
    """Return the rows that a treatment keeps: all, or those with every factor known.

    With `impute` gaps of standing factors hold what the pair's other years say. Not where pairs are
    many and the factors are the catalogue's, whose entries say how long a figure is carried on.
    """
    if how == "complete":
        return matrix.take(matrix.X.notna().all(axis=1).to_numpy())
    if how == "own":
        return matrix
    trained = len(matrix.rows[PAIR].drop_duplicates()) * (1 - 1 / FOLDS)
    if trained < MANY_PAIRS or any(f.own for f in matrix.features):
        return replace(matrix, X=from_own_years(matrix.rows, matrix.X))
    return matrix


def treated(learner: Learner, how: str) -> Learner:
    """Return the learner that a treatment makes of a catalogue entry."""
    return imputing(learner) if how == "impute" else learner


def compare_treatments(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any] | None = None,
    *,
    seed: int = 0,
    workers: int = 1,
) -> Treatments:
    """Rank the factors under each treatment of missing values, without resampling.

    Cross-fitted mean absolute Shapley values over at most 1,500 focus rows: point rankings, so a
    change of neighbours is noise; what counts is the whole order and its first places.

    Parameters
    ----------
    matrix : FeatureMatrix
        With its missing values.
    learner, params
        Entry of `LEARNERS`, untreated, and parameters that differ from its defaults.
    seed, workers : int

    Returns
    -------
    Treatments
    """
    settings = {**learner.defaults, **(params or {})}
    columns = columns_by(matrix.features, lambda f: f.factor)
    about = {f.factor: f for f in matrix.features}
    shown = matrix.take(_known_focus(matrix))
    table = pd.DataFrame(
        {
            "factor": list(columns),
            "group": [about[n].group for n in columns],
            "role": [about[n].role for n in columns],
            "known": [
                float(shown.X.iloc[:, c].notna().to_numpy().mean()) for c in columns.values()
            ],
            "works_where_missing": [_works_where_missing(shown, c) for c in columns.values()],
        }
    )
    notes: dict[str, Any] = {"rows": {}, "pairs": {}, "between": {}}
    ranked: list[str] = []
    for how in TREATMENTS:
        kept = treat(matrix, how)
        focus = kept.rows[_known_focus(kept)]
        notes["rows"][how] = len(focus)
        notes["pairs"][how] = len(np.unique(pair_names(focus))) if len(focus) else 0
        if notes["pairs"][how] < FEWEST_PAIRS:
            table[f"share_{how}"] = np.nan
            table[f"rank_{how}"] = np.nan
            continue
        values, x = cross_fitted_values(
            kept, treated(learner, how), settings, seed=seed, workers=workers
        )
        size = np.array([np.abs(values[:, c].sum(axis=1)).mean() for c in columns.values()])
        table[f"share_{how}"] = size / max(size.sum(), 1e-12)
        # Equal shares (a factor that the model does not use) keep the catalogue's order.
        table[f"rank_{how}"] = pd.Series(-size).rank(method="first").to_numpy()
        if how == "own":
            table["credit_where_missing_own"] = [
                _credit_where_missing(values, x, c) for c in columns.values()
            ]
        notes["between"] |= {f"{before}/{how}": _between(table, before, how) for before in ranked}
        ranked.append(how)
    front = ["factor", "group", "role", "known", "works_where_missing", "credit_where_missing_own"]
    table = table.reindex(columns=front + [c for c in table.columns if c not in front])
    table = table.sort_values("rank_own", ignore_index=True)
    return Treatments(table, notes, _warnings(table, {n: about[n].label for n in columns}))


def cross_fitted_values(
    matrix: FeatureMatrix, learner: Learner, params: dict[str, Any], *, seed: int, workers: int = 1
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return Shapley values of focus rows by models trained without their pair, and those rows' X.

    Returns
    -------
    values : array of shape (n_rows, n_features), log scale
    X : DataFrame of the same shape
    """
    rng = np.random.default_rng(seed)
    rows = matrix.rows
    known = rows["works"].notna().to_numpy()
    chosen = np.flatnonzero(_known_focus(matrix))
    if len(chosen) > MOST_EXPLAINED:
        chosen = np.sort(rng.choice(chosen, MOST_EXPLAINED, replace=False))
    pairs = pair_names(rows)
    fold = split_pairs(pairs[chosen], FOLDS, seed)
    fold_of_pair = fold_of_pairs(pairs, pairs[chosen], fold)
    sample = chosen
    if len(chosen) > MOST_BACKGROUND:
        sample = np.sort(rng.choice(chosen, MOST_BACKGROUND, replace=False))
    background = matrix.X.iloc[sample]

    def fit(k: int) -> tuple[np.ndarray, np.ndarray]:
        train = np.flatnonzero(known & (fold_of_pair != k))
        estimator = fit_rows(matrix, learner, params, seed, train, pairs)
        mine = np.flatnonzero(fold == k)
        values, _ = estimator.shap_values(matrix.X.iloc[chosen[mine]], background)
        return mine, values.to_numpy()

    out = np.empty((len(chosen), matrix.X.shape[1]))
    for mine, values in Parallel(n_jobs=workers)(delayed(fit)(k) for k in range(FOLDS)):
        out[mine] = values
    return out, matrix.X.iloc[chosen]


def _known_focus(matrix: FeatureMatrix) -> np.ndarray:
    return (explain_rows(matrix) & matrix.rows["works"].notna()).to_numpy(bool)


def _works_where_missing(shown: FeatureMatrix, columns: Sequence[int]) -> float:
    gap = shown.X.iloc[:, list(columns)].isna().any(axis=1).to_numpy()
    if not gap.any() or gap.all():
        return float("nan")
    works = shown.rows["works"].to_numpy(float)
    return float((works[gap].mean() + 1e-9) / (works[~gap].mean() + 1e-9))


def _credit_where_missing(values: np.ndarray, x: pd.DataFrame, columns: Sequence[int]) -> float:
    gap = x.iloc[:, list(columns)].isna().any(axis=1).to_numpy()
    size = np.abs(values[:, list(columns)].sum(axis=1))
    if not gap.any() or gap.all() or size[~gap].mean() < 1e-12:
        return float("nan")
    return float(size[gap].mean() / size[~gap].mean())


def _warnings(table: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    ratio = table["works_where_missing"]
    told = (ratio < 1 / TELLING) | (ratio > TELLING)
    grown = table["share_own"] > np.maximum(GROWN * table["share_impute"], LEAST_SHARE)
    names = table.loc[told & grown, "factor"]
    if names.empty:
        return []
    return [
        "missing values may act as a proxy for the size of countries in "
        f"{some(quoted(labels[n] for n in names))}: a share more than {GROWN} times "
        "that with missing values imputed; set learner.missing=impute"
    ]


def _between(table: pd.DataFrame, one: str, other: str) -> dict[str, Any]:
    ranks = table[[f"rank_{one}", f"rank_{other}"]].astype(int).set_axis(["from", "to"], axis=1)
    tau = kendalltau(table[f"share_{one}"], table[f"share_{other}"]).statistic
    moved = (ranks["from"] - ranks["to"]).abs().where((ranks <= 2 * TOP).any(axis=1))
    most = moved.idxmax()
    return {
        "tau": float(tau),
        "top": int((ranks <= TOP).all(axis=1).sum()),
        "factor": str(table.at[most, "factor"]),
        "from": int(ranks.at[most, "from"]),
        "to": int(ranks.at[most, "to"]),
    }
