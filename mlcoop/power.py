"""Power analysis: which effects and orders of factors a study of a given size could establish.

Counts with known effects are drawn over the study's own covariates, or covariates like them, and
ranked as the study would rank its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from mlcoop.errors import ConfigError, DataError
from mlcoop.explain.crossfit import pair_names
from mlcoop.explain.ranking import rank_factors
from mlcoop.features.build import FeatureMatrix, columns_of_both_ends, explain_rows
from mlcoop.few_pairs import FEWEST
from mlcoop.model.training import MANY_PAIRS
from mlcoop.plan import Plan
from mlcoop.planted import plant_counts, planted_order

PER_SD = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
SD_OF_MEAN_ABSOLUTE = float(np.sqrt(np.pi / 2))  # of a bell-shaped factor
WANTED = 0.80
MOST_ROWS = 30_000
MOST_RESAMPLES = 100
MOST_RESAMPLES_OF_MANY = 20
SHARE_OF_DRIVERS = 0.4
EFFECTS = (0.02, 0.8)  # range from which effects are drawn, log works per standard deviation
BOOTSTRAPS = 200
FEWEST_CASES = 10
PULL = 1e-2


@dataclass(frozen=True)
class Surroundings:
    """What a power analysis takes for granted of the counts, on the log scale.

    Attributes
    ----------
    mean_works : float
        Expected works of the average pair and year.
    pair_noise, country_noise : float
        Standard deviation of lasting effects of pairs and of countries that no factor explains.
    dispersion : float
        Variance of a count is mu + dispersion * mu**2.
    """

    mean_works: float = 30.0
    pair_noise: float = 0.5
    country_noise: float = 0.0
    dispersion: float = 0.1


@dataclass(frozen=True)
class Power:
    """Statistical power of a study of this size.

    Attributes
    ----------
    found, order : DataFrame
        `per_sd, percent, probability, low, high`: of a factor with an effect of this size, that
        it is above the null line; of two factors whose effects differ by this size, that their
        order is established. `per_sd` is log works per standard deviation, `percent`
        the same as percent of collaboration. The interval is a 95 % bootstrap over worlds.
    smallest_found, smallest_order : float or None
        Size (log works per standard deviation) at which the probability is 80 %; None when it
        lies beyond the sizes of the tables.
    false_found, wrong_orders : float
        Share of nulls among the factors detected, and of wrong orders among all those
        established, of factors with an effect and of others.
    size : dict
        `focus_pairs, training_pairs, countries, years, factors, worlds, resamples`.
    surroundings : Surroundings
    notes : tuple of str
        What the reader must know.
    """

    found: pd.DataFrame
    order: pd.DataFrame
    smallest_found: float | None
    smallest_order: float | None
    false_found: float
    wrong_orders: float
    size: dict[str, int]
    surroundings: Surroundings
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        names = ("smallest_found", "smallest_order", "false_found", "wrong_orders", "size")
        tables = {name: getattr(self, name).to_dict(orient="records") for name in _TABLES}
        return {
            **tables,
            **{name: getattr(self, name) for name in names},
            "assumed": asdict(self.surroundings),
            "notes": list(self.notes),
        }


_TABLES = ("found", "order")


def surroundings_of(
    plan: Plan, *, works: float | None = None, pair_noise: float | None = None
) -> Surroundings:
    """Return what to take for granted of a plan's counts: the planted study's own, or typical.

    Where both ends vary, countries have lasting effects of their own too.
    """
    planted = plan.config.simulated
    typical = Surroundings(country_noise=0.0 if plan.config.training.pairs == "focus" else 0.3)
    if planted is not None:
        typical = Surroundings(
            planted.mean_works, planted.pair_noise, dispersion=planted.dispersion
        )
    given = {"mean_works": works, "pair_noise": pair_noise}
    return replace(typical, **{k: v for k, v in given.items() if v is not None})


def power_analysis(
    matrix: FeatureMatrix,
    learner: str,
    params: dict[str, Any] | None = None,
    *,
    surroundings: Surroundings,
    level: float = 0.95,
    resamples: int = 60,
    unit: str = "auto",
    worlds: int = 20,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    notes: Sequence[str] = (),
) -> Power:
    """Return which effects and orders a study over these covariates could establish.

    Parameters
    ----------
    matrix : FeatureMatrix
        The study's rows and features; its works are not used.
    learner, params, level, resamples, unit
        As the study would rank with; see `explain.ranking.rank_factors`.
    surroundings : Surroundings
    worlds : int, at least 2
        Planted worlds. About two fifths of the factors of each have an effect, log-linear, of a
        size between 0.02 and 0.8 and of either sign.
    seed, workers : int
        The seed settles every number; workers change none.
    progress : callable (done, of), optional
    notes : sequence of str
        On the covariates, to go first among the notes.

    Raises
    ------
    ConfigError
        Fewer than two worlds.
    DataError
        Fewer than two factors, or too few focus pairs to rank by.

    Notes
    -----
    Probabilities are averages over factors and over what else has an effect: a rare tie, or a
    factor that moves with others, is harder to detect than the table says, and a smooth one easier.
    They come from a logistic curve in the logarithm of the size. Effects that bend, or depend on
    other factors, are harder to establish than these.
    """
    if worlds < 2:
        raise ConfigError(f"power: {worlds} worlds are too few; give --worlds 2 or more")
    if len({f.factor for f in matrix.features}) < 2:
        raise DataError(
            "power: a study of fewer than two factors has no order to establish; add factors"
        )
    pairs = len(np.unique(pair_names(matrix.rows[matrix.rows["in_focus"].astype(bool)])))
    if pairs < FEWEST:
        raise DataError(
            f"power: ranking factors needs {FEWEST} focus pairs or more, and this study has "
            f"{pairs}; add pairs"
        )
    small, thinned = _fewer_rows(matrix, seed)
    # refits are slow where many pairs are trained on
    many = len(np.unique(pair_names(matrix.rows))) >= MANY_PAIRS
    refits = min(resamples, MOST_RESAMPLES_OF_MANY if many else MOST_RESAMPLES)

    def one(world: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
        with threadpool_limits(1):
            return _one_world(
                small,
                surroundings,
                {
                    "learner": learner,
                    "params": params,
                    "level": level,
                    "resamples": refits,
                    "unit": unit,
                },
                int(np.random.default_rng([seed, world]).integers(2**31)),
            )

    results = []
    for done, result in enumerate(
        Parallel(n_jobs=workers, return_as="generator")(delayed(one)(w) for w in range(worlds)), 1
    ):
        results.append(result)
        if progress is not None:
            progress(done, worlds)
    factors = pd.concat([r[0].assign(world=w) for w, r in enumerate(results)])
    orders = pd.concat([r[1].assign(world=w) for w, r in enumerate(results)])
    told = pd.DataFrame([r[2] for r in results])
    drivers = factors[factors["size"] > 0]
    found, smallest_found = _curve(drivers, "found", seed)
    order, smallest_order = _curve(orders, "told", seed)
    said = [*notes, *thinned]
    cases = {"effects": len(drivers), "orders": len(orders)}
    said += [
        f"Only {n} {what} were simulated, too few for a reliable curve: give more --worlds."
        for what, n in cases.items()
        if n < FEWEST_CASES
    ]
    if refits < resamples:
        said.append(f"Each world uses {refits} bootstrap refits; the study uses {resamples}.")
    rows = matrix.rows
    focus = rows[explain_rows(matrix)]
    return Power(
        found,
        order,
        smallest_found,
        smallest_order,
        false_found=_share(factors["found"] & (factors["size"] == 0), factors["found"]),
        wrong_orders=_share(told["wrong"], told["right"] + told["wrong"]),
        size={
            "focus_pairs": len(np.unique(pair_names(focus))),
            "training_pairs": len(np.unique(pair_names(rows))),
            "countries": len(pd.unique(rows[["country_a", "country_b"]].to_numpy().ravel())),
            "years": int(rows["year"].nunique()),
            "factors": len({f.factor for f in matrix.features}),
            "worlds": worlds,
            "resamples": refits,
        },
        surroundings=surroundings,
        notes=tuple(said),
    )


def draw_world(
    matrix: FeatureMatrix, drivers: dict[str, float], surroundings: Surroundings, seed: int
) -> tuple[FeatureMatrix, pd.Series]:
    """Plant effects on the covariates; return the matrix with counts, and each factor's size.

    Parameters
    ----------
    drivers : dict
        Name without role to log works per standard deviation over all rows.

    Returns
    -------
    matrix : FeatureMatrix
    size : Series by factor
        True mean absolute centred effect over the explained rows, log scale.
    """
    counts, effects = plant_counts(
        matrix.rows,
        matrix.X,
        columns_of_both_ends(matrix.features),
        drivers,
        mean_works=surroundings.mean_works,
        pair_noise=surroundings.pair_noise,
        dispersion=surroundings.dispersion,
        country_noise=surroundings.country_noise,
        seed=seed,
    )
    keys = ["country_a", "country_b", "year"]
    works = matrix.rows[keys].merge(counts, on=keys, how="left", validate="many_to_one")["works"]
    shown = explain_rows(matrix).to_numpy(bool)
    truth = planted_order(effects[shown], [f.factor for f in matrix.features])
    sizes = pd.Series({t["factor"]: t["importance"] for t in truth}, dtype=float)
    rows = matrix.rows.assign(works=works.to_numpy(), exposure=1.0)
    return FeatureMatrix(rows, matrix.X, matrix.features, matrix.focal), sizes


def _one_world(
    matrix: FeatureMatrix, surroundings: Surroundings, ranking: dict[str, Any], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    rng = np.random.default_rng(seed)
    names = list(columns_of_both_ends(matrix.features))
    chosen = rng.permutation(names)[: max(2, round(SHARE_OF_DRIVERS * len(names)))]
    sizes = np.exp(rng.uniform(np.log(EFFECTS[0]), np.log(EFFECTS[1]), size=len(chosen)))
    signs = rng.choice([-1.0, 1.0], size=len(chosen))
    drivers = {str(n): float(v) for n, v in zip(chosen, sizes * signs, strict=True)}
    planted, truth = draw_world(matrix, drivers, surroundings, int(rng.integers(2**31)))
    result = rank_factors(planted, seed=int(rng.integers(2**31)), **ranking)
    found = result.factors.set_index("factor")["above_null"]
    factors = pd.DataFrame({"size": truth[found.index], "found": found.astype(bool)})
    size, told = truth.to_numpy(), result.told.loc[truth.index, truth.index].to_numpy(bool)
    right = size[:, None] > size[None, :]
    low, high = np.nonzero(right.T & (size > 0)[:, None])
    orders = pd.DataFrame({"size": size[high] - size[low], "told": told[high, low]})
    counts = {"right": int((told & right).sum()), "wrong": int((told & ~right).sum())}
    return factors.reset_index(drop=True), orders, counts


def _fewer_rows(matrix: FeatureMatrix, seed: int) -> tuple[FeatureMatrix, list[str]]:
    """Keep the explained rows and a share of the others, most pairs among them."""
    if len(matrix.rows) <= MOST_ROWS:
        return matrix, []
    shown = explain_rows(matrix).to_numpy(bool)
    others = np.flatnonzero(~shown)
    room = max(MOST_ROWS - int(shown.sum()), 0)
    kept = np.random.default_rng(seed).choice(others, room, replace=False)
    mask = shown.copy()
    mask[kept] = True
    note = (
        f"Worlds hold the focus rows and a random sample of {room:,} of the {len(others):,} "
        "others; the learner itself is fitted on a sample of similar size."
    )
    small = matrix.take(mask)
    rows, X = small.rows.reset_index(drop=True), small.X.reset_index(drop=True)
    return FeatureMatrix(rows, X, small.features, small.focal), [note]


def _curve(cases: pd.DataFrame, outcome: str, seed: int) -> tuple[pd.DataFrame, float | None]:
    """Fit the probability of an outcome as a logistic curve in the logarithm of the size."""
    grid = np.array(PER_SD)
    x = np.log(np.maximum(cases["size"].to_numpy() * SD_OF_MEAN_ABSOLUTE, 1e-4))
    y = cases[outcome].to_numpy(float)
    table = pd.DataFrame({"per_sd": grid, "percent": 100 * np.expm1(grid)})
    coef = _rising(x, y)
    probability = _expit(coef, np.log(grid))
    codes = cases["world"].to_numpy()
    worlds = np.unique(codes)
    where = {w: np.flatnonzero(codes == w) for w in worlds}
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(BOOTSTRAPS):
        rows = np.concatenate([where[w] for w in rng.choice(worlds, len(worlds))])
        drawn.append(_expit(_rising(x[rows], y[rows]), np.log(grid)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    table = table.assign(
        probability=probability,
        low=np.minimum(low, probability),
        high=np.maximum(high, probability),
    )
    if coef[1] <= 1e-6:
        return table, float(grid[0]) if probability[0] >= WANTED else None
    smallest = float(np.exp((np.log(WANTED / (1 - WANTED)) - coef[0]) / coef[1]))
    return table, smallest if smallest <= grid[-1] else None


def _rising(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return intercept and slope of a curve that does not fall: more is never harder to detect."""
    coef = _logistic(x, y)
    return coef if coef[1] >= 0 else np.array([_logistic(np.zeros_like(x), y)[0], 0.0])


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return intercept and slope, with a weak pull to a flat curve: cases may be parted wholly."""
    if y.min() == y.max():  # no curve, but a rate: half a case is taken for either outcome
        return np.array([special.logit((y.sum() + 0.5) / (len(y) + 1)), 0.0])
    design = np.column_stack([np.ones(len(x)), x])
    fit = LogisticRegression(C=1 / PULL, fit_intercept=False, tol=1e-8, max_iter=1000)
    return np.asarray(fit.fit(design, y).coef_[0])


def _expit(coef: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.asarray(special.expit(coef[0] + coef[1] * x))


def _share(part: pd.Series, whole: pd.Series) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else 0.0
