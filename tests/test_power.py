"""Power analysis: against direct simulation, and the ways in which power must rise."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import partial
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from commands import mlcoop
from scipy import special
from typer.testing import CliRunner

from mlcoop.assemble import gather_request
from mlcoop.cli import app
from mlcoop.config_file import load_config
from mlcoop.errors import ConfigError, DataError
from mlcoop.explain.ranking import rank_factors
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.likeness import study_like
from mlcoop.plan import make_plan
from mlcoop.power import (
    SD_OF_MEAN_ABSOLUTE,
    Surroundings,
    _curve,
    _logistic,
    draw_world,
    power_analysis,
    surroundings_of,
)
from mlcoop.simulate.covariates import world_covariates
from mlcoop.sources.counted import read_own

AROUND = Surroundings(mean_works=30.0, pair_noise=0.4, dispersion=0.1)
FAST = {"surroundings": AROUND, "resamples": 20}


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    """Bounds are tested by themselves, below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlcoop.power.BOOTSTRAPS", 25)
        yield


def covariates(pairs, factors=8):
    table = world_covariates(
        pairs=pairs,
        years=5,
        factors=factors,
        countries=0,
        lifelike=False,
        rng=np.random.default_rng(2),
    )
    names = [c for c in table.columns if c not in ("i", "j", "year")]
    return matrix_from_ready_panel(
        table.assign(y=1.0), pair=["i", "j"], year="year", target="y", factors=names
    )


@pytest.fixture(scope="module")
def middling():
    return power_analysis(covariates(50), "ppml", worlds=5, seed=1, **FAST)


def test_power_rises_with_the_effect(middling):
    for table in (middling.found, middling.order):
        assert table["probability"].is_monotonic_increasing
        assert (table["low"] <= table["probability"]).all()
        assert (table["probability"] <= table["high"]).all()
    assert (
        middling.found["probability"].iloc[0] < 0.3 < 0.9 < middling.found["probability"].iloc[-1]
    )


def test_power_rises_with_pairs(middling):
    few = power_analysis(covariates(16), "ppml", worlds=5, seed=1, **FAST)
    assert few.found["probability"].sum() < middling.found["probability"].sum() - 0.3
    assert few.smallest_found is None or few.smallest_found > middling.smallest_found


def test_agrees_with_direct_simulation(middling):
    """Direct simulation: every third factor has an effect of 0.3 a standard deviation, no other.

    18 draws, so the share found has a standard error of at most 0.12, and the curve's own interval
    comes on top.
    """
    matrix = covariates(50)
    names = [f.factor for f in matrix.features]
    found = []
    for seed in range(6):
        drivers = {n: 0.3 * (-1) ** k for k, n in enumerate(np.roll(names, seed)[:3])}
        world, size = draw_world(matrix, drivers, AROUND, seed=100 + seed)
        assert set(size[size > 0].index) == set(drivers)
        ranked = rank_factors(world, "ppml", resamples=20, seed=seed)
        found += list(ranked.factors.set_index("factor").loc[list(drivers), "above_null"])
    row = middling.found.set_index("per_sd").loc[0.3]
    assert row["low"] - 0.24 < np.mean(found) < row["high"] + 0.24


def test_sizes_are_what_was_planted():
    """Definition: the mean absolute centred effect, recomputed from the factor itself."""
    matrix = covariates(16)
    name = matrix.features[2].factor
    _, size = draw_world(matrix, {name: -0.5}, AROUND, seed=1)
    x = matrix.X[matrix.features[2].name].astype(float)
    by_hand = 0.5 * (x - x.mean()).abs().mean() / x.std(ddof=0)
    assert size[name] == pytest.approx(by_hand, rel=1e-6)
    assert size.drop(name).eq(0).all()


def test_more_is_never_harder_to_tell():
    """By hand: where chance lets the larger effects be missed, the curve is flat at their share."""
    cases = pd.DataFrame({"size": [0.05, 0.1, 0.2, 0.4] * 5, "world": np.repeat(range(5), 4)})
    falls, smallest = _curve(cases.assign(found=cases["size"] < 0.3), "found", 0)
    np.testing.assert_allclose(falls["probability"], 0.75, atol=0.01)
    assert smallest is None and (falls["low"] <= falls["high"]).all()
    rises, smallest = _curve(cases.assign(found=cases["size"] > 0.15), "found", 0)
    assert rises["probability"].is_monotonic_increasing
    # 0.1 and 0.2 of mean absolute effect are 0.125 and 0.25 a standard deviation.
    assert 0.125 < smallest < 0.25
    # The line below the table is the table's own.
    assert (rises["probability"] >= 0.8).tolist() == (rises["per_sd"] >= smallest).tolist()


