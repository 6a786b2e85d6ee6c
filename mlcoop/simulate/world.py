"""Draw planted worlds: panels whose true drivers, shapes and order are known.

No stage of the pipeline imports this module; benchmarks, tests and `mlcoop simulate` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mlcoop.errors import ConfigError, did_you_mean
from mlcoop.simulate.covariates import IN_LOGS, KEYS, shared_by_neighbours, world_covariates
from mlcoop.simulate.recipes import SHAPES, Recipe, recipe_with

MOST_OF_A_TIE, MOST_OF_A_FACTOR = 2.0, 4.0
"""Largest log effect, from its lowest to its highest value, of a drawn driver that is there or not
and of any other; those asked for have no limit."""


@dataclass(frozen=True)
class World:
    """A planted world.

    Attributes
    ----------
    kind : str
    seed : int
    panel : DataFrame
        `i, j, year, y, exposure` and one column per factor.
    factors : tuple of str
    truth : DataFrame
        `factor, importance, rank_best, rank_worst, driver, shape`, most important first.
        `importance` is the mean over rows of the absolute centred true effect on the log scale,
        products shared as interventional Shapley values; tied factors share their rank range.
    effects : DataFrame
        The true centred effect of every factor in every row, log scale.
    """

    kind: str
    seed: int
    panel: pd.DataFrame
    factors: tuple[str, ...]
    truth: pd.DataFrame
    effects: pd.DataFrame = field(repr=False)


def simulate_world(
    kind: str,
    *,
    seed: int,
    chosen: Sequence[str] | None = None,
    **changes: object,
) -> World:
    """Draw a world of a kind in `RECIPES` over real countries.

    Parameters
    ----------
    kind : str
    seed : int
    chosen : sequence of str, optional
        The factors that matter, most important first, instead of some drawn at random.
    **changes
        Fields of `Recipe` to override, e.g. `pairs=158`.

    Raises
    ------
    ConfigError
        Unknown kind, setting or driver, or a setting out of range.

    Examples
    --------
    >>> world = simulate_world("linear", seed=1, chosen=["distance", "population"])
    >>> world.panel.shape, world.truth["factor"].tolist()[:2]
    ((826, 20), ['distance', 'population'])
    """
    recipe = recipe_with(kind, dict(changes))
    rng = np.random.default_rng([seed, sum(map(ord, kind))])
    covariates = world_covariates(
        pairs=recipe.pairs,
        years=recipe.years,
        factors=recipe.factors,
        countries=recipe.countries,
        lifelike=recipe.lifelike,
        rng=rng,
        regional=recipe.regional,
    )
    names = list(covariates.columns[len(KEYS) :])
    for k, name in enumerate(chosen or ()):
        if name not in names:
            raise ConfigError(
                f"simulate: no factor {name!r} in this world. {did_you_mean(name, names)}"
                f"There are: {', '.join(names)}"
            )
        if chosen and name in chosen[:k]:
            raise ConfigError(f"simulate: driver {name!r} stands twice; leave one out")
    world = plant_world(covariates, recipe, kind=kind, seed=seed, rng=rng, drivers=chosen)
    if recipe.logged:
        return world
    as_they_are = {n: np.exp(world.panel[n]) for n in names if n in IN_LOGS}
    return replace(world, panel=world.panel.assign(**as_they_are))


def plant_world(
    covariates: pd.DataFrame,
    recipe: Recipe,
    *,
    kind: str,
    seed: int,
    rng: np.random.Generator | None = None,
    drivers: Sequence[str] | None = None,
) -> World:
    """Draw counts over given covariates, with known effects.

    Parameters
    ----------
    covariates : DataFrame
        Keys `i, j, year` and numeric factor columns (missing values count as the mean).
    recipe : Recipe
        Its size fields are ignored: the table gives the size.
    drivers : sequence of str, optional
        The factors that matter, most important first; drawn when None.

    Returns
    -------
    World
    """
    rng = np.random.default_rng(seed) if rng is None else rng
    names = [c for c in covariates.columns if c not in (*KEYS, "exposure", "y")]
    table = covariates[[*KEYS, *names]].reset_index(drop=True)
    n_drivers = recipe.drivers if drivers is None else len(drivers)
    order = list(rng.permutation(names)) if drivers is None else list(drivers)
    chosen = order[:n_drivers]
    if recipe.twins and recipe.collinear:
        table = _add_twins(table, names, chosen, recipe, rng)
    z = {n: _standardised(table[n]) for n in names}
    sizes = np.geomspace(recipe.largest, recipe.smallest, max(n_drivers, 1))
    sizes = np.sort(sizes * rng.uniform(0.85, 1.18, size=len(sizes)))[::-1]
    effects = pd.DataFrame(0.0, index=table.index, columns=names)
    shapes = dict.fromkeys(names, "")
    for name, size in zip(chosen, sizes, strict=False):
        shape = str(rng.choice(recipe.shapes)) if table[name].nunique() > 2 else "linear"
        curve = _shaped(z[name], shape, rng)
        curve = curve - curve.mean()
        effect = size * curve / np.abs(curve).mean()
        if drivers is None:
            # A border of one pair in twenty would have to multiply works by a thousand to matter
            # as much over all pairs as distance does.
            most = MOST_OF_A_TIE if table[name].nunique() <= 2 else MOST_OF_A_FACTOR
            effect *= min(1.0, most / np.ptp(effect))
        effects[name] = rng.choice([-1, 1]) * effect
        shapes[name] = shape
    wide = [n for n in chosen if table[n].nunique() > 2]
    for k in range(min(recipe.interactions, len(wide) // 2)):
        a, b = wide[2 * k], wide[2 * k + 1]
        share = _product_shares(z[a], z[b])
        scale = rng.choice([-1, 1]) * rng.uniform(0.15, 0.4) / np.abs(share[0] + share[1]).mean()
        for name, part in zip((a, b), share, strict=True):
            effects[name] += scale * part
            shapes[name] += " x " + (b if name == a else a)
    effects -= effects.mean()
    exposure = np.exp(rng.normal(scale=0.8, size=table.groupby(KEYS[:2]).ngroups))
    code = table.groupby(KEYS[:2]).ngroup().to_numpy()
    noise = (
        rng.normal(scale=recipe.pair_noise, size=code.max() + 1)[code]
        + _country_noise(table, recipe, rng)
        + rng.normal(scale=recipe.year_noise, size=4000)[table["year"].to_numpy() % 4000]
    )
    log_mean = np.log(recipe.mean_works) + np.log(exposure[code]) + effects.sum(axis=1) + noise
    mean = np.exp(np.clip(log_mean, -12, 14))
    if recipe.dispersion:
        mean = mean * rng.gamma(1 / recipe.dispersion, recipe.dispersion, size=len(mean))
    panel = table[KEYS].assign(y=rng.poisson(mean).astype(float), exposure=exposure[code])
    truth = true_ranks(effects.abs().mean()).assign(
        driver=lambda t: t["importance"] > 0, shape=lambda t: t["factor"].map(shapes)
    )
    return World(kind, seed, pd.concat([panel, table[names]], axis=1), tuple(names), truth, effects)


def true_ranks(importance: pd.Series) -> pd.DataFrame:
    """Return factors by importance with the range of ranks that ties allow.

    >>> true_ranks(pd.Series({"a": 0.0, "b": 2.0, "c": 0.0}))[["factor", "rank_best"]].values
    array([['b', 1],
           ['a', 2],
           ['c', 2]], dtype=object)
    """
    ordered = importance.sort_values(ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "factor": ordered.index,
            "importance": ordered.to_numpy(),
            "rank_best": [int((importance > v).sum()) + 1 for v in ordered],
            "rank_worst": [int((importance >= v).sum()) for v in ordered],
        }
    )


def _add_twins(
    table: pd.DataFrame,
    names: list[str],
    chosen: list[str],
    recipe: Recipe,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Make null factors into noisy copies of drivers, moving as the driver moves in time."""
    nulls = [n for n in names if n not in chosen and not n.startswith("dummy")]
    models = [n for n in chosen if not n.startswith("dummy")]
    table = table.copy()
    code = table.groupby(KEYS[:2]).ngroup().to_numpy()
    for twin, model in zip(nulls[: recipe.twins], models, strict=False):
        base = _standardised(table[model])
        static = table.groupby(KEYS[:2])[model].nunique().max() == 1
        own = rng.normal(size=code.max() + 1)[code]
        if not static:
            steps = pd.Series(rng.normal(scale=0.3, size=len(code))).groupby(code).cumsum()
            own = own + steps.to_numpy()
        own = (own - own.mean()) / own.std()
        table[twin] = recipe.collinear * base + np.sqrt(1 - recipe.collinear**2) * own
    return table


