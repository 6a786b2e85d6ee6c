"""Splits of pairs into folds. Truth: invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from mlcoop.explain.crossfit import pair_names, split_pairs


def test_a_pair_is_in_one_fold_in_every_year_and_orientation() -> None:
    pairs = list(itertools.combinations("ABCDEFG", 2))
    ways = pd.DataFrame([*pairs, *pairs] * 3, columns=["country_a", "country_b"])
    fold = split_pairs(pair_names(ways), folds=5, seed=4)
    assert (ways.assign(fold=fold).groupby(["country_a", "country_b"])["fold"].nunique() == 1).all()
    # 21 pairs, six rows each, in five folds: four pairs a fold and one more
    assert sorted(np.bincount(fold) / 6) == [4, 4, 4, 4, 5]
