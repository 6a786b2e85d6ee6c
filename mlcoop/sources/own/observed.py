"""Counts that came after a forecast, with pairs named as the study names them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mlcoop.countries import is_iso3, resolve, to_iso3
from mlcoop.errors import DataError, did_you_mean, lower_first, some
from mlcoop.schema import Experiment
from mlcoop.sources.openalex.institution import called, goes_by
from mlcoop.sources.own.own_counts import COLUMNS, Resolve, tidy
from mlcoop.sources.own.own_table import load
from mlcoop.sources.own.ready_panel import as_text


def read_observed(path: str | Path, experiment: Experiment) -> pd.DataFrame:
    """Return counts by pair and year from a user's file: `country_a, country_b, year, works`.

    Parameters
    ----------
    path : path
        As `own_counts.read` takes it. Ends of pairs are called as in the study: countries by code
        or name; an institution by its name, its code in the study, or its number of OpenAlex or
        ROR; the ends of a ready panel by its own codes, and the columns may be the panel's own,
        with others beside them.
    experiment : Experiment
        With its forecast.

    Raises
    ------
    DataError
        See `own_counts.read`; an end that is none of the study's is named with the nearest.
    """
    table, where = load(path)
    columns, panel = COLUMNS, experiment.config.get("panel")
    named: Resolve = resolve
    if panel:
        own = (panel["year"], *panel["pair"], panel["target"])
        named = _ends_of_panel(experiment)
        if set(own) <= set(table.columns):
            # In a year to be forecast the panel's own target is empty.
            blank = table[panel["target"]].isna() | (table[panel["target"]].astype(str) == "")
            columns, table = own, table.loc[~blank, list(own)]
        elif not set(COLUMNS) <= set(table.columns) and "country" not in table:
            raise DataError(
                f"{where}: needs the columns of the study's panel ({', '.join(own)}), or "
                f"{', '.join(COLUMNS)}; it has {some(table.columns)}"
            )
    elif experiment.coverage.get("institution"):
        named = _institution_and_partners(experiment)
    return tidy(table, where, absent="missing", columns=columns, resolve=named).table


def _ends_of_panel(experiment: Experiment) -> Resolve:
    assert experiment.forecast is not None
    ends = set(experiment.forecast[["country_a", "country_b"]].astype(str).to_numpy().ravel())
    countries = all(map(is_iso3, ends))

    def code(name: str) -> str | None:
        if name in ends or not countries:
            return name if name in ends else None
        try:
            return to_iso3(name, "")
        except DataError:
            return None

    def named(values: pd.Series, where: str) -> pd.Series:
        text = as_text(values)
        codes = {name: code(name) for name in text.unique()}
        unknown = []
        for name in (name for name, c in codes.items() if c is None):
            near = lower_first(did_you_mean(name, ends).strip())
            unknown.append(f'"{name}"' + (f" ({near})" if near else ""))
        if unknown:
            raise DataError(
                f"{where}: in no pair of this study: {some(unknown)}; it has {some(sorted(ends))}"
            )
        return text.map(codes)

    return named


def _institution_and_partners(experiment: Experiment) -> Resolve:
    own = experiment.coverage["institution"]

    def named(values: pd.Series, where: str) -> pd.Series:
        mine = values.map(lambda name: goes_by(str(name), own)).astype(bool)
        try:
            others = resolve(values[~mine], where)
        except DataError as error:
            raise DataError(f"{error}; {called(own)}") from error
        return others.reindex(values.index).where(~mine, own["code"])

    return named
