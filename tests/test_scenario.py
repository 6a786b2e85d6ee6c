"""Scenarios. Truth: planted log-linear worlds, whose ratios are known in closed form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import ConfigError, DataError
from mlcoop.explain.pairs.surprises import name_factors
from mlcoop.explore.what_if import knobs
from mlcoop.explore.what_if import play as play_choices
from mlcoop.features.build import Feature, FeatureMatrix
from mlcoop.model.imputation import imputing
from mlcoop.model.learners import LEARNERS
from mlcoop.scenario.file import find_moves, read_scenario
from mlcoop.scenario.model import (
    ASSOCIATION,
    ScenarioModel,
    fit_scenario_model,
    play_scenario,
)

ROOT = Path(__file__).parent.parent
PARTNERS = ["USA", "GBR", "DEU", "FRA", "JPN", "KOR", "IND", "PAK", "IRN", "EGY", "TUR", "BRA"]
YEARS = range(2010, 2020)


def matrix() -> FeatureMatrix:
    """Plant works = exp(4 + 0.5 rd + 0.8 belt) on pairs of China, with Poisson noise."""
    rng = np.random.default_rng(3)
    rows, X = [], []
    for i, p in enumerate(PARTNERS):
        for year in YEARS:
            rd = 0.5 + 0.2 * i + 0.05 * (year - 2010)
            belt = np.log1p(max(0, year - 2013)) if i % 2 else 0.0
            mean = np.exp(4 + 0.5 * rd + 0.8 * belt)
            rows.append(("CHN", p, *sorted(("CHN", p)), year, float(rng.poisson(mean))))
            X.append((rd, belt))
    columns = ["focal", "partner", "country_a", "country_b", "year", "works"]
    table = pd.DataFrame(rows, columns=columns).assign(exposure=1.0, weight=1.0, in_focus=True)
    features = (
        Feature("rd_share_partner", "rd_share_partner", "R&D", "research_strength", "partner"),
        Feature("belt_and_road", "belt_and_road", "Belt and Road", "integration_policy", "pair"),
    )
    values = pd.DataFrame(X, columns=[f.name for f in features]).astype(np.float32)
    return FeatureMatrix(table, values, features, "CHN")


@pytest.fixture(scope="module")
def model() -> ScenarioModel:
    m = matrix()
    learner = LEARNERS["ppml"]
    pairs = (m.rows["country_a"] + "|" + m.rows["country_b"]).to_numpy()
    fitted = learner.make(learner.defaults, 0).fit(m.X, m.rows["works"].to_numpy(), pairs=pairs)
    return fit_scenario_model(m, None, fitted, unit="pair", seed=1)


def forecast(years: tuple[int, ...] = (2020, 2021)) -> pd.DataFrame:
    rows = [(*sorted(("CHN", p)), y, 100.0, 70.0, 140.0) for p in PARTNERS for y in years]
    columns = ["country_a", "country_b", "year", "predicted", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns).assign(level=0.9, in_focus=True, last_observed=90.0)


def play(model: ScenarioModel, tmp_path: Path, text: str, above_null: set[str] | None = None):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    scenario = read_scenario(path)
    table = forecast()
    years = sorted(table["year"].unique().tolist())
    moves = find_moves(scenario, model.features, model.rows, years, str(path))
    return play_scenario(scenario, model, table, moves, above_null)


def test_a_factor_below_the_null_line_is_warned_of(model: ScenarioModel, tmp_path: Path) -> None:
    """By hand: of the two factors changed the ranking has one above its null line."""
    text = """
changes:
  - {factor: rd_share, countries: [Pakistan], add: 0.1}
  - {factor: belt_and_road, countries: [Pakistan], add: 1}
