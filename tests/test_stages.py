"""What a stage may know of the years."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier

import numpy as np
import pandas as pd
import pytest

from mlcoop.config import Config
from mlcoop.features.build import FeatureMatrix
from mlcoop.forecast.origins import plan_origins
from mlcoop.model.learners import LEARNERS
from mlcoop.stages import compute
from mlcoop.stages.compute import plan_horizons, warn_of_unseen
from mlcoop.stages.search import first_reported
from mlcoop.study import Study, _known, why_not_forecast


def study_of(years: range, missing: tuple[int, ...] = ()) -> Study:
    """Return a study of one pair with a count in all years but the missing ones."""
    history = pd.DataFrame({"country_a": "A", "country_b": "B", "year": list(years), "works": 9.0})
    history.loc[history["year"].isin(missing), "works"] = np.nan
    blank = pd.DataFrame()
    return Study(history, blank, FeatureMatrix(blank, blank, ()), None, blank, {})


def test_pairs_that_a_file_knows_nothing_of_are_none_of_the_study() -> None:
    """By hand: A-B and A-C have three counts of four, one of them zero; B-C has none at all."""
    rows = [("A", "B", 5.0), ("A", "B", 0.0), ("A", "C", 2.0), ("A", "C", np.nan)]
    rows += [("B", "C", np.nan), ("B", "C", np.nan)]
    table = pd.DataFrame(rows, columns=["country_a", "country_b", "works"])
    found = _known(table.assign(year=[2019, 2020] * 3), table.iloc[[0]])
    expected = {"pairs": 2, "focus_pairs": 1, "zeros": 1 / 3, "missing": 0.25}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("year", "blank"), [("t", False), (None, True)])
def test_pairs_of_a_cross_section_have_no_years(
    monkeypatch: pytest.MonkeyPatch, year: str | None, blank: bool
) -> None:
    """By hand: a panel without years stands in a year 0 that no file should show."""
    found = pd.DataFrame({"country_a": ["A"], "country_b": ["B"], "first_year": 0, "last_year": 0})
    found = found.assign(works=3.0, expected=2.0)
    monkeypatch.setattr(compute, "observed_over_expected", lambda *_, **__: found.copy())
    panel = {"path": "p.csv", "pair": ["i", "j"], "year": year, "target": "y", "factors": ["f"]}
    config, ppml = Config(name="x", panel=panel), LEARNERS["ppml"]
    study = study_of(range(2001, 2005))
    files, noted = compute.compare_with_expected(study, config, ppml, {}, spatial=False, workers=1)
    years = files["observed_expected.csv"][["first_year", "last_year"]]
    assert years.isna().all(axis=None) == blank
    assert noted == {"neighbours": None, "warnings": []}


@pytest.mark.parametrize("origins", [3, 5, 10])
@pytest.mark.parametrize("farthest", [1, 2, 3, 4, 5])
def test_no_horizon_reports_an_origin_before_the_last_year_tuned_on(
    origins: int, farthest: int
) -> None:
    # Invariant: what is tuned on outcomes up to a year has not seen what is forecast from it.
    horizons = range(1, farthest + 1)
    tuned_to = first_reported(study_of(range(2001, 2022)), horizons, origins)
    reported = [plan_origins(np.arange(2001, 2022), h, None, origins)[1] for h in horizons]
    assert all(min(part) >= tuned_to for part in reported)
    assert any(min(part) == tuned_to for part in reported)


def test_a_forecast_that_cannot_be_made_without_a_backtest_is_said() -> None:
    """Truth: a run makes a forecast only of horizons that it backtests."""
    study = study_of(range(2001, 2022))
    asked = Config(name="x", evaluation={"enabled": False})
    horizons, (said,) = plan_horizons(study, asked)
    assert horizons == [] and said.startswith("No forecast: ")
    not_asked = Config(name="x", evaluation={"enabled": False}, forecast={"enabled": False})
    assert plan_horizons(study, not_asked) == ([], [])


@pytest.mark.parametrize(
    ("years", "gaps", "change", "reason"),
    [
        (range(2001, 2022), (), {}, None),
        (range(2001, 2022), (), {"works": 9.5}, "whole counts, and 9.5 is not whole"),
        # six sixths of a work, as a computer adds them, stand before three that are halved
        (
            range(2001, 2022),
            (),
            {"works": [sum([1 / 6] * 6)] * 18 + [2.5] * 3},
            "whole counts, and 2.5 is not whole",
        ),
        (range(2017, 2022), (), {}, "need 6 years with counts, and there are 5"),
        (range(2021, 2022), (), {}, "need 6 years with counts, and there is 1"),
        (range(2001, 2013), range(2002, 2013, 2), {}, "leave no year with earlier counts"),
        (range(2001, 2022), (), {"country_a": list("ACDEFGHIJKLMNOPQRSTUV")}, "no pair has counts"),
    ],
)
def test_what_stands_against_a_forecast_is_named(
    years: range, gaps: tuple[int, ...], change: dict, reason: str | None
) -> None:
    """By hand: each history lacks one thing that a backtest takes, or nothing."""
    said = why_not_forecast(study_of(years, tuple(gaps)).history.assign(**change))
    assert (said is None) if reason is None else (reason in (said or ""))


def test_a_model_that_fails_on_unseen_pairs_is_warned_of() -> None:
    """By hand: below zero one rate for all is nearer; PPML is named where it does better."""
    scores = {"deviance_explained": {"focus_unseen": -10.51, "world_unseen": 0.9}}
    (said,) = warn_of_unseen({**scores, "ppml_deviance_explained": {"focus_unseen": 0.82}})
    assert "-1,051 %" in said and "PPML 82 %; learner.name: ppml" in said
    (said,) = warn_of_unseen({**scores, "ppml_deviance_explained": {"focus_unseen": -0.1}})
    assert "ranks by it" not in said
    assert warn_of_unseen({"deviance_explained": {"world_unseen": -0.5}}) == []


def test_the_years_tuned_on_by_hand() -> None:
    whole = study_of(range(2001, 2022))
    # Ten origins before 2021, as in the founding study, and five: 2011 to 2020, 2016 to 2020.
    assert first_reported(whole, [1], 10) == 2011
    assert first_reported(whole, [1], 5) == 2016
    # Four years ahead five origins end in 2017, so they begin in 2013.
    assert first_reported(whole, [1, 2, 3, 4], 5) == 2013
    # A last year without counts is no year: as if the panel ended before it.
    without = study_of(range(2001, 2022), missing=(2021,))
    assert first_reported(without, [1], 5) == first_reported(study_of(range(2001, 2021)), [1], 5)
    assert first_reported(without, [], 5) == 2020


def test_scores_made_at_once_keep_to_their_model_and_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: each job has a score of its own; none returns before all have come that far."""
    rows = pd.DataFrame({"in_focus": [True, False], "works": 1.0, "country_a": "A"})
    study = replace(study_of(range(2001, 2005)), matrix=FeatureMatrix(rows, rows[[]], ()))
    learner, parts = LEARNERS["poisson_boosting"], {"focus_unseen": 0.1, "world_unseen": 0.2}
    together = Barrier(4, timeout=10)

    def scored(
        matrix: FeatureMatrix, model: object, *_: object, mask: float, **__: object
    ) -> float:
        return mask + (model is learner)

    def step(done: int, total: int) -> None:
        together.wait()

    monkeypatch.setattr(compute, "cross_validated_deviance", scored)
    given = (study, Config(name="x"), learner, {}, parts)
    _, found = compute.score_unseen(*given, workers=4, progress=step)
    assert found["deviance_explained"] == {"focus_unseen": 1.1, "world_unseen": 1.2}
    assert found["ppml_deviance_explained"] == {"focus_unseen": 0.1, "world_unseen": 0.2}
