"""Small random panels with every column of the contract, for tests."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from mlcoop.schema import COUNTRY_VARIABLES, PAIR, PAIR_VARIABLES, TIE_VARIABLES

COUNTRIES = ("CHN", "DEU", "KAZ", "PAK", "THA", "USA")
DUMMIES = [name for name in TIE_VARIABLES if not name.startswith("dist")]


def random_panel(
    seed: int = 0,
    countries: tuple[str, ...] = COUNTRIES,
    years: range = range(2000, 2013),
    missing: float = 0.1,
) -> pd.DataFrame:
    """Return a panel of all pairs with positive random figures, some of them missing."""
    rng = np.random.default_rng(seed)
    pairs = pd.DataFrame(list(combinations(sorted(countries), 2)), columns=PAIR)
    ties = pd.DataFrame(
        rng.uniform(100, 9000, (len(pairs), len(TIE_VARIABLES))), columns=TIE_VARIABLES
    )
    ties[DUMMIES] = rng.integers(0, 2, (len(pairs), len(DUMMIES))).astype(float)
    panel = pd.concat([pairs, ties], axis=1).merge(pd.DataFrame({"year": years}), how="cross")
    yearly = pd.DataFrame(rng.random((len(panel), len(PAIR_VARIABLES))), columns=PAIR_VARIABLES)
    panel[list(PAIR_VARIABLES)] = yearly.mask(rng.random(yearly.shape) < missing)
    panel["works"] = rng.poisson(20, len(panel)).astype(float)
    national = pd.MultiIndex.from_product([sorted(countries), years], names=["iso3", "year"])
    figures = pd.DataFrame(
        rng.uniform(1, 90, (len(national), len(COUNTRY_VARIABLES))),
        index=national,
        columns=COUNTRY_VARIABLES,
    )
    figures = figures.mask(rng.random(figures.shape) < missing)
    figures["international_works"] = rng.uniform(500, 5000, len(figures)).round()
    for end in ("a", "b"):
        panel = panel.merge(
            figures.add_suffix(f"_{end}").reset_index(names=[f"country_{end}", "year"]),
            on=[f"country_{end}", "year"],
            how="left",
        )
    return panel.sort_values([*PAIR, "year"], ignore_index=True)