"""
    noise = "not distinguishable from chance in the study's ranking, so the difference may be noise"
    assert not any(noise in w for w in play(model, tmp_path, text).warnings)
    told = play(model, tmp_path, text, {"rd_share_partner"}).warnings
    assert [w for w in told if noise in w] == [f'"Belt and Road": {noise}']
    both = {"rd_share_partner", "belt_and_road"}
    assert not any(noise in w for w in play(model, tmp_path, text, both).warnings)


def test_the_difference_is_the_planted_ratio(model: ScenarioModel, tmp_path: Path) -> None:
    # exp(0.5 * 0.4) = 1.2214: 100 works become 122.1, in one pair and one year only.
    text = "changes: [{factor: rd_share, countries: [Pakistan], add: 0.4, years: 2021}]"
    done = play(model, tmp_path, text)
    assert len(done.table) == 1 and done.note == ASSOCIATION and "not effect" in done.note
    row = done.table.iloc[0]
    assert (row["country_a"], row["country_b"], row["year"]) == ("CHN", "PAK", 2021)
    assert row["scenario"] == pytest.approx(122.14, abs=1.5)
    assert row["difference"] == pytest.approx(row["scenario"] - 100)
    assert row["difference_lower"] < row["difference"] < row["difference_upper"]
    # The scenario's interval is the forecast's, moved, and never narrower on the log scale.
    assert np.log((row["scenario_upper"] + 1) / (row["scenario_lower"] + 1)) >= np.log(141 / 71)
    assert done.warnings == ()


def test_a_change_is_on_the_natural_scale(model: ScenarioModel, tmp_path: Path) -> None:
    # belt_and_road is log(1 + years): India, never in it, one year after an agreement: +ln 2.
    done = play(
        model, tmp_path, "changes: [{factor: belt_and_road, pairs: [CHN-IND], set: 1, years: 2020}]"
    )
    assert done.table.iloc[0]["scenario"] == pytest.approx(100 * 2**0.8, rel=0.03)
    # Several pairs: the sum is the sum, and its interval is of the sum.
    both = play(model, tmp_path, "changes: [{factor: rd_share, pairs: all, multiply: 1.1}]")
    for r in both.totals.to_dict("records"):
        part = both.table[both.table["year"] == r["year"]]
        assert r["difference"] == pytest.approx(part["difference"].sum())
        assert r["pairs"] == len(PARTNERS)


def test_an_institution_may_go_by_its_name_as_on_every_page(
    model: ScenarioModel, tmp_path: Path
) -> None:
    own = {"code": "CHN", "id": "I27837315", "name": "Uni-Nord", "ror": "ror:0130frc33"}

    def moves(change: str):
        path = tmp_path / "s.yaml"
        path.write_text(f"changes: [{{{change}, add: 0.1}}]")
        return find_moves(read_scenario(path), model.features, model.rows, [2020], "s.yaml", own)

    for name in ("Uni-Nord", "uni-nord", "I27837315", "https://ror.org/0130frc33", "CHN"):
        assert moves(f'factor: rd_share, countries: ["{name}"]')[0].countries == {"CHN"}
        (move,) = moves(f'factor: belt_and_road, pairs: ["{name}-Pakistan"]')
        assert move.pairs == {("CHN", "PAK")}
    for other in ("FJI", "Uni-Süd"):
        with pytest.raises(ConfigError, match='; the institution is "Uni-Nord" or CHN'):
            moves(f'factor: rd_share, countries: ["{other}"]')


class Unmoved:
    """A model that takes no notice of its factors."""

    def margin(self, X):
        return np.full(len(X), 3.0)


def test_a_factor_without_association_moves_nothing(model: ScenarioModel, tmp_path: Path) -> None:
    """Invariant: the scenario is the forecast, bounds and all, at every size."""
    still = replace(model, estimators=tuple(Unmoved() for _ in model.estimators))
    predicted = np.exp(np.random.default_rng(0).normal(3, 2, size=len(PARTNERS)))
    table = forecast((2020,)).assign(
        predicted=predicted, lower=np.round(0.7 * predicted), upper=np.round(1.4 * predicted + 1)
    )
    path = tmp_path / "s.yaml"
    path.write_text("changes: [{factor: rd_share, pairs: all, multiply: 1.1}]")
    moves = find_moves(read_scenario(path), still.features, still.rows, [2020], str(path))
    done = play_scenario(read_scenario(path), still, table, moves)
    assert len(done.table) == len(PARTNERS)
    for end in ("lower", "upper"):
        assert done.table[f"scenario_{end}"].tolist() == done.table[end].tolist()
    nothing = ["difference", "difference_lower", "difference_upper"]
    assert (done.table[nothing] == 0).all(axis=None) and (done.totals[nothing] == 0).all(axis=None)


class Sloped:
    """A log-linear model of one factor."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def margin(self, X):
        return self.slope * X["rd_share_partner"].to_numpy(float)


