"""Panel to leak-free feature matrix: every value is one that was known at the origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlcoop.countries import home_of
from mlcoop.errors import DataError, some
from mlcoop.features.catalogue import input_columns, split_input
from mlcoop.features.factor import Factor, base_of
from mlcoop.features.grid import Grid, evaluate
from mlcoop.schema import IN_FULL, PAIR
from mlcoop.sources.openalex.institution import OWN_VARIABLES

# Counts of the year before are what an origin is defined by; see `_exposure`.
EXPOSURE_LAG = 1
EXPOSURE_CARRY = 2


@dataclass(frozen=True)
class Feature:
    """A column of X: which factor it belongs to, and whose figure it is.

    `own`: a column of the user's own, of which the catalogue knows neither unit nor scale, though
    one of its factors may have the same name.
    """

    name: str
    factor: str
    label: str
    group: str
    role: str
    own: bool = False


@dataclass(frozen=True)
class FeatureMatrix:
    """Rows, columns and target of a factor model.

    Attributes
    ----------
    rows : DataFrame
        focal, partner, country_a, country_b, year (the target year), works (NaN where not
        observed), exposure (above 0; 1 if none), weight, in_focus. `country_a < country_b` names
        the pair whichever way the row looks at it.
    X : DataFrame of float32 on the same index, NaN where missing
    features : tuple of Feature, one per column of X in order
    focal : str or None
        Focal country of the study.
    """

    rows: pd.DataFrame
    X: pd.DataFrame
    features: tuple[Feature, ...]
    focal: str | None = None

    def take(self, mask: pd.Series | np.ndarray) -> FeatureMatrix:
        """Return the matrix of the rows where `mask` holds, index kept."""
        return FeatureMatrix(self.rows[mask], self.X[mask], self.features, self.focal)


def build_features(
    panel: pd.DataFrame,
    *,
    factors: Sequence[Factor],
    years: Iterable[int],
    focal: str | None = None,
    focus_pairs: pd.DataFrame | None = None,
    exposure: bool = False,
) -> FeatureMatrix:
    """Build the features of every pair of the panel for the target years.

    A factor's value for target year t is its function of the inputs observed in year t - lag,
    found by year and never by row. An input missing there is the last known one at most `carry`
    years older; a factor that reads two years is carried finished. Country factors become a
    feature for each end.

    Parameters
    ----------
    panel : DataFrame
        `schema.PANEL`; years before the first target year serve the lags.
    factors : sequence of Factor
        From `select_factors`, filtered by `usable_factors` where the panel may lack inputs.
    years : iterable of int
        Target years. One beyond the panel's last year is a year to be forecast: works are NaN.
    focal : str or None
        ISO3 of the study's focal country. Then a country factor becomes two factors,
        `NAME_partner` and `NAME_focal`, and both feature columns keep these names. Without one,
        both columns belong to the factor NAME in role "both".
    focus_pairs : DataFrame with country_a < country_b, or None
        The pairs that the study is about; None means all pairs, or with a focal country all its
        pairs.
    exposure : bool
        Multiply expectation by both ends' international works with others over the total of the
        panel's countries, so that the model explains intensity instead of volume.

    Returns
    -------
    FeatureMatrix
        Sorted by pair, year and orientation. With any country factor each pair and year stands
        twice, once from either end, with weight 0.5; without one, or where every pair is the focal
        country's (then from its end), once with weight 1.

    Raises
    ------
    DataError
        If the panel lacks a column or has a pair and year twice, if a focus pair is not in it, or
        if the exposure is unknown for some rows.
    """
    years = sorted(set(int(year) for year in years))
    assert years
    needed = {column for factor in factors for column in input_columns(factor)}
    if exposure:
        needed |= {"works", "international_works_a", "international_works_b"}
    grid = Grid(panel, sorted(needed | {"works"} | ({IN_FULL} & set(panel.columns))))
    pairs = grid.pairs
    # Where every pair is the focal country's, rows from the other end would lend its own figures
    # what differs between its partners: it has but as many of its own as there are years.
    every = pairs[["country_a", "country_b"]].eq(focal).any(axis=1).all()
    ways = 2 if any(factor.role == "country" for factor in factors) and not every else 1
    from_b = np.repeat(pairs["country_b"].to_numpy() == focal, len(years))

    columns: dict[str, np.ndarray] = {}
    features: list[Feature] = []
    for factor in factors:
        observed = [year - factor.lag for year in years]
        if factor.role == "pair":
            value = evaluate(factor, grid, observed, own=None)
            columns[factor.name] = np.repeat(value, ways)
            features.append(Feature(factor.name, factor.name, factor.label, factor.group, "pair"))
            continue
        at_a = evaluate(factor, grid, observed, own="a")
        at_b = evaluate(factor, grid, observed, own="b")
        # Whose figure it is in a row that looks from a (focal a, partner b), and in one from b.
        by_role = {"partner": (at_b, at_a), "focal": (at_a, at_b)}
        for role, (if_from_a, if_from_b) in by_role.items():
            name = f"{factor.name}_{role}"
            if ways == 2:
                columns[name] = np.stack((if_from_a, if_from_b), axis=1).ravel()
            else:
                columns[name] = np.where(from_b, if_from_b, if_from_a)
                if role == "focal" and "works" in factor.inputs:
                    columns[name] = _year_means(columns[name], len(years))
            features.append(_role_feature(factor, name, role, focal))

    rows = _rows(grid, years, ways, focal)
    rows["works"] = np.repeat(grid.at("works", years, 0).ravel(), ways)
    if exposure:
        rows["exposure"] = np.repeat(_exposure(grid, years), ways)
    rows["in_focus"] = np.repeat(_in_focus(pairs, focus_pairs, focal), len(years) * ways)
    X = pd.DataFrame(
        {name: values.astype(np.float32) for name, values in columns.items()}, index=rows.index
    )
    assert not np.isinf(X.to_numpy()).any(), "a factor function returned infinity"
    return FeatureMatrix(rows, X, tuple(features), focal)


def columns_by(features: Sequence[Feature], side: Callable[[Feature], str]) -> dict[str, list[int]]:
    """Return the positions of features by the side that each is on: its factor, its group, ..."""
    columns: dict[str, list[int]] = {}
    for position, feature in enumerate(features):
        columns.setdefault(side(feature), []).append(position)
    return columns


def columns_of_both_ends(features: Sequence[Feature]) -> dict[str, list[str]]:
    """Return the names of each factor's columns, the two ends of a country factor as one."""
    names: dict[str, list[str]] = {}
    for f in features:
        names.setdefault(f.factor if f.role == "pair" else base_of(f.factor), []).append(f.name)
    return names


