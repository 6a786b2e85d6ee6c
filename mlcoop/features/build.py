"""Panel to leak-free feature matrix: every value is one that was known at the origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlcoop.countries import home_of
from mlcoop.errors import DataError, some
from mlcoop.features.catalogue import PAIR_INPUTS, input_columns, split_input
from mlcoop.features.factor import Factor, base_of
from mlcoop.schema import IN_FULL, PAIR, PAIR_YEAR
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
    focus_pairs: pd.DataFrame | Iterable[tuple[str, str]] | None = None,
    horizon: int = 1,
    exposure: bool = False,
) -> FeatureMatrix:
    """Build the features of every pair of the panel for the target years.

    A factor's value for target year t at horizon h is its function of the inputs observed in
    year t - lag - (h - 1), found by year and never by row. An input missing there is the last
    known one at most `carry` years older; a factor that reads two years is carried finished.
    Country factors become a feature for each end.

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
    focus_pairs : DataFrame with country_a and country_b, or pairs of codes, or None
        The pairs that the study is about; None means all pairs, or with a focal country all its
        pairs.
    horizon : int, at least 1
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
    assert horizon >= 1 and years
    needed = {column for factor in factors for column in input_columns(factor)}
    if exposure:
        needed |= {"works", "international_works_a", "international_works_b"}
    grid = _Grid(panel, sorted(needed | {"works"} | ({IN_FULL} & set(panel.columns))))
    pairs = grid.pairs
    # Where every pair is the focal country's, rows from the other end would lend its own figures
    # what differs between its partners: it has but as many of its own as there are years.
    every = pairs[["country_a", "country_b"]].eq(focal).any(axis=1).all()
    ways = 2 if any(factor.role == "country" for factor in factors) and not every else 1
    from_b = np.repeat(pairs["country_b"].to_numpy() == focal, len(years))

    columns: dict[str, np.ndarray] = {}
    features: list[Feature] = []
    for factor in factors:
        observed = [year - factor.lag - (horizon - 1) for year in years]
        if factor.role == "pair":
            value = _evaluate(factor, grid, observed, own=None)
            columns[factor.name] = np.repeat(value, ways)
            features.append(Feature(factor.name, factor.name, factor.label, factor.group, "pair"))
            continue
        at_a = _evaluate(factor, grid, observed, own="a")
        at_b = _evaluate(factor, grid, observed, own="b")
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
        observed = [year - EXPOSURE_LAG - (horizon - 1) for year in years]
        rows["exposure"] = np.repeat(_exposure(grid, observed, years), ways)
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


