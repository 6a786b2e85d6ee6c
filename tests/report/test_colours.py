"""Colours of groups: none is grey, and readers with each kind of colour blindness tell them apart.

Truth: distances in CIELAB (CIE 15:2004), and how colours look to readers who lack one kind of cone
by Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1. A difference of
about 2 is just seen side by side; dots and a legend lie apart, so six times that is asked for.
"""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mlcoop.features.factor import GROUPS
from mlcoop.report import figures
from mlcoop.report.drawings.charts import group_colours

ROOT = Path(__file__).parents[2]
TOLD = 12.0
SEEN_BY = {
    "most": np.eye(3),
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopes": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
SRGB_TO_XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]
D65 = [0.95047, 1.0, 1.08883]


def _lab(colour: str, seen: object = SEEN_BY["most"]) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ np.clip(np.array(seen) @ linear, 0, 1) / D65
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _apart(a: str, b: str) -> float:
    return min(float(np.linalg.norm(_lab(a, m) - _lab(b, m))) for m in SEEN_BY.values())


def _palettes() -> list[list[str]]:
    """Return --g0 to --g9 and --gx as each rule of the style sheet sets them."""
    css = files("mlcoop.report").joinpath("templates", "page.css").read_text("utf-8")
    found = [dict(re.findall(r"--g(\d|x): (#\w{6})", rule)) for rule in css.split("}")]
    return [[p[k] for k in "0123456789x"] for p in found if p]


def test_pictures_have_the_colours_of_the_page_in_light() -> None:
    light, *dark = _palettes()
    assert light == [*figures.COLOURS, figures.GREY]
    assert len(dark) == 2 and dark[0] == dark[1]


@pytest.mark.parametrize("theme", [0, 1])
def test_no_group_is_grey(theme: int) -> None:
    """Truth: grey, kept for what chance may have done, has next to no chroma; groups have."""
    *groups, grey = (float(np.hypot(*_lab(c)[1:])) for c in _palettes()[theme])
    assert grey < 10 and min(groups) > 25


@pytest.mark.parametrize("theme", [0, 1])
def test_five_groups_of_ones_own_are_told_apart_by_every_reader(theme: int) -> None:
    palette = _palettes()[theme]
    colours = [palette[i] for i in group_colours("abcde").values()]
    near = {(a, b): _apart(a, b) for a, b in combinations([*colours, palette[-1]], 2)}
    assert {pair: d for pair, d in near.items() if d < TOLD} == {}


def test_no_two_groups_share_a_colour_while_there_are_ten() -> None:
    own = list("abcdefgh")
    colours = group_colours(["Research strength", *own, "Geographic proximity"])
    assert sorted(colours.values()) == list(range(10))
    assert list(colours) == ["Research strength", *own, "Geographic proximity"]


def test_the_catalogues_groups_keep_the_colours_of_the_founding_study() -> None:
    """Truth: the picture that stands in the repository, drawn before."""
    picture = (ROOT / "experiments/china-bri/figures/groups.svg").read_text("utf-8")
    drawn = set(re.findall(r"stroke: (#\w{6})", picture)) & set(figures.COLOURS)
    now = {figures.COLOURS[i] for i in group_colours(GROUPS.values()).values()}
    assert len(drawn) >= 3 and drawn <= now  # of groups that are told from chance