def _standardised(column: pd.Series) -> np.ndarray:
    value = column.fillna(column.mean()).to_numpy(float)
    return (value - value.mean()) / max(value.std(), 1e-12)


def _shaped(z: np.ndarray, shape: str, rng: np.random.Generator) -> np.ndarray:
    if shape == "linear":
        return z
    if shape == "saturating":
        return 1 - np.exp(-(z - z.min()) / rng.uniform(0.7, 1.3))
    if shape == "threshold":
        # Of the values that there are: half of all pairs may share no language at all.
        return (z > np.quantile(np.unique(z), rng.uniform(0.35, 0.65))).astype(float)
    if shape == "hump":
        return -((z - rng.uniform(-0.5, 0.5)) ** 2)
    raise ConfigError(f"simulate: unknown shape {shape!r}; known are {', '.join(SHAPES)}")


def _product_shares(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interventional Shapley values of `a * b` with the rows themselves as background."""
    joint = (a * b).mean()
    alone_a, alone_b = a * b.mean(), b * a.mean()
    first = 0.5 * (alone_a - joint) + 0.5 * (a * b - alone_b)
    second = 0.5 * (alone_b - joint) + 0.5 * (a * b - alone_a)
    return first - first.mean(), second - second.mean()


def _country_noise(table: pd.DataFrame, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    countries = pd.unique(pd.concat([table["i"], table["j"]]))
    value = pd.Series(rng.normal(scale=recipe.country_noise, size=len(countries)), index=countries)
    if recipe.regional_noise:
        value += recipe.regional_noise * shared_by_neighbours(list(countries), rng)
    return (table["i"].map(value) + table["j"].map(value)).to_numpy()
