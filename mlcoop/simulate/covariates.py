"""Covariates of planted worlds: real places, borders, languages and blocs; drawn figures.

Countries are drawn from the world's, so ties between them move together as real ones do: near
countries share borders, hours and languages. Only population levels are real among the national
figures; the rest, and all that two countries share beyond their place, is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property

import numpy as np
import pandas as pd

from mlcoop import tables
from mlcoop.errors import ConfigError
from mlcoop.planted import simulate_indicators
from mlcoop.sources import geography

KEYS = ["i", "j", "year"]
FIRST_YEAR = 2005
FEWEST_PEOPLE = 300_000
FOCAL_AMONG = 60
"""A focal country is drawn among this many of the most populous."""

NEAR_KM = 2000.0

TIES = ("distance", "border", "time_difference", "official_language", "spoken_language", "bloc")
DRAWN = ("pair", "national", "static", "dummy")
MIXED = (
    "distance", "border", "time_difference", "pair", "population", "national", "pair",
    "official_language", "spoken_language", "bloc", "static", "pair", "national", "national",
)  # fmt: skip
LIFELIKE = (
    "distance", "border", "population", "gdp", "gdp_per_head", "articles", "rule_of_law",
    "official_language", "spoken_language", "un_distance", "corruption_control", "internet",
    "patents", "rd_share", "researchers", "time_difference", "bloc",
)  # fmt: skip
BEYOND = ("pair", "static", "national", "dummy", "pair", "national", "static", "dummy")
# Of `planted.simulate_indicators`.
INDICATORS = {
    "population": "population",
    "gdp": "gdp_usd2015",
    "gdp_per_head": "gdp_per_head_usd2015",
    "articles": "articles",
    "patents": "patents_resident",
    "researchers": "researchers_per_million",
    "rd_share": "rd_pct_gdp",
    "internet": "internet_pct",
}
SCORES = ("rule_of_law", "corruption_control")
IN_LOGS = ("distance", *INDICATORS)


def world_covariates(
    *,
    pairs: int,
    years: int,
    factors: int,
    countries: int,
    lifelike: bool,
    rng: np.random.Generator,
    regional: float = 0.0,
) -> pd.DataFrame:
    """Draw countries, and factors of their pairs.

    Parameters
    ----------
    pairs, years, factors : int
        `pairs` partners of one focal country, from 2005 on.
    countries : int
        Above 0 all pairs of so many countries instead.
    lifelike : bool
        National figures that move together as real ones do: output with population, articles
        with output, scores of government with one another and with income. Otherwise national
        series share a fifth of their variance, and pairs have series of their own too.
    rng : Generator
    regional : float
        Share of the variance of lasting figures, of pairs and nations, that near countries share.

    Returns
    -------
    DataFrame of shape (pairs * years, 3 + factors)
        Keys `i, j, year` (ISO3), then the factors, those of `IN_LOGS` in logs. National ones are
        those of `j` or, where both ends vary, the mean of both. A tie that fewer than three pairs
        have is replaced by one that is drawn.

    Raises
    ------
    ConfigError
        When there are not so many countries.
    """
    grid = _Grid(pairs, years, countries, regional, rng)
    layout = LIFELIKE if lifelike else MIXED
    columns: dict[str, np.ndarray] = {}
    for k in range(factors):
        maker = layout[k] if k < len(layout) else BEYOND[(k - len(layout)) % len(BEYOND)]
        value = grid.column(maker)
        drawn = maker in DRAWN
        if _differs_in(value, grid) < 3:
            value, drawn, maker = grid.column("dummy"), True, "dummy"
        columns[f"{maker}_{k + 1:02d}" if drawn else maker] = value
    return pd.concat([grid.keys, pd.DataFrame(columns)], axis=1)


class _Grid:
    """Countries, their pairs and years, and what has been drawn for them so far."""

    def __init__(
        self, pairs: int, years: int, countries: int, regional: float, rng: np.random.Generator
    ) -> None:
        known = _peopled()
        most = len(known) if countries else len(known) - 1
        if (countries or pairs) > most:
            raise ConfigError(
                f"simulate: {'countries' if countries else 'pairs'}: {countries or pairs} are more "
                f"than the {most} there are"
                + ("" if countries else "; set countries for all pairs of several countries")
            )
        focal = str(rng.choice(known[:FOCAL_AMONG]))
        self.around = geography.ties(known, only=[focal])
        others = _near_ones(focal, self.around, (countries - 1) if countries else pairs, rng)
        if countries:
            self.names = sorted([focal, *others])
            ends = [(a, b) for k, a in enumerate(self.names) for b in self.names[k + 1 :]]
        else:
            self.names = [focal, *others]
            ends = [(focal, b) for b in others]
        self.rng = rng
        self.both, self.regional = bool(countries), regional
        self.ends = pd.DataFrame(ends, columns=["i", "j"])
        self.span = np.arange(FIRST_YEAR, FIRST_YEAR + years)
        self.keys = pd.DataFrame(
            {
                "i": np.repeat(self.ends["i"].to_numpy(), years),
                "j": np.repeat(self.ends["j"].to_numpy(), years),
                "year": np.tile(self.span, len(ends)),
            }
        )
        at = {name: k for k, name in enumerate(self.names)}
        self.first = self.ends["i"].map(at).to_numpy()
        self.second = self.ends["j"].map(at).to_numpy()
        self.development = rng.normal(size=(len(self.names), 1))
        self.seed = int(rng.integers(2**31))

    def column(self, maker: str) -> np.ndarray:
        """Return one factor, in the order of `keys`."""
        if maker in TIES:
            return self._tie(maker)
        if maker == "un_distance":
            at = self.figures["un_ideal_point"]
            return np.abs(at[self.first] - at[self.second]).ravel()
        if maker in self.figures:
            return self._of_ends(self.figures[maker])
        size = (len(self.ends), len(self.span))
        if maker == "pair":
            steps = self.rng.normal(scale=0.3, size=size).cumsum(axis=1)
            return (self._lasting(self._of_pairs)[:, None] + steps).ravel()
        if maker == "static":
            return np.repeat(self._lasting(self._of_pairs), size[1])
        if maker == "dummy":
            on = self.rng.random(size[0]) < self.rng.uniform(0.1, 0.4)
            on[:3] = True  # a dummy that is never on would be no factor
            return np.repeat(self.rng.permutation(on).astype(float), size[1])
        assert maker == "national", maker
        level = 0.5 * self.development + 0.9 * self._lasting(lambda own: own)[:, None]
        return self._of_ends(level + self._walk(0.2, self.rng.uniform(0, 0.12)))

    @cached_property
    def ties(self) -> pd.DataFrame:
        """What geography knows of the pairs, in the order of `ends`."""
        found = geography.ties(self.names) if self.both else self.around
        pairs = pd.MultiIndex.from_arrays([self.ends.min(axis=1), self.ends.max(axis=1)])
        return found.set_index(["country_a", "country_b"]).loc[pairs]

    @cached_property
    def figures(self) -> dict[str, np.ndarray]:
        """National figures by name, each of shape (n_countries, n_years)."""
        first, last = int(self.span[0]), int(self.span[-1])
        drawn = simulate_indicators(self.names, (first, last), seed=self.seed)
        wide = drawn.pivot_table(index=["variable", "iso3"], columns="year", values="value")
        found = {
            name: np.log(wide.loc[variable].loc[self.names].to_numpy())
            for name, variable in INDICATORS.items()
        }
        income = found["gdp_per_head"] - found["gdp_per_head"].mean()
        good = 0.6 * income / income.std() + 0.7 * self.rng.normal(size=self.development.shape)
        for score in SCORES:  # real ones correlate by 0.9 and more
            own = 0.3 * self.rng.normal(size=self.development.shape)
            found[score] = good + own + self._walk(0.05)
        found["un_ideal_point"] = wide.loc["un_ideal_point"].loc[self.names].to_numpy()
        return found

    def _lasting(self, spread: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return lasting figures of variance one; `spread` takes those of countries to whom."""
        own = self.rng.normal(size=len(spread(np.zeros(len(self.names)))))
        if not self.regional:
            return own
        shared = spread(shared_by_neighbours(self.names, self.rng))
        return np.sqrt(1 - self.regional) * own + np.sqrt(self.regional) * shared

    def _of_pairs(self, national: np.ndarray) -> np.ndarray:
        if self.both:
            return (national[self.first] + national[self.second]) / np.sqrt(2)
        return national[self.second]

    def _walk(self, step: float, trend: float = 0.0) -> np.ndarray:
        size = (len(self.names), len(self.span))
        steps = self.rng.normal(scale=step, size=size).cumsum(axis=1)
        return steps + trend * np.arange(size[1])

    def _of_ends(self, national: np.ndarray) -> np.ndarray:
        if self.both:
            return ((national[self.first] + national[self.second]) / 2).ravel()
        return national[self.second].ravel()

    def _tie(self, name: str) -> np.ndarray:
        if name == "bloc":
            member = _membership(self.names, self.span)
            return (
                (member[:, self.first] & member[:, self.second]).any(axis=0).ravel().astype(float)
            )
        if name == "time_difference":
            value = self._by_pair(geography.solar_time_difference)
        elif name == "spoken_language":
            value = self._by_pair(geography.common_spoken_language)
        elif name == "distance":
            value = np.log(self.ties["dist_km"].to_numpy())
        elif name == "border":
            value = self.ties["contiguous"].to_numpy()
        else:
            value = self.ties["common_official_language"].to_numpy()
        # Of a country whose languages are not known none is taken to be shared.
        return np.repeat(np.nan_to_num(value), len(self.span))

    def _by_pair(self, tie: Callable[[str, str], float]) -> np.ndarray:
        return np.array([tie(a, b) for a, b in zip(self.ends["i"], self.ends["j"], strict=True)])