class _Grid:
    """The panel's columns as arrays of (pair, year), to look values up by year.

    `own_works` names the column that is to be taken away from a country's works.
    """

    def __init__(self, panel: pd.DataFrame, columns: list[str]) -> None:
        absent = [c for c in [*PAIR_YEAR, *columns] if c not in panel.columns]
        if absent:
            raise DataError(
                f"panel: no column {some(absent)}; add it or leave out the factors that read it"
            )
        code_a, names_a = pd.factorize(panel["country_a"], sort=True)
        code_b, names_b = pd.factorize(panel["country_b"], sort=True)
        pairs, code = np.unique(code_a * len(names_b) + code_b, return_inverse=True)
        self.pairs = pd.DataFrame(
            {
                "country_a": names_a.take(pairs // len(names_b)),
                "country_b": names_b.take(pairs % len(names_b)),
            }
        )
        year = panel["year"].to_numpy(int)
        # What a factor looks up by country is an institution's home country's.
        self._homes = self.pairs.apply(lambda end: end.map(home_of))
        self.first = int(year.min())
        self.width = int(year.max()) - self.first + 1
        cell = code * self.width + (year - self.first)
        if len(np.unique(cell)) < len(cell):
            twice = panel[panel.duplicated(PAIR_YEAR)]
            raise DataError(
                f"panel: a pair and year stands twice: {some(twice[PAIR_YEAR].to_numpy().tolist())}"
                "; keep one row each"
            )
        self.own_works = IN_FULL if IN_FULL in columns else "works"
        self._repeated: dict[tuple[int, ...], pd.DataFrame] = {}
        self._values: dict[str, np.ndarray] = {}
        for name in columns:
            flat = np.full(len(self.pairs) * self.width, np.nan)
            flat[cell] = panel[name].to_numpy(float)
            self._values[name] = flat.reshape(len(self.pairs), self.width)

    def keys(self, observed: Sequence[int]) -> pd.DataFrame:
        """Return the countries of pairs and the observed years, year changing fastest."""
        key = tuple(observed)
        if key not in self._repeated:
            rows = self.pairs.index.repeat(len(observed))
            table = self._homes.loc[rows].reset_index(drop=True)
            self._repeated[key] = table.assign(year=np.tile(observed, len(self.pairs)))
        return self._repeated[key]

    def at(self, name: str, observed: Sequence[int], carry: int) -> np.ndarray:
        """Return the values (pair, observed year), carried forward at most `carry` years."""
        out = np.full((len(self.pairs), len(observed)), np.nan)
        for j, year in enumerate(observed):
            for back in range(carry + 1):
                k = year - back - self.first
                if k < 0:
                    break
                if k >= self.width:
                    continue
                hole = np.isnan(out[:, j])
                if not hole.any():
                    break
                out[hole, j] = self._values[name][hole, k]
        return out


def _evaluate(factor: Factor, grid: _Grid, observed: Sequence[int], own: str | None) -> np.ndarray:
    """Return the factor's value for every pair and observed year, flat in that order.

    `own` is the end, "a" or "b", whose figures a country factor reads; None for a pair factor.
    """
    if not any(split_input(name)[1] for name in factor.inputs):
        return _at_once(factor, grid, observed, own, factor.carry)
    # Were the years of a change carried apart, a change over three years would at the end of a
    # series be one over two or one. So the finished change is carried.
    value = _at_once(factor, grid, observed, own, carry=0)
    for back in range(1, factor.carry + 1):
        hole = np.isnan(value)
        if not hole.any():
            break
        before = _at_once(factor, grid, [year - back for year in observed], own, carry=0)
        value[hole] = before[hole]
    return value


def _at_once(
    factor: Factor, grid: _Grid, observed: Sequence[int], own: str | None, carry: int
) -> np.ndarray:
    """Return what `_evaluate` does, each input carried forward by itself at most `carry` years."""
    keys = grid.keys(observed)
    # Gathered first and made a table once: setting columns one by one costs more than they do.
    columns: dict[str, object] = {"year": keys["year"]}
    if own is None:
        columns |= {end: keys[end] for end in PAIR}
    else:
        columns["iso3"] = keys[f"country_{own}"]
    for name in factor.inputs:
        variable, back = split_input(name)
        then = [year - back for year in observed]
        if variable in PAIR_INPUTS:
            read = grid.own_works if variable == "works" else variable
            columns[name] = grid.at(read, then, carry).ravel()
        elif own is not None:
            columns[name] = grid.at(f"{variable}_{own}", then, carry).ravel()
        else:
            for end in ("a", "b"):
                columns[f"{name}_{end}"] = grid.at(f"{variable}_{end}", then, carry).ravel()
    table = pd.DataFrame(columns)
    # A copy, since a function may hand back one of the table's own columns.
    return factor.function(table).to_numpy(float, copy=True)


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


def _rows(grid: _Grid, years: list[int], ways: int, focal: str | None) -> pd.DataFrame:
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
    pairs: pd.DataFrame,
    focus_pairs: pd.DataFrame | Iterable[tuple[str, str]] | None,
    focal: str | None,
) -> np.ndarray:
    if focus_pairs is None:
        if focal is None:
            return np.ones(len(pairs), dtype=bool)
        return ((pairs["country_a"] == focal) | (pairs["country_b"] == focal)).to_numpy()
    if isinstance(focus_pairs, pd.DataFrame):
        focus_pairs = focus_pairs[PAIR].itertuples(index=False, name=None)
    wanted = {(min(pair), max(pair)) for pair in focus_pairs}
    present = list(zip(pairs["country_a"], pairs["country_b"], strict=True))
    missing = sorted(wanted - set(present))
    if missing:
        raise DataError(
            f"focus: {some('-'.join(pair) for pair in missing)} not in the panel; drop these pairs "
            "from the focus or add their countries to the training set"
        )
    return np.array([pair in wanted for pair in present])


def _exposure(grid: _Grid, observed: Sequence[int], years: list[int]) -> np.ndarray:
    """Return expected works if countries mixed at random, from works without the pair's own.

    For countries i and j with w_i and w_j international works without each other, and T the sum
    of all countries' international works of that year, w_i w_j / T, as association strength does
    (van Eck and Waltman 2009, doi:10.1002/asi.21075). A country without any counts as one work.
    """
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
