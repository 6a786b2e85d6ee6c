"""Time of refits with Shapley values, against plain xgboost explained by shap on the same rows.

    python benchmarks/refits.py [--refits 120] [--peers 3] [--workers 2]

Draws a planted world of the founding study's size (all pairs of 126 countries over 21 years, 66
factors, 1,320 rows explained) and prints the seconds of a refit on one core, the seconds of
`--refits` of them on `--workers`, and the ratio to the peer. The peer is what a reader would write:
as many trees of the same depth on as many rows, and `shap.TreeExplainer`, interventional, for the
same rows and background. A refit of ours also gives interactions, contrasts and effect curves.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from recovery import matrix_of

from mlcoop.explain.repeated import MOST_BACKGROUND
from mlcoop.explain.replicates import explain_replicates
from mlcoop.features.build import FeatureMatrix
from mlcoop.model.learners import LEARNERS
from mlcoop.simulate.world import simulate_world

EXPLAINED = 1320
FEW = 20  # refits of a run that is taken off, so that what comes before them does not count


def founding_size() -> FeatureMatrix:
    """Return a planted matrix of the founding study's size, few of its pairs in the focus."""
    world = simulate_world("country", seed=1, countries=126, years=21, factors=66)
    matrix = matrix_of(world)
    rows = matrix.rows
    pairs = rows["country_a"] + rows["country_b"]
    focus = pairs.isin(pairs.unique()[: EXPLAINED // 21])
    return FeatureMatrix(rows.assign(in_focus=focus), matrix.X, matrix.features)


def seconds_of_refits(matrix: FeatureMatrix, refits: int, workers: int) -> float:
    """Return the seconds of `refits` refits alone."""
    learner = LEARNERS["linear_boosting"]
    columns = {f.name: [k] for k, f in enumerate(matrix.features)}

    def run(n: int) -> float:
        begin = time.perf_counter()
        explain_replicates(
            matrix,
            learner,
            learner.defaults,
            columns,
            resamples=n,
            unit="country",
            seed=0,
            workers=workers,
        )
        return time.perf_counter() - begin

    run(FEW)  # starts the workers
    few = min(run(FEW) for _ in range(2))
    return min(run(FEW + refits) for _ in range(2)) - few


def seconds_of_peer(matrix: FeatureMatrix, peers: int) -> float:
    """Return the seconds of one fit of plain xgboost and its values by shap, the best of some."""
    import shap
    import xgboost

    params = LEARNERS["linear_boosting"].defaults
    rng = np.random.default_rng(0)
    rows = rng.choice(len(matrix.X), params["tree_rows"], replace=False)
    focus = np.flatnonzero(matrix.rows["in_focus"])
    X, y = matrix.X.to_numpy(), matrix.rows["works"].to_numpy()
    background = X[rng.choice(focus, MOST_BACKGROUND)]
    taken = []
    for _ in range(peers):
        begin = time.perf_counter()
        data = xgboost.DMatrix(X[rows], label=y[rows], nthread=1)
        booster = xgboost.train(
            {
                "objective": "count:poisson",
                "max_depth": params["depth"],
                "learning_rate": params["learning_rate"],
                "nthread": 1,
            },
            data,
            params["trees"],
        )
        explainer = shap.TreeExplainer(
            booster, background, feature_perturbation="interventional", model_output="raw"
        )
        explainer.shap_values(X[focus], check_additivity=False)
        taken.append(time.perf_counter() - begin)
    return min(taken)


def main() -> None:
    """Parse options, take both times, print them and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--refits", type=int, default=120)
    parser.add_argument("--peers", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    matrix = founding_size()
    print(f"{len(matrix.X):,} rows, {matrix.X.shape[1]} factors, {EXPLAINED:,} rows explained")
    one = seconds_of_refits(matrix, options.refits, 1) / options.refits
    print(f"mlcoop: {one:.2f} s a refit on one core")
    if options.workers > 1:
        many = seconds_of_refits(matrix, options.refits, options.workers)
        print(f"mlcoop: {many:.1f} s for {options.refits} refits on {options.workers} cores")
    peer = seconds_of_peer(matrix, options.peers)
    print(
        f"xgboost and shap.TreeExplainer: {peer:.2f} s a refit on one core; ratio {peer / one:.1f}"
    )


if __name__ == "__main__":
    main()
