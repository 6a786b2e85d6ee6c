"""Studies for a notebook: tables as pandas, and a display that says what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd

from mlcoop import comparison
from mlcoop.errors import ConfigError, DataError, did_you_mean
from mlcoop.experiments import TABLES, find_finished, read_experiment
from mlcoop.family.folder import find_family, read_family
from mlcoop.report import display
from mlcoop.report.numbers.content import Summary
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment

EXPERIMENTS = Path("experiments")
Result = TypeVar("Result")


class Study(Experiment):
    """A finished study: its tables, and what they show.

    `factors`, `groups`, `dimensions`, `effects`, `resamples`, `witnesses`, `backtest`, `forecast`,
    `totals`, `surprises` and the others are DataFrames as in the study's folder (None where a stage
    was off); `metrics`, `coverage`, `config` and `provenance` are dictionaries.
    """

    @cached_property
    def summary(self) -> Summary:
        """The numbers and sentences of the study's report."""
        return summarise(self)

    @property
    def ranking(self) -> Ranking:
        """The ranking of factors and groups."""
        return Ranking(self.table("factors"), self.groups, self.summary)

    @property
    def outlook(self) -> Forecast:
        """The forecast of the years to come."""
        return Forecast(self.table("forecast"), self.summary)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the folder, or say why it is not there.

        Raises
        ------
        ConfigError
            No study has a table of that name.
        DataError
            The stage was off, or the folder came without its tables of counts.
        """
        if name not in TABLES:
            raise ConfigError(
                f'table: "{name}" is no table of a study. {did_you_mean(name, TABLES)}'
                f"There are: {', '.join(TABLES)}"
            )
        found: pd.DataFrame | None = getattr(self, name)
        if found is None:
            reason = self.summary.absent.get({"forecast": "forecasts"}.get(name, name))
            raise DataError(f"{self.folder}: {reason or f'holds no table {name}'}")
        return found

    def _repr_html_(self) -> str:
        return display.study_card(self.summary)

    def __repr__(self) -> str:
        return f"<mlcoop study {self.name}: {' '.join(self.summary.answer[:1])}>"


@dataclass(frozen=True, repr=False)
class Ranking:
    """Factors and groups in order, with confidence sets of their ranks."""

    factors: pd.DataFrame
    groups: pd.DataFrame | None
    summary: Summary

    def _repr_html_(self) -> str:
        return display.ranking_card(self.summary)

    def __repr__(self) -> str:
        return repr(self.factors[["rank", "factor", "rank_low", "rank_high", "share"]])


@dataclass(frozen=True, repr=False)
class Forecast:
    """The counts to come of every pair, with intervals."""

    table: pd.DataFrame
    summary: Summary

    def _repr_html_(self) -> str:
        return display.forecast_card(self.summary)

    def __repr__(self) -> str:
        return repr(self.table)


class Comparison(comparison.Comparison):
    """Rankings compared side by side; see `mlcoop.comparison.Comparison` for its tables."""

    def _repr_html_(self) -> str:
        return display.comparison_card(self)

    def __repr__(self) -> str:
        return f"<mlcoop comparison of {', '.join(self.names)}>"


def load(experiment: str | Path) -> Study | Comparison:
    """Return a finished study from its folder or its name; of a family, its comparison.

    Parameters
    ----------
    experiment : str or Path
        A folder such as ``experiments/china-bri``, or a name under ``experiments``.

    Raises
    ------
    ConfigError, DataError
        No such study, a damaged one, or one whose run was cut off; the nearest name is given.
    """
    family = find_family(str(experiment), EXPERIMENTS)
    if family is not None:
        return compare(read_family(family)[1])
    return _with_display(Study, read_experiment(find_finished(str(experiment), EXPERIMENTS)))


def compare(experiments: Sequence[str | Path | Experiment]) -> Comparison:
    """Compare the rankings of two to fifty studies side by side.

    Parameters
    ----------
    experiments : sequence
        Studies from `load`, or their folders or names; changes are counted from the first.

    Raises
    ------
    ConfigError, DataError
        See `load` and `mlcoop.comparison.compare`.
    """
    studies = []
    for item in experiments:
        study = item if isinstance(item, Experiment) else load(item)
        if not isinstance(study, Experiment):
            raise DataError(f"compare: {item} is a family; load it to see it compared")
        studies.append(study)
    return _with_display(Comparison, comparison.compare(studies))


def _with_display(kind: type[Result], plain: Experiment | comparison.Comparison) -> Result:
    """Return the same values in the form that has a display."""
    return kind(**{f.name: getattr(plain, f.name) for f in fields(plain)})
