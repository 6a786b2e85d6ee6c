"""What is known of which factor, by year and by country."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlcoop.features.build import FeatureMatrix, columns_by, explain_rows


def known_shares(matrix: FeatureMatrix) -> dict[str, Any]:
    """Return the share of explained rows in which each factor with missing values is known.

    Parameters
    ----------
    matrix : FeatureMatrix
        Before any filling.

    Returns
    -------
    dict
        `by_year` and `by_country`, each a list of rows `{"factor": …, KEY: share, …}` with years or
        countries as keys; factors without missing values are left out. A country's rows are those
        of its pairs with the focal country, or all its pairs where there is none.
    """
    shown = matrix.take(explain_rows(matrix))
    columns = columns_by(matrix.features, lambda f: f.factor)
    known = pd.DataFrame({f: shown.X.iloc[:, c].notna().all(axis=1) for f, c in columns.items()})
    known = known.loc[:, ~known.all()]
    rows = shown.rows
    by_year = known.groupby(rows["year"]).mean()
    ends = ["country_a", "country_b"]
    owners = pd.concat([rows[end] for end in ends])
    twice = pd.concat([known, known])
    if matrix.focal is not None:
        others = (owners != matrix.focal).to_numpy()
        owners, twice = owners[others], twice[others]
    by_country = twice.groupby(owners.to_numpy()).mean()
    return {"by_year": _records(by_year), "by_country": _records(by_country)}


def _records(shares: pd.DataFrame) -> list[dict[str, Any]]:
    keys = [str(k) for k in shares.index]
    return [
        {"factor": factor, **dict(zip(keys, np.round(column.to_numpy(float), 4), strict=True))}
        for factor, column in shares.items()
    ]