def without_constant(matrix: FeatureMatrix) -> tuple[FeatureMatrix, list[str]]:
    """Leave out factors that are the same in every row: they can neither be learnt nor ranked."""
    X = matrix.X
    varies = X.max() > X.min()
    moving = {f.factor for f in matrix.features if varies[f.name]}
    kept = tuple(f for f in matrix.features if f.factor in moving)
    lost = sorted({f.factor for f in matrix.features} - moving)
    return FeatureMatrix(matrix.rows, X[[f.name for f in kept]], kept, matrix.focal), lost


def explain_rows(matrix: FeatureMatrix) -> pd.Series:
    """Return which rows are explained: a boolean Series on the index of the matrix.

    The focus pairs; where the study has a focal country and rows look both ways, only the rows
    that look from the focal country to its partner.
    """
    return matrix.rows["in_focus"].astype(bool) & seen_from_focal(matrix)


def seen_from_focal(matrix: FeatureMatrix) -> pd.Series:
    """Return which rows do not look from a partner to the focal country: all, where none is."""
    rows = matrix.rows
    if matrix.focal is None:
        return pd.Series(True, index=rows.index)
    return (rows["focal"] == matrix.focal) | ~rows[PAIR].eq(matrix.focal).any(axis=1)


def _year_means(values: np.ndarray, n_years: int) -> np.ndarray:
    """Return the mean over pairs in each year in place of each pair's value.

    What one country has without each of its partners differs between these by their own works
    alone: within a year it is the pair's past, turned round.
    """
    mean = pd.DataFrame(values.reshape(-1, n_years)).mean()
    return np.tile(mean.to_numpy(), len(values) // n_years)


def _role_feature(factor: Factor, name: str, role: str, focal: str | None) -> Feature:
    if focal is None:
        return Feature(name, factor.name, factor.label, factor.group, "both")
    owner = "partner" if role == "partner" else "focal country"
    if role == "focal" and home_of(focal) != focal:
        # Some variables are the institution's own, the others its country's.
        own = {split_input(name)[0] for name in factor.inputs} & {"works", *OWN_VARIABLES}
        owner = "institution" if own else "home country"
    group = f"{factor.group}_{role}" if factor.by_role else factor.group
    return Feature(name, name, f"{factor.label}, {owner}", group, role)


def _rows(grid: Grid, years: list[int], ways: int, focal: str | None) -> pd.DataFrame:
    """Return the rows of a matrix, works, exposure and focus still to be filled in."""
    repeat = len(years) * ways
    a = np.repeat(grid.pairs["country_a"].to_numpy(object), repeat)
    b = np.repeat(grid.pairs["country_b"].to_numpy(object), repeat)
    alternate = np.tile([False, True], len(a) // 2)
    from_b = alternate if ways == 2 else b == focal
    return pd.DataFrame(
        {
            "focal": np.where(from_b, b, a),
            "partner": np.where(from_b, a, b),
            "country_a": a,
            "country_b": b,
            "year": np.tile(np.repeat(years, ways), len(grid.pairs)),
            "works": np.nan,
            "exposure": 1.0,
            "weight": 1.0 / ways,
            "in_focus": False,
        }
    ).astype({column: "str" for column in ("focal", "partner", "country_a", "country_b")})


def _in_focus(
    pairs: pd.DataFrame, focus_pairs: pd.DataFrame | None, focal: str | None
) -> np.ndarray:
    if focus_pairs is None:
        return pairs.eq(focal).any(axis=1).to_numpy() | (focal is None)
    present, wanted = (pd.MultiIndex.from_frame(table[PAIR]) for table in (pairs, focus_pairs))
    missing = wanted.difference(present)
    if len(missing):
        raise DataError(
            f"focus: {some('-'.join(pair) for pair in missing)} not in the panel; drop these pairs "
            "from the focus or add their countries to the training set"
        )
    return present.isin(wanted)


def _exposure(grid: Grid, years: list[int]) -> np.ndarray:
    """Return expected works if countries mixed at random, from works without the pair's own.

    For countries i and j with w_i and w_j international works without each other, and T the sum
    of all countries' international works of that year, w_i w_j / T, as association strength does
    (van Eck and Waltman 2009, doi:10.1002/asi.21075). A country without any counts as one work.
    """
    observed = [year - EXPOSURE_LAG for year in years]
    works = grid.at(grid.own_works, observed, EXPOSURE_CARRY)
    total_a = grid.at("international_works_a", observed, EXPOSURE_CARRY)
    total_b = grid.at("international_works_b", observed, EXPOSURE_CARRY)
    ends = pd.concat(
        [
            pd.DataFrame(total).groupby(grid.pairs[f"country_{end}"].to_numpy()).first()
            for end, total in (("a", total_a), ("b", total_b))
        ]
    )
    world = ends.groupby(level=0).first().sum(min_count=1).to_numpy()
    with np.errstate(invalid="ignore"):
        value = np.maximum(total_a - works, 1) * np.maximum(total_b - works, 1) / world
    unknown = np.isnan(value)
    if unknown.any():
        lost = {
            (grid.pairs.at[i, "country_a"], grid.pairs.at[i, "country_b"], years[j])
            for i, j in zip(*np.nonzero(unknown), strict=True)
        }
        named = some("-".join(map(str, key)) for key in sorted(lost))
        raise DataError(
            f"exposure: no international works known for {named}; start the "
            "study a year later or set exposure: false"
        )
    return value.ravel()
