"""Training rows as learners take them: checked, drawn where there are many, sorted by pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlcoop.errors import DataError


@dataclass
class Training:
    """Training rows, sorted by pair, as arrays; `offset` is the log of the exposure."""

    X: np.ndarray
    y: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    pair: np.ndarray
    starts: np.ndarray
    pair_names: np.ndarray
    years: np.ndarray | None


def arrange(
    X: pd.DataFrame,
    y: np.ndarray,
    exposure: np.ndarray | None,
    weight: np.ndarray | None,
    pairs: np.ndarray | None,
    years: np.ndarray | None,
    most_rows: int,
    seed: int,
) -> Training:
    values = np.asarray(y, dtype=float)
    if not len(values):
        raise DataError("learner: no row to fit on; widen the years or the pairs")
    if np.isnan(values).any() or (values < 0).any():
        raise DataError(
            f"learner: {int((~(values >= 0)).sum())} rows have missing or negative works; drop them"
        )
    n = len(values)
    exposure = np.ones(n) if exposure is None else np.asarray(exposure, dtype=float)
    weight = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
    if not (exposure > 0).all():
        raise DataError("learner: exposure must be above zero in every row; drop the others")
    names = np.arange(n) if pairs is None else np.asarray(pairs)
    if n > most_rows:  # rows of a pair say much the same: a share of its years is enough
        chosen = np.sort(np.random.default_rng(seed).choice(n, most_rows, replace=False))
    else:
        chosen = np.arange(n)
    unique, code = np.unique(names[chosen], return_inverse=True)
    order = np.argsort(code, kind="stable")
    chosen, code = chosen[order], code[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    return Training(
        np.asarray(X, dtype=float)[chosen],
        values[chosen],
        np.log(exposure[chosen]),
        weight[chosen],
        code,
        starts,
        unique,
        None if years is None else np.asarray(years)[chosen],
    )


def expected_works(margin: np.ndarray, exposure: np.ndarray | None) -> np.ndarray:
    mean = np.exp(np.clip(margin, -25, 25))
    return mean if exposure is None else mean * np.asarray(exposure, dtype=float)
