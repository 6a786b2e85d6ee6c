"""Time of setting rankings side by side, against Kendall's tau of scipy over the same replicates.

    python benchmarks/comparing.py [--experiments 50] [--factors 45] [--replicates 60]

`mlcoop.comparison.compare` gives ranks, changes with simultaneous intervals, and three measures of
agreement of all pairs of experiments with intervals. The peer is what a reader would write for one
of the three alone: `scipy.stats.kendalltau` for every pair of experiments and every replicate.
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from mlcoop.comparison import compare
from mlcoop.schema import Experiment

TIMED = 50  # pairs of experiments that the peer is timed on, at most; the rest is in proportion


def study(name: str, importance: np.ndarray) -> Experiment:
    """Return a study of factors only, from importance of shape (replicates, factors)."""
    names = [f"factor_{i}" for i in range(importance.shape[1])]
    share = importance.mean(axis=0) / importance.mean(axis=0).sum()
    rank = (-share).argsort().argsort() + 1
    factors = pd.DataFrame({"factor": names, "group": "economy_market", "role": "pair"})
    factors = factors.assign(
        share=share, share_low=share, share_high=share, rank=rank, rank_low=rank, rank_high=rank
    )
    drawn = pd.DataFrame(importance, columns=names).rename_axis("replicate").reset_index()
    drawn = drawn.melt("replicate", var_name="name", value_name="importance").assign(kind="factor")
    return Experiment(
        name=name,
        folder=name,
        config={"name": name},
        provenance={},
        factors=factors,
        groups=None,
        resamples=drawn,
        coverage={},
    )


def main() -> None:
    """Parse options, compare, print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiments", type=int, default=50)
    parser.add_argument("--factors", type=int, default=45)
    parser.add_argument("--replicates", type=int, default=60)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    truth = np.exp(-np.arange(asked.factors) / 8)
    shape = (asked.experiments, asked.replicates, asked.factors)
    draws = truth * np.exp(0.1 * rng.normal(size=shape))
    studies = [study(f"e{i}", table) for i, table in enumerate(draws)]

    begin = time.perf_counter()
    compare(studies)
    ours = time.perf_counter() - begin

    pairs = list(combinations(range(asked.experiments), 2))
    timed = pairs[:TIMED]
    begin = time.perf_counter()
    for a, b in timed:
        for one, other in zip(draws[a], draws[b], strict=True):
            kendalltau(one, other)
    theirs = (time.perf_counter() - begin) * len(pairs) / len(timed)
    print(f"mlcoop, all of a comparison of {asked.experiments}: {ours:.2f} s")
    print(f"scipy.stats.kendalltau for each replicate of {len(pairs)} pairs: {theirs:.2f} s")
    print(f"ratio: {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