def test_bounds_are_those_of_the_refits_and_of_the_forecast(model, tmp_path) -> None:
    """Closed form: steps of 0.5 * 0.4, and 5 refits whose slopes are off by -0.2 to 0.2.

    Their standard deviation is sqrt(0.1 / 4), t with 4 degrees of freedom is 2.132 at 95 %
    (tables), and deviations count twice, as where countries are drawn.
    """
    slopes = [0.5, *(0.5 + np.array([-0.2, -0.1, 0.0, 0.1, 0.2]))]
    known = replace(model, estimators=tuple(map(Sloped, slopes)), spread=2.0)
    text = "changes: [{factor: rd_share, countries: [Pakistan], add: 0.4, years: 2021}]"
    done = play(known, tmp_path, text)
    row, doubt = done.table.iloc[0], 2 * 2.132 * np.sqrt(0.1 / 4) * 0.4
    assert row["difference_pct"] == pytest.approx(100 * (np.exp(0.2) - 1), rel=1e-4)
    bounds = [100 * (np.exp(0.2 + side * doubt) - 1) for side in (-1, 1)]
    found = row[["difference_lower", "difference_upper"]].tolist()
    assert found == pytest.approx(bounds, rel=1e-3)
    # The forecast is 100, from 70 to 140: both doubts, as independent ones, around 122.14.
    low, high = (np.hypot(np.log(101 / (b + 1)), doubt) for b in (70, 140))
    assert row["scenario_lower"] == np.floor(123.14 * np.exp(-low) - 1)
    assert row["scenario_upper"] == np.ceil(123.14 * np.exp(high) - 1)
    # Of a sum the steps of a refit go together: 100 works of each pair, 4 of a kind.
    many = "changes: [{factor: rd_share, countries: [PAK, IRN, EGY, TUR], add: 0.4, years: 2021}]"
    total = play(known, tmp_path, many).totals.iloc[0]
    sums = 400 * np.expm1(0.4 * np.array(slopes))
    wide = 2 * 2.132 * sums[1:].std(ddof=1)
    found = total[["difference", "difference_lower", "difference_upper"]].tolist()
    assert found == pytest.approx([sums[0], sums[0] - wide, sums[0] + wide], rel=1e-3)
    assert total["predicted"] == 400 and total["pairs"] == 4


class Gravity:
    """Works go with the 0.9th power of either country's output: the sum of both in logs."""

    def margin(self, X):
        return 0.9 * X.sum(axis=1).to_numpy()