def test_shares_of_what_was_wrong_are_counted_over_all_that_was_told(monkeypatch):
    """By hand: of 8 factors 3 have an effect. Told are all 56 orders, of which 3 among these and
    15 of these above the others are right; and 8 factors are found, 5 of them nulls."""

    def boast(matrix, all_told, **_):
        names = [f.factor for f in matrix.features]
        told = pd.DataFrame(all_told & ~np.eye(8, dtype=bool), index=names, columns=names)
        table = pd.DataFrame({"factor": names, "above_null": all_told})
        return SimpleNamespace(factors=table, told=told)

    found = []
    for all_told in (True, False):
        monkeypatch.setattr("mlcoop.power.rank_factors", partial(boast, all_told=all_told))
        found.append(power_analysis(covariates(16), "ppml", worlds=3, seed=1, **FAST))
    assert found[0].false_found == pytest.approx(5 / 8)
    assert found[0].wrong_orders == pytest.approx(38 / 56)
    assert found[0].smallest_order == found[0].smallest_found == found[0].found["per_sd"].iloc[0]
    assert found[1].false_found == found[1].wrong_orders == 0
    assert found[1].smallest_order is None and found[1].smallest_found is None
    for of, probability in zip(found, (1, 0), strict=True):
        for table in (of.found, of.order):
            # half a case more of either outcome than there are: 9 drivers, 0.5 of 10
            np.testing.assert_allclose(table["probability"], probability, atol=0.0501)
            np.testing.assert_allclose(table["percent"], 100 * np.expm1(table["per_sd"]))


def test_curve_equals_statsmodels():
    """Truth: statsmodels' logistic regression (ours has a pull of 0.01 towards a flat curve)."""
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    y = (rng.random(3000) < 1 / (1 + np.exp(-0.5 - 1.5 * x))).astype(float)
    theirs = sm.Logit(y, sm.add_constant(x)).fit(disp=0).params
    np.testing.assert_allclose(_logistic(x, y), theirs, atol=1e-3)


def test_bounds_of_a_curve_equal_statsmodels(monkeypatch):
    """Truth: statsmodels' normal bounds of one case a world; a case told twice adds none.

    200 draws know the width of bounds to some 10 %.
    """
    import statsmodels.api as sm

    monkeypatch.setattr("mlcoop.power.BOOTSTRAPS", 200)
    rng = np.random.default_rng(0)
    x = rng.uniform(np.log(0.02), np.log(0.8), 600)
    found = rng.random(600) < special.expit(3 + 1.5 * x)
    cases = pd.DataFrame({"size": np.exp(x) / SD_OF_MEAN_ABSOLUTE, "found": found})
    twice = pd.concat([cases.assign(world=range(600))] * 2, ignore_index=True)
    table, _ = _curve(twice, "found", 0)
    fit = sm.Logit(found.astype(float), sm.add_constant(x)).fit(disp=0)
    at = sm.add_constant(np.log(table["per_sd"]))
    half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", at, fit.cov_params(), at))
    low, high = (special.expit(at @ fit.params + sign * half).to_numpy() for sign in (-1, 1))
    np.testing.assert_allclose(table["low"], low, atol=0.015)
    np.testing.assert_allclose(table["high"], high, atol=0.015)
    np.testing.assert_allclose(table["high"] - table["low"], high - low, rtol=0.2)


def test_same_seed_same_document_whatever_the_workers():
    documents = [
        power_analysis(covariates(12, 4), "ppml", worlds=2, seed=3, workers=w, **FAST).to_dict()
        for w in (1, 2)
    ]
    assert documents[0] == documents[1]


