"""What a study wants of the sources, and what follows from that once first answers are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlcoop.errors import ConfigError
from mlcoop.sources.openalex import complete_years
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.openalex.collaboration import TOTALS
from mlcoop.sources.openalex.institution import Institution

IDEAL_POINT = "un_ideal_point"


@dataclass(frozen=True)
class GatherRequest:
    """The figures that a study needs.

    Attributes
    ----------
    first, last : int, int or None
        First and last year of counts; `last` None is the last complete year.
    this_year : int
        The current year, since time is no business of this module.
    most_active : int
        How many of the most active countries take part, by mean international works over the
        study's years; 0: only those of `countries`.
    countries : sequence of str, ISO3
        Countries that take part in any case.
    focal : sequence of str or None
        Only pairs with one of these are wanted; None wants all pairs.
    institution : str or None
        Number of an institution whose works with each country are wanted in place of `focal`;
        `most_active` and `countries` are then its partners.
    variables : sequence of str
        Country variables, `schema.COUNTRY_VARIABLES`.
    years_before : int
        Years before `first` for which country variables are wanted too.
    max_shortfall : float
        See `complete_years.resolve_latest`.
    own_counts : path or None
        In place of OpenAlex: a user's file (`absent` says what a pair means that it does not
        list), or the folder of an aggregated snapshot (`counting` says how).
    ties : bool
        Whether distances and ties are wanted.
    pair_variables : sequence of str
        Figures of pairs from imported files, `schema.PAIR_VARIABLES`.
    """

    first: int
    last: int | None
    this_year: int
    most_active: int = 126
    countries: Sequence[str] = ()
    focal: Sequence[str] | None = None
    institution: str | None = None
    filters: Filters = Filters()
    variables: Sequence[str] = ()
    years_before: int = 10
    max_shortfall: float = 0.1
    own_counts: str | Path | None = None
    absent: str = "zero"
    counting: str = "full"
    ties: bool = True
    pair_variables: Sequence[str] = ()


def earliest(request: GatherRequest) -> int:
    """Return the first year for which country variables are wanted."""
    return request.first - request.years_before


def span(request: GatherRequest) -> tuple[int, int]:
    """Return the first and last year asked of the sources."""
    # To the current year even where `last` is given: an incomplete year is told by its successors
    # and predecessors, and the same answer then serves every choice of years.
    return earliest(request), max(request.this_year, request.last or 0)


def study_years(request: GatherRequest, totals: Mapping[int, int]) -> tuple[int, int]:
    """Return the study's years of counts, or refuse those that the source does not hold whole."""
    # Works of a snapshot that are dated ahead fall short of none before them.
    totals = {year: works for year, works in totals.items() if year <= span(request)[1]}
    last = request.last
    if last is None:
        last = complete_years.resolve_latest(totals, request.max_shortfall)
        if last < request.first:
            raise ConfigError(
                f"years.start: {request.first} is after the last complete year, {last}"
            )
    complete_years.check_years(totals, request.first, last, request.max_shortfall)
    return request.first, last


def world_bank_variables(request: GatherRequest) -> list[str]:
    """Return the variables that the World Bank is asked for."""
    return [v for v in dict.fromkeys(request.variables) if v not in (TOTALS, IDEAL_POINT)]


def most_active_countries(
    totals: pd.DataFrame, request: GatherRequest, years: Sequence[int] | range
) -> list[str]:
    """Return the countries that take part, most active first."""
    within = totals[totals["year"].isin(list(years))]
    # Over all years of the study: a country that a year's list does not name counts as 0 there.
    mean = within.groupby("iso3")["value"].sum() / len(years)
    return choose(mean, request)


def partners_of(
    home: Institution, totals: pd.DataFrame, request: GatherRequest, years: Sequence[int] | range
) -> list[str]:
    """Return an institution's partner countries, most active first; its own is none of them."""
    abroad = totals[totals["iso3"] != home.country]
    countries = most_active_countries(abroad, request, years)
    return [country for country in countries if country != home.country]


def choose(activity: pd.Series, request: GatherRequest) -> list[str]:
    """Return the most active and the named countries, most active first."""
    ranked = activity.rename("works").reset_index()
    ranked = ranked.sort_values(["works", "iso3"], ascending=[False, True])
    most_active = list(ranked["iso3"].head(request.most_active))
    chosen = set(most_active) | set(request.countries)
    order = {country: i for i, country in enumerate(ranked["iso3"])}
    return sorted(chosen, key=lambda c: (order.get(c, len(order)), c))