def shared_by_neighbours(names: list[str], rng: np.random.Generator) -> np.ndarray:
    """Draw figures of countries, of variance one, that run by region, shape (n_countries,).

    Normal; correlations are `exp(-(distance / NEAR_KM) ** 2)`. Without a known place: their own.
    """
    apart = geography.kilometres_between(names)
    alike = np.nan_to_num(np.exp(-((apart / NEAR_KM) ** 2)))
    np.fill_diagonal(alike, 1.0)
    return rng.multivariate_normal(np.zeros(len(names)), alike, method="eigh", check_valid="ignore")


@cache
def _peopled() -> list[str]:
    """Return the countries that are not tiny, the most populous first."""
    people = geography.populations(geography.placed_countries())
    people = people[people >= FEWEST_PEOPLE].sort_values(ascending=False, kind="stable")
    return [str(c) for c in people.index]


def _near_ones(country: str, ties: pd.DataFrame, n: int, rng: np.random.Generator) -> list[str]:
    """Draw other countries, near ones more often, so that some share borders and languages."""
    others = [c for c in _peopled() if c != country]
    partner = ties["country_a"].where(ties["country_b"] == country, ties["country_b"])
    chance = 1 / (500 + ties.set_index(partner)["distcap_km"].loc[others].to_numpy())
    return sorted(rng.choice(others, n, replace=False, p=chance / chance.sum()).tolist())


def _membership(names: list[str], span: np.ndarray) -> np.ndarray:
    """Return whether a country is in a bloc that year, shape (n_blocs, n_countries, n_years)."""
    blocs = tables.load("blocs")
    blocs = blocs[blocs["iso3"].isin(names)]
    left = blocs["left"].fillna(int(span[-1]) + 1).to_numpy(int)
    inside = (blocs["entered"].to_numpy(int)[:, None] <= span) & (left[:, None] > span)
    kinds, which = np.unique(blocs["bloc"].to_numpy(str), return_inverse=True)
    found = np.zeros((len(kinds), len(names), len(span)), dtype=bool)
    np.logical_or.at(found, (which, blocs["iso3"].map(names.index).to_numpy()), inside)
    return found


def _differs_in(value: np.ndarray, grid: _Grid) -> int:
    """Return how many pairs have, in some year, another value than most rows have."""
    table = value.reshape(len(grid.ends), len(grid.span))
    kinds, counts = np.unique(table, return_counts=True)
    return int((table != kinds[counts.argmax()]).any(axis=1).sum())
