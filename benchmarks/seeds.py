"""Say how far rankings of one world from different seeds agree.

    python benchmarks/seeds.py --worlds 2 --seeds 3 --workers 2

Kendall's tau between the orders of all factors, mean over pairs of seeds: of mlcoop, of mlcoop with
one cross-fitting instead of the mean of several, and of a plain SHAP bar chart (xgboost with half
of the rows drawn for each tree, as people set it to avoid overfitting).
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from recovery import bar_chart, matrix_of
from scipy import stats

from mlcoop.explain import repeated
from mlcoop.explain.ranking import rank_factors
from mlcoop.simulate.recipes import RECIPES
from mlcoop.simulate.world import World, simulate_world

FIRST_SEED = 700


def ranked(world: World, seed: int, repeats: int) -> pd.Series:
    """Importance by mlcoop with so many cross-fittings."""
    usual, repeated.REPEATS = repeated.REPEATS, repeats
    try:
        ranking = rank_factors(matrix_of(world), "linear_boosting", resamples=20, seed=seed)
    finally:
        repeated.REPEATS = usual
    return ranking.factors.set_index("factor")["importance"].reindex(list(world.factors))


def agreement(found: list[pd.Series]) -> float:
    """Mean Kendall's tau over pairs of seeds."""
    return float(np.mean([stats.kendalltau(a, b).statistic for a, b in combinations(found, 2)]))


def run_world(kind: str, number: int, seeds: int) -> dict[str, str | float]:
    """Rank one world from several seeds in three ways."""
    world = simulate_world(kind, seed=FIRST_SEED + number)
    each = range(0, 100 * seeds, 100)
    return {
        "kind": kind,
        "mlcoop": agreement([ranked(world, s, repeated.REPEATS) for s in each]),
        "one cross-fitting": agreement([ranked(world, s, 1) for s in each]),
        "SHAP bar chart": agreement([bar_chart(world, subsample=0.5, seed=s) for s in each]),
    }


def main() -> None:
    """Parse options, rank, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--worlds", type=int, default=2, help="of each kind")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    kinds = [k for k in RECIPES if k != "null"]
    found = Parallel(n_jobs=options.workers)(
        delayed(run_world)(k, n, options.seeds) for k in kinds for n in range(options.worlds)
    )
    table = pd.DataFrame(found).groupby("kind", sort=False).mean()
    table.loc["all"] = table.mean()
    print(table.round(2).to_string())
    print(
        "disagreement against the bar chart: "
        f"{(1 - table.loc['all', 'mlcoop']) / (1 - table.loc['all', 'SHAP bar chart']):.2f}"
    )


if __name__ == "__main__":
    main()