def test_without_a_focal_country_a_figure_is_a_countrys_whichever_way_rows_look(tmp_path) -> None:
    """Truth: 1.2^0.9 for each pair of the country, from a file and from the explorer alike."""
    rows = pd.DataFrame(
        [(a, b, *sorted((a, b)), True) for a in ("DEU", "KOR", "VNM") for b in ("DEU", "KOR", "VNM")
         if a != b],
        columns=["focal", "partner", "country_a", "country_b", "in_focus"],
    )  # fmt: skip
    gdp = {"DEU": 29.0, "KOR": 28.0, "VNM": 26.0}
    for end in ("partner", "focal"):
        rows[f"gdp_{end}"] = rows[end].map(gdp)
    features = tuple(
        {"name": f"gdp_{end}", "factor": "gdp", "role": "both", "label": "Economy", "low": 20.0,
         "high": 30.0}
        for end in ("partner", "focal")
    )  # fmt: skip
    model = ScenarioModel(tuple(Gravity() for _ in range(4)), 1.0, features, rows)
    table = rows[["country_a", "country_b"]].drop_duplicates().assign(year=2020, predicted=100.0)
    table = table.assign(lower=70.0, upper=140.0, level=0.9, in_focus=True)

    def played(text: str) -> pd.Series:
        path = tmp_path / "s.yaml"
        path.write_text(text)
        moves = find_moves(read_scenario(path), features, rows, [2020], "s.yaml")
        done = play_scenario(read_scenario(path), model, table, moves)
        return done.table.set_index(["country_a", "country_b"])["scenario"]

    moved = played("changes: [{factor: gdp, countries: [VNM], multiply: 1.2}]")
    assert set(moved.index) == {("DEU", "VNM"), ("KOR", "VNM")}
    assert moved.to_numpy() == pytest.approx(100 * 1.2**0.9, rel=1e-5)
    there = knobs(model, ("KOR", "VNM"))
    assert {k.label for k in there.values()} == {"Economy, South Korea", "Economy, Vietnam"}
    for name, knob in there.items():
        done = play_choices(model, table, ("KOR", "VNM"), {name: 1.2 * float(knob.now or 0)})
        assert done.table["scenario"].to_numpy() == pytest.approx([100 * 1.2**0.9], rel=1e-5)
    with pytest.raises(ConfigError, match='no focal country, .* write "gdp"'):
        played("changes: [{factor: gdp_partner, countries: [VNM], multiply: 1.2}]")


def test_ends_of_a_pair_may_hold_dashes(tmp_path: Path) -> None:
    rows = pd.DataFrame({"country_a": ["Aix-Marseille"], "country_b": ["Paris-Saclay"]})
    feature = {"name": "f", "factor": "f", "role": "pair", "label": "F"}
    for named in ("Aix-Marseille-Paris-Saclay", "Paris-Saclay - Aix-Marseille"):
        path = tmp_path / "s.yaml"
        path.write_text(f"changes: [{{factor: f, pairs: [{named}], add: 1}}]")
        (move,) = find_moves(read_scenario(path), [feature], rows, [2020], "s.yaml")
        assert move.pairs == {("Aix-Marseille", "Paris-Saclay")}


def test_leaving_the_data_is_said(model: ScenarioModel, tmp_path: Path) -> None:
    done = play(model, tmp_path, "changes: [{factor: rd_share, countries: BRA, set: 9}]")
    assert len(done.warnings) == 1 and "outside the data" in done.warnings[0]


BAD = {
    "an unknown factor": ("{factor: rd_sharee, countries: PAK, add: 1}", "is no factor of this"),
    "an unknown country": ("{factor: rd_share, countries: Pakistn, add: 1}", "Pakist"),
    "a country outside": ("{factor: rd_share, countries: CHL, add: 1}", "CHL is not in this study"),
    "no such pair": ("{factor: belt_and_road, pairs: [IND-PAK], set: 1}", "pair IND-PAK is not"),
    "no such year": ("{factor: rd_share, countries: PAK, add: 1, years: 2050}", "[2050] not"),
    "two ways": ("{factor: rd_share, countries: PAK, add: 1, set: 2}", "just one of set, add"),
    "nobody": ("{factor: rd_share, add: 1}", "give countries or pairs"),
    "no finite number": ("{factor: rd_share, countries: PAK, add: .inf}", "a finite number"),
    "beyond all factors": ("{factor: rd_share, countries: PAK, add: -1e308}", "(got '-1e308')"),
    "a comma": ("{factor: rd_share, countries: PAK, add: '1,2'}", "(got '1,2')"),
    "an unknown key": ("{factor: rd_share, country: PAK, add: 1}", 'Did you mean "countries"'),
}


@pytest.mark.parametrize("case", BAD)
def test_slips_are_one_line_each(case: str, model: ScenarioModel, tmp_path: Path) -> None:
    change, expected = BAD[case]
    with pytest.raises(ConfigError) as caught:
        play(model, tmp_path, f"changes: [{change}]")
    assert expected in str(caught.value) and "changes[0]" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_of_a_change_are_no_keys_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("changes: [{factor: x, pairs: all, add: 1}]\nyears: [2022]")
    with pytest.raises(ConfigError, match=r"years: unknown key\. Known: title, changes\.$"):
        read_scenario(tmp_path / "s.yaml")


