"""Which factors set the level that was expected of surprising pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.build import FeatureMatrix, explain_rows
from mlcoop.model.learners import Estimator
from mlcoop.schema import PAIR

MOST_BACKGROUND = 200


def name_factors(
    surprises: pd.DataFrame,
    matrix: FeatureMatrix,
    estimator: Estimator,
    *,
    seed: int,
    most: int = 100,
) -> pd.DataFrame:
    """Return surprising pairs with the factors that set the level expected of each.

    Parameters
    ----------
    surprises : DataFrame
        `forecast.next_years.find_surprises`; the focus pairs and then the largest of the others
        are described.
    matrix : FeatureMatrix
        Holds the surprising year.
    estimator : fitted Estimator
        The factor model.
    seed : int
        Draws the focus pairs that stand for all, where there are more than `MOST_BACKGROUND`.
    most : int
        Pairs described.

    Returns
    -------
    DataFrame
        `surprises` with the column `factors`: the three factors with the largest Shapley values
        against the focus pairs of that year, each with its share of the expected works, such as
        "Distance −35 %; Scientific articles, partner +20 %; ..."; empty for the rest.
    """
    out = surprises.assign(factors="")
    order = np.argsort(~out["in_focus"].to_numpy(dtype=bool), kind="stable")[:most]
    chosen = out.iloc[order]
    rows = matrix.rows.reset_index(drop=True)
    shown = explain_rows(matrix).to_numpy(dtype=bool)
    for year, part in chosen.groupby("year"):
        then = (rows["year"] == year).to_numpy()
        background = np.flatnonzero(then & shown)
        if not len(background):
            continue
        if len(background) > MOST_BACKGROUND:
            picks = np.random.default_rng(seed).choice(background, MOST_BACKGROUND, replace=False)
            background = np.sort(picks)
        # A pair stands twice where rows look both ways: the explained look first, else either.
        looks = rows[then].assign(rank=~shown[then]).sort_values("rank", kind="stable")
        looks = looks.drop_duplicates(PAIR).reset_index(names="place").set_index(PAIR)["place"]
        place = looks.reindex(pd.MultiIndex.from_frame(part[PAIR]))
        found = place.notna().to_numpy()
        at = place[found].to_numpy(dtype=int)
        if not len(at):
            continue
        values, _ = estimator.shap_values(matrix.X.iloc[at], matrix.X.iloc[background])
        labels = [f.label for f in matrix.features]
        by_factor = pd.DataFrame(values.to_numpy(), columns=labels).T.groupby(level=0).sum().T
        out.loc[part.index[found], "factors"] = [_largest(row) for _, row in by_factor.iterrows()]
    return out


def _largest(values: pd.Series) -> str:
    order = values.abs().sort_values(ascending=False, kind="stable").index[:3]
    told = (f"{name} {100 * np.expm1(values[name]):+.0f} %" for name in order)
    return "; ".join(told).replace(" -", " \N{MINUS SIGN}")