def test_covariates_like_a_study_need_no_network(tmp_path):
    """Counts by hand: China, 11 ASEAN members and 2 others are 14 countries, hence 91 pairs."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\nfocus: {focal: CHN, partners: asean}\ntraining: {most_active: 14}\n"
        "years: {start: 2015, end: latest}\n"
    )
    plan = make_plan(load_config(path), "x", Path(tmp_path))
    likeness = study_like(plan, this_year=2020, seed=1)
    rows = likeness.matrix.rows
    assert rows["year"].agg(["min", "max"]).tolist() == [2015, 2019]
    assert len(rows.drop_duplicates(["country_a", "country_b"])) == 14 * 13 / 2
    focus = rows[rows["in_focus"]].drop_duplicates(["country_a", "country_b"])
    assert len(focus) == len(plan.partners)
    factors = {f.factor for f in likeness.matrix.features}
    assert {"distance", "gdp_partner", "gdp_focal", "works_with_others_partner"} <= factors
    assert rows["works"].isna().all() and (likeness.matrix.X.nunique() > 1).all()
    # The most populous of the world beside China and ASEAN (UN, World Population Prospects).
    assert {"IND", "USA"} <= set(rows["country_a"]) | set(rows["country_b"])
    assert any("the most populous stand for them" in note for note in likeness.notes)
    assert surroundings_of(plan).country_noise > 0
    assert surroundings_of(plan, works=3.0).mean_works == 3.0


@pytest.mark.parametrize(("others", "pairs"), [(0, 8), (20, 28 + 8)])
def test_covariates_like_a_study_of_own_counts_are_of_its_pairs(tmp_path, others, pairs):
    """By hand: China with 8 partners, and of each two of those (8 * 7 / 2) nothing or a count."""
    partners = ["JPN", "KOR", "VNM", "THA", "IDN", "MYS", "SGP", "PHL"]
    own = [f"{y},CHN,{p},5" for y in range(2008, 2014) for p in partners]
    own += [f"2010,{a},{b},{others}" for a, b in combinations(partners, 2) if others]
    (tmp_path / "c.csv").write_text("\n".join(["year,country_a,country_b,works", *own]))
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\nfocus: {focal: CHN, partners: asean}\ntarget: {source: csv, path: c.csv}\n"
        "years: {start: 2008}\nfactors: [gdp, distance, works_with_others]\n"
    )
    plan = make_plan(load_config(path), "x", tmp_path)
    own = read_own(gather_request(plan, date(2026, 1, 1)))
    likeness = study_like(plan, this_year=2026, seed=1, own=own)
    rows = likeness.matrix.rows
    # ASEAN's other members are not in the file; as in the study, China's zeros with them are known.
    listed = rows[rows["country_a"].isin(["CHN", *partners])]
    listed = listed[listed["country_b"].isin(["CHN", *partners])]
    assert len(listed.drop_duplicates(["country_a", "country_b"])) == pairs
    assert rows["year"].agg(["min", "max"]).tolist() == [2008, 2013]
    # The file does not say how many works a country has in all.
    assert not any("works_with" in f.factor for f in likeness.matrix.features)
    assert not any("populous" in note for note in likeness.notes)


@pytest.mark.parametrize(
    ("section", "pairs", "in_focus", "populous"),
    [
        ("focus: {pairs: all}\ntraining: {most_active: 8}", 28, 28, True),  # 8 * 7 / 2
        ("focus: {partners: asean}\ntraining: {most_active: 12}", 66, 55, True),
        ("focus: {partners: asean}\ntraining: {most_active: 11}", 55, 55, False),
        ("focus: {focal: CHN, partners: asean}\ntraining: {pairs: focus}", 11, 11, False),
        ("focus: {focal: CHN, partners: asean}\ntraining: {countries: [JPN]}", 78, 11, False),
    ],
)
def test_pairs_like_those_of_a_study_by_hand(tmp_path, section, pairs, in_focus, populous):
    """By hand, with the 11 members that ASEAN has since Timor-Leste joined in 2025."""
    path = tmp_path / "x.yaml"
    years = "years: {start: 2016, end: 2019}"
    path.write_text(f"name: x\nfactors: [gdp, distance]\n{years}\n{section}\n")
    plan = make_plan(load_config(path), "x", Path(tmp_path))
    likeness, again, other = (study_like(plan, this_year=2020, seed=s) for s in (1, 1, 2))
    matrix = likeness.matrix
    found = matrix.rows.drop_duplicates(["country_a", "country_b"])
    assert (len(found), found["in_focus"].sum()) == (pairs, in_focus)
    assert set(matrix.rows["year"]) == {2016, 2017, 2018, 2019} and matrix.X.notna().all(axis=None)
    # That the most populous stand for the most active is said where they do, and no factor lacks.
    assert len(likeness.notes) == populous
    # Figures are drawn by the seed, places are real.
    assert again.matrix.X.equals(matrix.X)
    moved = {c for c in matrix.X if not other.matrix.X[c].equals(matrix.X[c])}
    assert any(c.startswith("gdp") for c in moved) and "distance" not in moved


def test_the_command_line_prints_the_same_numbers(tmp_path, monkeypatch):
    """Invariant: the JSON document is the analysis of the panel that the config names."""
    monkeypatch.chdir(tmp_path)
    matrix = covariates(12, 4)
    table = pd.concat([matrix.rows[["country_a", "country_b", "year", "works"]], matrix.X], axis=1)
    table.to_csv("p.csv", index=False)
    names = [f.factor for f in matrix.features]
    Path("p.yaml").write_text(
        "name: p\npanel: {path: p.csv, pair: [country_a, country_b], year: year, target: works, "
        f"factors: [{', '.join(names)}]}}\nexplain: {{resamples: 20}}\nlearner: ppml\n"
    )
    options = ["simulate", "--like", "p.yaml", "--worlds", "2", "--workers", "1", "--works", "30"]
    runner = CliRunner()
    found = runner.invoke(app, [*options, "--json"])
    document = json.loads(found.stdout)
    assert document["size"] == {
        "focus_pairs": 12, "training_pairs": 12, "countries": 13, "years": 5, "factors": 4,
        "worlds": 2, "resamples": 20,
    }  # fmt: skip
    assert document["assumed"]["mean_works"] == 30.0
    printed = runner.invoke(app, options).stdout
    for row in document["found"]:
        assert f"{row['percent']:+.0f} %" in printed
        assert f"{100 * row['probability']:.0f} %" in printed


def test_a_member_of_a_family_is_asked_of_by_its_name(tmp_path):
    """Truth: the same study written out; nothing is drawn before the member is known."""
    matrix = covariates(12, 4)
    table = pd.concat([matrix.rows[["country_a", "country_b", "year", "works"]], matrix.X], axis=1)
    table.to_csv(tmp_path / "p.csv", index=False)
    text = (
        "name: p\npanel: {path: p.csv, pair: [country_a, country_b], year: year, target: works, "
        f"factors: [{', '.join(f.factor for f in matrix.features)}]}}\nexplain: {{resamples: 20}}\n"
    )
    (tmp_path / "one.yaml").write_text(text + "learner: ppml\n")
    (tmp_path / "all.yaml").write_text(text + "vary: {learner: [linear_boosting, ppml]}\n")

    def like(*options: str):
        return mlcoop("simulate", "--like", *options, "--worlds", "2", "--json", cwd=tmp_path)

    member = like("all.yaml", "--member", "ppml", "--workers", "1")
    assert member.returncode == 0, member.stderr
    assert json.loads(member.stdout) == json.loads(like("one.yaml", "--workers", "1").stdout)
    for options, told in (
        (["all.yaml"], "all.yaml, vary: is a family; .*--member .*: linear_boosting, ppml$"),
        (["all.yaml", "--member", "pp"], 'all.yaml, vary: has no "pp"; .*: linear_boosting, ppml$'),
        (["one.yaml", "--member", "ppml"], "--member ppml: one.yaml is one study"),
    ):
        refused = like(*options)
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1
        assert re.match(told, refused.stderr), refused.stderr


def test_what_an_institution_may_ask_instead_is_told_and_understood(tmp_path):
    """Invariant: the line's own options, added to the command, give a plan."""
    text = "name: x\nfocus: {institution: https://ror.org/0130frc33, partners: asean}\n"
    (tmp_path / "x.yaml").write_text(text)
    refused = mlcoop("simulate", "--like", "x.yaml", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    options = re.findall(r"--set \S+", refused.stderr)
    plan = mlcoop("run", "x.yaml", "--dry-run", *" ".join(options).split(), cwd=tmp_path)
    assert "focus: KOR and " in plan.stdout, plan.stderr


def test_one_world_is_refused():
    with pytest.raises(ConfigError, match="worlds"):
        power_analysis(covariates(12, 4), "linear_boosting", worlds=1, seed=0, **FAST)


def test_a_study_too_small_to_rank_is_refused_before_a_world_is_drawn():
    with pytest.raises(DataError, match="needs 5 focus pairs or more, and this study has 3"):
        power_analysis(covariates(3), "linear_boosting", worlds=2, **FAST)
