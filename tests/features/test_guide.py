"""Truth: the guide's own code, taken from its page and run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_panels import random_panel

from mlcoop.features import catalogue
from mlcoop.features.audit import audit
from mlcoop.features.build import build_features
from mlcoop.features.factor import GROUPS

GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-factor.md"


@pytest.fixture(scope="module")
def guide() -> dict:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names: dict = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
    return names


def test_the_guides_test_passes(guide: dict) -> None:
    guide["test_internet_gap_by_hand"]()


def test_the_guides_factor_works_everywhere(guide: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    factor = guide["INTERNET_GAP"]
    assert factor.name not in catalogue.FACTORS, "now in the catalogue: take another example"
    assert factor.group in GROUPS
    monkeypatch.setitem(catalogue.FACTORS, factor.name, factor)
    chosen = catalogue.select_factors(["internet_gap", "gdp"])
    assert [f.name for f in chosen] == ["gdp", "internet_gap"]
    panel = random_panel(missing=0.0)
    matrix = build_features(panel, factors=chosen, years=[2009, 2010], focal="CHN")
    assert audit(matrix, panel=panel, factors=chosen) == []
    # Lag 2: the feature of 2010 is the gap of 2008.
    row = matrix.rows.query("focal == 'CHN' and partner == 'PAK' and year == 2010").index[0]
    seen = panel.query("country_a == 'CHN' and country_b == 'PAK' and year == 2008").iloc[0]
    expected = abs(seen["internet_pct_a"] - seen["internet_pct_b"])
    assert matrix.X.at[row, "internet_gap"] == pytest.approx(expected, rel=1e-6)


def test_the_guide_names_files_that_exist() -> None:
    root = GUIDE.parents[1]
    names = re.findall(r"`((?:mlcoop|tests)/[\w/]+(?:\.py|/))`", GUIDE.read_text("utf-8"))
    assert names and not [name for name in names if not (root / name).exists()]
