"""Figures are files of their kind, the same bytes twice, and left out with their stage."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

from mlcoop.report.figures import draw_figures
from mlcoop.schema import Experiment

NAMES = {"ranking", "groups", "backtest", "forecast", "coverage"}


def test_every_figure_twice_the_same(simulated_study: Experiment) -> None:
    """Truth: an invariant; files carry no time and no random ids."""
    coverage = {**simulated_study.coverage, "factors": simulated_study.coverage["factors"][:5]}
    small = dataclasses.replace(
        simulated_study,
        coverage=coverage,
        factors=simulated_study.factors.head(8),
        forecast=simulated_study.forecast.head(5),
    )
    files = draw_figures(small)
    assert set(files) == {f"{n}.{form}" for n in NAMES for form in ("png", "svg")}
    for name, content in files.items():
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG") and b"tIME" not in content
        else:
            assert ET.fromstring(content).tag.endswith("svg")
            assert b"<dc:date>" not in content
    assert draw_figures(small) == files


def test_a_stage_that_is_off_leaves_no_figure(study: Experiment) -> None:
    bare = dataclasses.replace(study, factors=None, groups=None, forecast=None)
    assert {n.split(".")[0] for n in draw_figures(bare)} == {"backtest", "coverage"}


def test_a_dollar_sign_is_no_mathematics(study: Experiment) -> None:
    spoilt = study.factors.assign(factor="$\\frac{" + study.factors["factor"])
    small = dataclasses.replace(
        study, factors=spoilt, groups=None, forecast=None, backtest=None, metrics={}, coverage={}
    )
    assert set(draw_figures(small)) == {"ranking.png", "ranking.svg"}
