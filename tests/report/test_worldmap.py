"""The map: the projection against its paper, the outlines against hand-made ones."""

from __future__ import annotations

import re

import pytest

from mlcoop.countries import is_iso3
from mlcoop.report.drawings.mapview import classes, map_values, world_map
from mlcoop.report.drawings.worldmap import HEIGHT, WIDTH, equal_earth, from_topojson, world
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment


def test_projection() -> None:
    """Truth: Šavrič et al. (2019): width 2.05 times the height, poles 0.59 of the equator."""
    east, north = equal_earth(180, 0), equal_earth(180, 90)
    south = equal_earth(0, -90)[1]
    assert WIDTH / south == pytest.approx(2.05, abs=0.01)
    assert (north[0] - WIDTH / 2) / (east[0] - WIDTH / 2) == pytest.approx(0.59, abs=0.005)
    assert equal_earth(-30, 20)[0] == pytest.approx(WIDTH - equal_earth(30, 20)[0])


def test_outlines_from_topojson() -> None:
    """Truth: by hand; a square of 10 degrees from one shared arc, and one across the date line."""
    topology = {
        "transform": {"scale": [1, 1], "translate": [0, 0]},
        "arcs": [
            [[0, 0], [10, 0], [0, 10], [-10, 0], [0, -10]],
            [[175, 0], [-350, 0], [0, 10], [350, 0], [0, -10]],
            [[-185, -70], [10, 0], [0, 5], [-10, 0], [0, -5]],
        ],
        "objects": {
            "countries": {
                "geometries": [
                    {"type": "Polygon", "id": "156", "arcs": [[0]], "properties": {"name": "A"}},
                    {"type": "Polygon", "id": "643", "arcs": [[~1]], "properties": {"name": "B"}},
                    {"type": "Polygon", "id": "010", "arcs": [[2]], "properties": {"name": "C"}},
                    {"type": "Polygon", "arcs": [[0]], "properties": {"name": "Kosovo"}},
                    {"type": "Polygon", "arcs": [[0]], "properties": {"name": "nowhere"}},
                ]
            }
        },
    }
    numbers = {"156": "CHN", "643": "RUS", "010": "ATA"}
    made = from_topojson(topology, numbers, {"CHN": (5.0, 5.0)})
    assert set(made["outlines"]) == {"CHN", "RUS", "XKX"}
    x, y = (round(v) for v in equal_earth(0, 0))
    assert made["outlines"]["CHN"].startswith(f"M{x} {y}l")
    assert made["outlines"]["CHN"].count(" ") <= 5 and made["rest"] == made["outlines"]["CHN"]
    steps = [int(v) for v in re.findall(r"-?\d+", made["outlines"]["RUS"])]
    assert max(abs(v) for v in steps[2:]) < 80


def test_the_shipped_map_is_whole_and_small() -> None:
    shapes = world()
    assert len(shapes["outlines"]) > 170 and len(shapes["points"]) > 240
    assert all(is_iso3(code) for code in shapes["outlines"])
    inside = [0 <= x <= WIDTH and y >= 0 for x, y in shapes["points"].values()]
    assert all(inside)
    assert shapes["points"]["SGP"][1] < HEIGHT


def test_every_focus_country_is_on_the_map(study: Experiment) -> None:
    """Truth: forecast.csv; Bahrain, Singapore and others are too small for an outline."""
    s = summarise(study)
    values, words = map_values(s.forecasts, "CHN")
    drawing, _ = world_map(values, words, "CHN", s.left_out)
    drawn = re.findall(r'data-code="(\w+)"', str(drawing))
    assert sorted(drawn) == sorted(values) and len(values) == 58
    top = study.forecast.set_index("country_b").loc["SGP"]
    assert values["SGP"] == top["predicted"]
    assert f"{top['predicted']:,.0f} works expected in 2022" in words["SGP"]


def test_without_a_focal_country_values_are_sums(study: Experiment) -> None:
    """Truth: by hand; China takes part in every pair."""
    values, words = map_values(summarise(study).forecasts, None)
    assert values["CHN"] == pytest.approx(study.forecast["predicted"].sum())
    assert "all pairs" in words["CHN"]


def test_classes_are_round_and_rise() -> None:
    bounds = classes([3.0, 40, 90, 400, 1000, 9000])
    assert bounds == sorted(bounds) and bounds[-1] == float("inf")
    assert all(str(int(b)).rstrip("0") in {"1", "15", "2", "3", "5", "7"} for b in bounds[:-1])
    assert classes([]) == []
    assert classes([7.0]) == [float("inf")]
