"""A study with known drivers over real geography: what the quickstart runs on, offline.

Countries, distances, borders, languages and populations are real. All other national figures and
all counts are drawn at random, so the true drivers and their order are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mlcoop.errors import ConfigError, some
from mlcoop.schema import PAIR_YEAR
from mlcoop.sources.geography import populations

# Typical level, spread between countries, yearly step and yearly trend; wealth moves them all.
NATIONAL = {
    "rd_pct_gdp": (1.2, 0.5, 0.03, 0.01),
    "internet_pct": (45.0, 0.4, 0.05, 0.03),
    "researchers_per_million": (1800.0, 0.7, 0.04, 0.02),
    "hightech_exports_pct": (12.0, 0.6, 0.08, 0.0),
    "merchandise_trade_pct_gdp": (60.0, 0.4, 0.04, 0.0),
    "patents_resident": (2000.0, 1.2, 0.08, 0.02),
    "articles": (15000.0, 0.8, 0.04, 0.03),
}
SCORES = ("control_of_corruption", "government_effectiveness", "regulatory_quality", "rule_of_law")


def simulate_indicators(
    countries: Sequence[str],
    years: tuple[int, int],
    *,
    seed: int,
    more: Mapping[str, tuple[float, float, float, float]] | None = None,
) -> pd.DataFrame:
    """Draw national figures that look like real ones; only population levels are real.

    Parameters
    ----------
    countries : sequence of ISO3
    years : (int, int)
        First and last year, both included.
    seed : int
    more : mapping, optional
        Further variables in the form of `NATIONAL`. They change none of the others.

    Returns
    -------
    DataFrame
        `schema.INDICATORS`.
    """
    rng = np.random.default_rng(seed)
    span = np.arange(years[0], years[1] + 1)
    size = (len(countries), len(span))

    def walk(step: float, trend: float = 0.0) -> np.ndarray:
        return rng.normal(scale=step, size=size).cumsum(axis=1) + trend * np.arange(len(span))

    people = populations(countries).reindex(countries).to_numpy(float)[:, None]
    wealth = rng.normal(size=(len(countries), 1))
    figures = {"population": people * np.exp(walk(0.002, 0.008))}
    figures["gdp_per_head_usd2015"] = 12000 * np.exp(wealth + walk(0.02, 0.02))
    figures["gdp_usd2015"] = figures["population"] * figures["gdp_per_head_usd2015"]

    def national(level: float, spread: float, step: float, trend: float) -> np.ndarray:
        own = spread * (0.5 * wealth + rng.normal(scale=0.9, size=wealth.shape))
        return level * np.exp(own + walk(step, trend))

    for variable, shape in NATIONAL.items():
        figures[variable] = national(*shape)
    figures["articles"] *= figures["gdp_usd2015"] / figures["gdp_usd2015"].mean()
    for variable in ("political_stability", "voice_accountability", *SCORES):
        figures[variable] = 0.5 * wealth + rng.normal(scale=0.7, size=wealth.shape) + walk(0.05)
    figures["un_ideal_point"] = rng.normal(size=wealth.shape) + walk(0.08)
    for variable, shape in (more or {}).items():
        figures[variable] = national(*shape)
    parts = [
        pd.DataFrame(
            {
                "iso3": np.repeat(list(countries), len(span)),
                "year": np.tile(span, len(countries)),
                "variable": variable,
                "value": values.ravel(),
            }
        )
        for variable, values in figures.items()
    ]
    return pd.concat(parts, ignore_index=True)


def plant_counts(
    rows: pd.DataFrame,
    X: pd.DataFrame,
    columns: Mapping[str, Sequence[str]],
    drivers: Mapping[str, float],
    *,
    mean_works: float,
    pair_noise: float,
    dispersion: float,
    seed: int,
    country_noise: float = 0.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw counts whose logarithm is a known sum of driver effects.

    Parameters
    ----------
    rows, X : DataFrames on one index
        Keys of pair and year, and features, as in a feature matrix.
    columns : mapping of catalogue factor to its columns of X
    drivers : mapping of catalogue factor to effect
        Change of the log of expected works per standard deviation of each of its columns.
    mean_works : float
        Expected works of the average row.
    pair_noise : float
        Standard deviation of a lasting log effect of each pair, which no factor explains.
    dispersion : float
        Variance of a count is mu + dispersion * mu**2.
    seed : int
    country_noise : float
        The same of each country, in all its pairs.

    Returns
    -------
    counts : DataFrame of country_a, country_b, year, works
    effects : DataFrame like X
        True effect of every feature in every row on the log scale; zero where it drives nothing.

    Raises
    ------
    ConfigError
        When a driver is not among the factors of the study.
    """
    unknown = [name for name in drivers if name not in columns]
    if unknown:
        raise ConfigError(
            f"simulated.drivers: {some(unknown)} not among this study's factors "
            f"({some(columns, most=12)})"
        )
    rng = np.random.default_rng(seed)
    effects = pd.DataFrame(0.0, index=X.index, columns=X.columns)
    for factor, size in drivers.items():
        for column in columns[factor]:
            value = X[column].astype(float)
            spread = value.std(ddof=0)
            if not spread > 0:
                raise ConfigError(f"simulated.drivers: {factor} is the same in every row")
            effects[column] = (size * (value - value.mean()) / spread).fillna(0.0)
    table = rows[PAIR_YEAR].assign(log_mean=effects.sum(axis=1))
    # Both orientations of a pair hold the same columns with the ends swapped, hence the same sum.
    table = table.groupby(PAIR_YEAR, as_index=False)["log_mean"].first()
    pair = table.groupby(PAIR_YEAR[:2]).ngroup().to_numpy()
    log_mean = (
        np.log(mean_works)
        + table["log_mean"].to_numpy()
        + rng.normal(scale=pair_noise, size=pair.max() + 1)[pair]
    )
    if country_noise:
        ends = table[PAIR_YEAR[:2]].to_numpy()
        countries, code = np.unique(ends.astype(str), return_inverse=True)
        own = rng.normal(scale=country_noise, size=len(countries))
        log_mean = log_mean + own[code.reshape(ends.shape)].sum(axis=1)
    mean = np.exp(np.clip(log_mean, -12, 13))
    if dispersion > 0:
        mean = mean * rng.gamma(1 / dispersion, dispersion, size=len(mean))
    return table[PAIR_YEAR].assign(works=rng.poisson(mean).astype(float)), effects


def planted_order(effects: pd.DataFrame, factors: Sequence[str]) -> list[dict[str, object]]:
    """Return the true order of factors: mean absolute centred effect over the rows given.

    Parameters
    ----------
    effects : DataFrame of shape (n_rows, n_features)
        Of the rows that the study explains.
    factors : sequence of str
        Factor of each column; the effects of columns of one factor are added.

    Examples
    --------
    >>> effects = pd.DataFrame({"a": [0.0, 2.0], "b": [0.0, 0.0]})
    >>> [(row["factor"], row["importance"]) for row in planted_order(effects, ["a", "b"])]
    [('a', 1.0), ('b', 0.0)]
    """
    by_factor = effects.T.groupby(np.asarray(factors), sort=True).sum().T
    importance = (by_factor - by_factor.mean()).abs().mean()
    ordered = importance.sort_values(ascending=False, kind="stable")
    ranks = ordered.rank(ascending=False, method="min").astype(int)
    return [
        {"factor": str(name), "rank": int(ranks[name]), "importance": float(value)}
        for name, value in ordered.items()
    ]
