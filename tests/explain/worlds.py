"""A planted panel of all pairs of some countries, one of them the focal country."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.build import Feature, FeatureMatrix


def wide_matrix(
    slopes: list[float], inside: list[float] | None = None, countries: int = 30, seed: int = 0
) -> FeatureMatrix:
    """Return a matrix whose log works are `slopes` times standard normal pair factors.

    Pairs of country C00 are in focus; there `inside` replaces the slopes.
    """
    rng = np.random.default_rng(seed)
    names = [f"C{k:02d}" for k in range(countries)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    years = [2001, 2002, 2003]
    x = rng.normal(size=(len(pairs), len(slopes)))
    x = np.repeat(x, len(years), axis=0) + 0.3 * rng.normal(size=(len(pairs) * len(years), 1))
    rows = pd.DataFrame([(*p, y) for p in pairs for y in years], columns=["a", "b", "year"])
    focus = (rows["a"] == "C00").to_numpy()
    beta = np.where(focus[:, None], slopes if inside is None else inside, slopes)
    noise = np.repeat(0.2 * rng.normal(size=len(pairs)), len(years))
    works = rng.poisson(np.exp(3 + (x * beta).sum(axis=1) + noise))
    table = pd.DataFrame(
        {
            "focal": rows["a"], "partner": rows["b"], "country_a": rows["a"],
            "country_b": rows["b"], "year": rows["year"], "works": works.astype(float),
            "exposure": 1.0, "weight": 1.0, "in_focus": focus,
        }
    )  # fmt: skip
    features = tuple(
        Feature(f"x{k}", f"x{k}", f"X{k}", f"g{k // 2}", "pair") for k in range(x.shape[1])
    )
    return FeatureMatrix(table, pd.DataFrame(x, columns=[f.name for f in features]), features)


def columns_of(matrix: FeatureMatrix) -> dict[str, list[int]]:
    return {f.factor: [k] for k, f in enumerate(matrix.features)}


def focal_matrix(pairs: int, factors: int, seed: int, years: int = 14) -> FeatureMatrix:
    """Return the pairs of one country; factors do nothing, and each pair has a level of its own.

    Every second factor wanders over the years.
    """
    rng = np.random.default_rng(seed)
    partners = [f"P{k:02d}" for k in range(pairs)]
    x = np.repeat(rng.normal(size=(pairs, factors)), years, axis=0)
    walk = 0.3 * rng.normal(size=(pairs, years, factors)).cumsum(axis=1)
    x[:, 1::2] += walk.reshape(-1, factors)[:, 1::2]
    mean = 30 * np.exp(np.repeat(0.5 * rng.normal(size=pairs), years))
    works = rng.poisson(mean * rng.gamma(10, 0.1, size=len(mean)))
    rows = pd.DataFrame(
        {
            "focal": "A", "partner": np.repeat(partners, years), "country_a": "A",
            "country_b": np.repeat(partners, years), "year": np.tile(range(years), pairs),
            "works": works.astype(float), "exposure": 1.0, "weight": 1.0, "in_focus": True,
        }
    )  # fmt: skip
    features = tuple(Feature(f"x{k}", f"x{k}", f"X{k}", "g", "pair") for k in range(factors))
    return FeatureMatrix(rows, pd.DataFrame(x, columns=[f.name for f in features]), features)
