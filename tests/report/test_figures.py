"""Figures are files of their kind, the same bytes twice, and left out with their stage."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import pytest

from mlcoop.report.figures import _ranking, draw_figures, names_not_drawn
from mlcoop.report.summary import summarise
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
    files = draw_figures(summarise(small))
    assert set(files) == {f"{n}.{form}" for n in NAMES for form in ("png", "svg")}
    for name, content in files.items():
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG") and b"tIME" not in content
        else:
            assert ET.fromstring(content).tag.endswith("svg")
            assert b"<dc:date>" not in content
    assert draw_figures(summarise(small)) == files


def test_a_stage_that_is_off_leaves_no_figure(study: Experiment) -> None:
    bare = dataclasses.replace(study, factors=None, groups=None, forecast=None)
    assert {n.split(".")[0] for n in draw_figures(summarise(bare))} == {"backtest", "coverage"}


def test_a_dollar_sign_is_no_mathematics(study: Experiment) -> None:
    spoilt = study.factors.assign(factor="$\\frac{" + study.factors["factor"])
    small = dataclasses.replace(
        study, factors=spoilt, groups=None, forecast=None, backtest=None, metrics={}, coverage={}
    )
    assert set(draw_figures(summarise(small))) == {"ranking.png", "ranking.svg"}


def test_signs_that_the_font_lacks_are_told_by_their_names_alone(
    study: Experiment, recwarn: pytest.WarningsRecorder
) -> None:
    """Truth: DejaVu Sans has Latin and Cyrillic letters, and no Chinese ones."""
    own = ["Größe 人口", "Größe", "Население"]
    factors = study.factors.head(3).assign(factor=own)
    small = dataclasses.replace(
        study, factors=factors, groups=None, forecast=None, backtest=None, metrics={},
        coverage={"countries": ["中国", "DEU"]},
    )  # fmt: skip
    assert names_not_drawn(summarise(small)) == ["Größe 人口", "中国"]
    assert names_not_drawn(summarise(study)) == []
    home = {"code": "CHN:I1", "name": "中国大学", "country": "CHN"}
    assert "中国大学" in names_not_drawn(
        summarise(
            dataclasses.replace(small, coverage={"countries": ["CHN:I1"], "institution": home})
        )
    )
    assert set(draw_figures(summarise(small))) == {"ranking.png", "ranking.svg"}
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


@pytest.mark.parametrize("tiers", [1, 2])
def test_the_ranking_speaks_of_lines_between_tiers_only_where_there_are_some(
    study: Experiment, tiers: int
) -> None:
    tier = [1 + (k >= 3) * (tiers - 1) for k in range(len(study.factors))]
    only = dataclasses.replace(study, factors=study.factors.assign(tier=tier))
    axes = _ranking(summarise(only)).axes[0]
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert len(dotted) == tiers - 1
    assert ("dotted lines" in axes.get_xlabel()) == (tiers > 1)


def test_the_legend_names_the_colours_that_are_drawn_and_no_others(study: Experiment) -> None:
    """Truth: the dots; those of factors that are not told from chance are grey."""
    summary = summarise(study)
    few = {f.group for f in summary.factors[:2]}
    rows = tuple(dataclasses.replace(f, above_null=f.group in few) for f in summary.factors)
    assert few < {f.group for f in rows}
    legend = _ranking(dataclasses.replace(summary, factors=rows)).axes[0].get_legend()
    assert {text.get_text() for text in legend.get_texts()} == few
    grey = tuple(dataclasses.replace(f, above_null=False) for f in rows)
    assert _ranking(dataclasses.replace(summary, factors=grey)).axes[0].get_legend() is None
