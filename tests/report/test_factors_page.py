"""What the page says about the factors' own figures is what stands in the folder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from page import Page

from mlcoop.report.figures import draw_figures
from mlcoop.report.render import render_report
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
    assert "suggest 2 groups of two or more factors and leave 2 factors to themselves" in html
    assert "For 2 factors the data cannot tell the rank" in html
    # A cell for each known correlation of 0.3 or more, in the wide and in the narrow drawing.
    assert html.count(": 0.93") == 2 and html.count(": −0.61") == 2 and ": 0.10" not in html


def test_the_tree_is_drawn_and_left_out_with_its_tables(
    related: Experiment, study: Experiment
) -> None:
    only = dataclasses.replace(
        related, factors=None, groups=None, backtest=None, forecast=None, metrics={}, coverage={}
    )
    assert set(draw_figures(only)) == {"collinearity.png", "collinearity.svg"}
    assert "Which factors move together" not in render_report(study)
