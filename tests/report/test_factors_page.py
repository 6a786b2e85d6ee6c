"""What the page says about the factors' own figures is what stands in the folder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from page import Page

from mlcoop.report.figures import draw_figures
from mlcoop.report.render import render_report
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment


@pytest.fixture(scope="module")
def related(study: Experiment) -> Experiment:
    """The study with a tree of its first six factors: two groups of two, two alone."""
    names = study.factors["factor"].head(6).tolist()
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    rho = pd.Series(0.1, index=pd.MultiIndex.from_tuples(pairs))
    rho[names[0], names[1]], rho[names[2], names[3]] = 0.93, -0.61
    rho[names[4], names[5]] = np.nan
    correlations = pd.DataFrame(pairs, columns=["factor", "other"])
    correlations = correlations.assign(spearman=rho.to_numpy(), rows=500)
    tree = pd.DataFrame(
        {
            "factor": names,
            "group": study.factors["group"].head(6).tolist(),
            "role": "pair",
            "position": range(1, 7),
            "cluster": [1, 1, 2, 2, 3, 4],
            "neighbour": [names[i] for i in (1, 0, 3, 2, 0, 0)],
            "spearman": [0.93, 0.93, -0.61, -0.61, 0.1, 0.1],
            "close": [True, True, False, False, False, False],
            "told": [False, False, True, True, True, True],
        }
    )
    return dataclasses.replace(study, collinearity=tree, correlations=correlations)


def test_neighbours_and_groups_are_the_folders(related: Experiment) -> None:
    """Truth: collinearity.csv and correlations.csv as made above."""
    html = render_report(related)
    table = Page(html).tables["collinearity"]
    assert table.column("factor") == related.collinearity["factor"].tolist()
    assert [float(v) for v in table.column("spearman")] == [0.93, 0.93, -0.61, -0.61, 0.1, 0.1]
    assert table.column("told") == ["no", "no", "yes", "yes", "yes", "yes"]
    assert "suggest 2 groups of two or more factors and leave 2 factors on their own" in html
    assert "rank correlation of 0.8 or more), 2 are not distinguishable" in html
    # A cell for each known correlation of 0.3 or more, in the wide and in the narrow drawing.
    assert html.count(": 0.93") == 2 and html.count(": −0.61") == 2 and ": 0.10" not in html


def test_one_group_holds_and_two_hold(related: Experiment) -> None:
    """By hand: factors of one catalogue group in the first suggested group, of two in the other."""
    groups = ["pair", "pair", "pair", "policy", "pair", "pair"]
    one = dataclasses.replace(related, collinearity=related.collinearity.assign(group=groups))
    assert "Of these groups, 1 combines factors from more than one group" in render_report(one)


def test_the_tree_is_drawn_and_left_out_with_its_tables(
    related: Experiment, study: Experiment
) -> None:
    only = dataclasses.replace(
        related, factors=None, groups=None, backtest=None, forecast=None, metrics={}, coverage={}
    )
    assert set(draw_figures(summarise(only))) == {"collinearity.png", "collinearity.svg"}
    assert "which factors move together" not in render_report(study)


@pytest.fixture(scope="module")
def gappy(study: Experiment) -> Experiment:
    """The study with gaps in two factors, ranked under three treatments."""
    one, two, whole = study.factors["factor"].head(3)
    table = pd.DataFrame(
        {
            "factor": [one, two, whole],
            "group": study.factors["group"].head(3).tolist(),
            "role": "pair",
            "known": [0.5, 0.8, 1.0],
            "works_where_missing": [0.25, 1.2, np.nan],
            "credit_where_missing_own": [1.4, 0.2, np.nan],
            "share_own": [0.5, 0.3, 0.2],
            "rank_own": [1, 2, 3],
            "share_impute": [0.2, 0.3, 0.5],
            "rank_impute": [3, 2, 1],
            **dict.fromkeys(["share_complete", "rank_complete"], np.nan),
        }
    )
    known = {
        "by_year": [{"factor": one, "2001": 0.0, "2002": 1.0}, {"factor": two, "2001": 0.6}],
        "by_country": [{"factor": one, "THA": 0.0, "PAK": 1.0}, {"factor": two, "THA": 0.6}],
    }
    notes = {
        "treatment": "impute",
        "rows": {"own": 1000, "impute": 1000, "complete": 40},
        "pairs": {"own": 58, "impute": 58, "complete": 6},
        "between": {"own/impute": {"tau": -1.0, "top": 3, "factor": one, "from": 1, "to": 3}},
    }
    return dataclasses.replace(
        study,
        missing=table,
        coverage={**study.coverage, "known": known},
        metrics={**study.metrics, "missing": notes},
    )


def test_missing_figures_are_the_folders(gappy: Experiment) -> None:
    """Truth: missing.csv, metrics.json and coverage.json as made above."""
    html = render_report(gappy)
    page = Page(html)
    table = page.tables["missing"]
    assert table.column("factor") == gappy.missing["factor"].tolist()
    assert table.column("rank_own") == ["1", "2", "3"]
    assert table.column("rank_impute") == ["3", "2", "1"]
    assert table.column("rank_complete") == ["", "", ""]
    assert [float(v) for v in table.column("known")] == [0.5, 0.8, 1.0]
    countries = page.tables["known-by-country"]
    # Thailand: the mean of 0 and 0.6, and one factor never known; the gappiest first.
    assert countries.column("country") == ["THA", "PAK"]
    assert [float(v) for v in countries.column("known")] == [0.3, 1.0]
    assert countries.column("never")[0] and not countries.column("never")[1]
    # The report's own treatment is filling: its order comes first in the comparison.
    assert "left to the model, the ranking agrees with this one (Kendall’s tau −1.00)" in html
    assert "from rank 3 to 1" in html
    assert "6 focus pairs are left: too few for a ranking" in html


def test_orders_are_compared_only_where_there_are_some(gappy: Experiment) -> None:
    metrics = {k: v for k, v in gappy.metrics.items() if k != "missing"}
    bare = render_report(dataclasses.replace(gappy, missing=None, metrics=metrics))
    assert "Missing values and their" in bare and "The rankings compared here" not in bare
    page = render_report(gappy)
    assert "The rankings compared here" in page and "this study’s own treatment" in page


def test_a_study_without_gaps_says_nothing_of_them(study: Experiment) -> None:
    assert "Missing values and their" not in render_report(study)