def test_a_changed_factor_leaves_filled_gaps_as_they_are(tmp_path: Path) -> None:
    # Closed form: whatever is missing beside it, rd_share one higher multiplies works as planted.
    whole = matrix()
    gaps = np.random.default_rng(0).random(len(whole.X)) < 0.4
    X = whole.X.assign(belt_and_road=whole.X["belt_and_road"].mask(gaps))
    X.loc[whole.rows["year"] == max(YEARS), "belt_and_road"] = np.nan
    m = FeatureMatrix(whole.rows, X, whole.features, "CHN")
    learner = imputing(LEARNERS["ppml"])
    pairs = (m.rows["country_a"] + "|" + m.rows["country_b"]).to_numpy()
    fitted = learner.make(learner.defaults, 0).fit(X, m.rows["works"].to_numpy(), pairs=pairs)
    with_gaps = fit_scenario_model(m, None, fitted, unit="pair", seed=1)
    text = "changes: [{factor: rd_share, pairs: focus, add: 0.4}]"
    table = play(with_gaps, tmp_path, text).table
    # One slope for all pairs, so one ratio for all of them.
    ratio = table["scenario"] / table["predicted"]
    assert len(table) == 2 * len(PARTNERS)
    assert ratio.to_numpy() == pytest.approx(ratio.iloc[0], rel=1e-6)
    # A figure that is unknown this year may be given: it is a change of this pair's forecasts.
    text = "changes: [{factor: belt_and_road, pairs: [CHN-IND], set: 5}]"
    known = play(with_gaps, tmp_path, text).table
    assert known[["country_b", "year"]].to_numpy().tolist() == [["IND", 2020], ["IND", 2021]]


def test_a_change_that_touches_nothing_is_refused(model: ScenarioModel, tmp_path: Path) -> None:
    # Pakistan is a country of this study; it is the amount that changes nothing.
    for nothing in ("multiply: 1", "add: 0"):
        with pytest.raises(DataError, match="touches.* they leave its factors as they are"):
            play(model, tmp_path, f"changes: [{{factor: rd_share, countries: PAK, {nothing}}}]")
    with pytest.raises(DataError, match="none of its changes touches.*; name pairs"):
        play(model, tmp_path, "changes: [{factor: rd_share, countries: [], add: 1}]")
    # The logarithm of one plus years that are negative is unknown: the reason is told.
    with pytest.raises(
        DataError, match='none of its changes touches.*"Belt and Road": missing for 1 row '
    ):
        play(model, tmp_path, "changes: [{factor: belt_and_road, pairs: [CHN-IND], set: -5}]")


def test_storage_changes_no_number(model: ScenarioModel, tmp_path: Path) -> None:
    again = ScenarioModel.from_json(model.to_json(), model.rows)
    text = "changes: [{factor: rd_share, pairs: focus, add: 0.1}]"
    one, other = play(model, tmp_path, text), play(again, tmp_path, text)
    pd.testing.assert_frame_equal(one.table, other.table)
    with pytest.raises(DataError, match="damaged"):
        ScenarioModel.from_json({"spread": 1.0}, model.rows)


def test_factors_behind_a_surprise(model: ScenarioModel) -> None:
    # Brazil has the highest R&D of the set and six years of Belt and Road: both raise its level.
    table = pd.DataFrame({"country_a": ["BRA"], "country_b": ["CHN"], "year": 2019})
    named = name_factors(table.assign(in_focus=True), matrix(), model.estimators[0], seed=0)
    text = named.loc[0, "factors"]
    assert "Belt and Road +" in text and "R&D +" in text


def test_what_is_no_scenario_is_told_as_it_is(model: ScenarioModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="s.yaml: holds no keys; give a scenario file"):
        play(model, tmp_path, "factor,amount\nrd_share,2\n")


def test_the_example_file_is_read() -> None:
    found = read_scenario(ROOT / "configs" / "scenarios" / "initiative.yaml")
    assert {c.factor for c in found.changes} == {"belt_and_road", "rd_share", "un_distance"}
