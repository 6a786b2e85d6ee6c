"""What stands beside the ranking on the page is what stands in the folder."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from page import Page

from mlcoop.report.render import render_report
from mlcoop.schema import Experiment

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def defended(study: Experiment) -> Experiment:
    """The study with made-up witnesses, players, orders, tests and stability."""
    factors = study.factors.assign(
        step="10 % more", effect_per_step=5.0, effect_per_step_low=4.0, effect_per_step_high=6.0
    )
    n = len(factors)
    rng = np.random.default_rng(0)
    witnesses = pd.DataFrame(
        {
            "factor": factors["factor"],
            "group": factors["group"],
            "shap_share": factors["share"],
            "shap_rank": factors["rank"],
            "direction": "+",
            "permutation_sd": 0.001,
            "ppml_effect": rng.normal(0, 20, n),
            "ppml_low": -30.0,
            "ppml_high": 40.0,
            "ppml_z": rng.normal(size=n),
            "ppml_p": rng.uniform(size=n),
            "disagreement": ["", f"{HOSTILE} stands out by PPML.", *[""] * (n - 2)],
        }
    )  # fmt: skip
    untested = ["ppml_low", "ppml_high", "ppml_z", "ppml_p"]
    witnesses.loc[n - 1, untested] = np.nan  # as where a factor hangs on one pair
    for name in ("permutation", "conditional"):
        witnesses[name] = rng.exponential(0.01, n)
    for name in ("shap", "permutation", "conditional", "ppml"):
        witnesses[f"{name}_stands_out"] = np.arange(n) < 3
        if name != "shap":
            witnesses[f"{name}_rank"] = rng.permutation(n) + 1
    groups = study.groups["group"].tolist()
    players = pd.DataFrame(
        {
            "group": groups,
            "members_sum": np.linspace(1.0, 0.4, len(groups)),
            "as_one": np.linspace(0.8, 0.1, len(groups)),
            "as_one_error": 0.0,
            "cancelled": np.linspace(0.2, 0.75, len(groups)),
            "interaction": 0.0,
            "learner_all": 0.84,
            "learner_without": np.linspace(0.64, 0.85, len(groups)),
            "learner_lost": np.linspace(0.2, -0.01, len(groups)),
            "ppml_all": 0.8,
            "ppml_without": 0.7,
            "ppml_lost": 0.1,
        }
    )
    first, second = factors["factor"].iloc[:2]
    tests = pd.DataFrame(
        {
            "factor": [first, second],
            "difference": [0.3, 0.0],
            "z": [4.0, 0.1],
            "p": [0.0001, 0.9],
            "q": [0.0002, 0.9],
            "differs": [True, False],
        }
    )
    stable = {"halves_tau": 0.956, "replicates_tau": 0.5, "top_same": 0.9, "top_same_tier": 1.0}
    ranking = {
        "agreement": {
            "factors": [
                {"a": "shap", "b": "ppml", "tau_b": 0.41, "weighted_tau": 0.6, "rbo": 0.7},
                {"a": "shap", "b": "permutation", "tau_b": 0.63, "weighted_tau": 0.8, "rbo": 0.9},
            ],
            "groups": [],
            "stand_out": {"shap": 3, "permutation": 2, "conditional": 1, "ppml": 4},
            "all_agree": 1,
            "disagree": 1,
        },
        "level": 0.95,
        "stability": {"factors": stable, "groups": stable},
        "pair_halves": {
            "pair_halves_tau": 0.62,
            "pair_halves_tau_told": None,
            "pair_halves_tau_groups": 0.83,
            "focus_halves_tau": 0.71,
            "focus_halves_tau_groups": None,
        },
        "wide": {
            "deviance": {
                "learner": {"wide": 0.84, "narrow": 0.6},
                "ppml": {"wide": 0.82, "narrow": 0.42},
            },
            "agreement": {"tau": 0.55, "tau_low": 0.3, "tau_high": 0.5},
            "interaction": {"p": 0.0004, "clusters": 66, "tested": 2, "differ": 1},
            "wide_orders": 80,
            "narrow_orders": 12,
        },
    }
    return dataclasses.replace(
        study,
        factors=factors,
        witnesses=witnesses,
        group_players=players,
        interactions_with_focus=tests,
        orders=pd.DataFrame(
            {"kind": ["factor"], "above": [first], "below": [second], "at_once": [False]}
        ),
        metrics={**study.metrics, "ranking": ranking},
    )


def test_that_nothing_could_be_tested_is_said(defended: Experiment) -> None:
    """By hand: no factor varies inside the focus, so p is missing and the table holds no row."""
    ranking = copy.deepcopy(defended.metrics["ranking"])
    ranking["wide"]["interaction"] = {"p": None, "clusters": None, "tested": 0, "differ": 0}
    none = dataclasses.replace(
        defended,
        metrics={**defended.metrics, "ranking": ranking},
        interactions_with_focus=defended.interactions_with_focus.iloc[:0],
    )
    text = Page(render_report(none)).text
    assert "No factor varies enough among focus pairs to test this." in text
    assert "The data show no difference" not in text


def test_tables_hold_the_folders_numbers(defended: Experiment) -> None:
    """Truth: the tables made above."""
    tables = Page(render_report(defended)).tables
    for column in ("permutation", "conditional", "ppml_effect", "ppml_rank", "ppml_z"):
        found = [float(v or "nan") for v in tables["witnesses"].column(column)]
        assert found == pytest.approx(defended.witnesses[column].tolist(), nan_ok=True)
    for column in ("members_sum", "as_one", "cancelled", "learner_lost", "ppml_lost"):
        found = [float(v) for v in tables["players"].column(column)]
        assert found == pytest.approx(defended.group_players[column].tolist())
    told = defended.factors[defended.factors["above_null"]]
    assert tables["steps"].column("factor") == told["factor"].tolist()
    assert tables["interactions-with-focus"].column("differs") == ["yes", "no"]
    assert tables["orders"].column("before") == ["1", "0"]
    assert tables["orders"].column("after") == ["0", "1"]


def test_sentences_are_made_from_the_numbers(defended: Experiment) -> None:
    """Truth: the numbers above, worked by hand into words."""
    text = " ".join(Page(render_report(defended)).text.replace("\u00a0", " ").split())
    assert "10 % more: 4.0 to 6.0 % more works." in text
    assert "3 by SHAP values, 2 by permutation on held-out pairs, 1 by permutation within" in text
    assert "from 0.41 (SHAP values and PPML) to 0.63 (SHAP values and Permutation)" in text
    assert "focus pairs around their own mean with all groups and 64.0 % without" in text
    assert "more than the 60.0 % of one trained on the other focus pairs alone" in text
    assert "tau 0.55 (between their replicates 0.30 to 0.50)" in text
    assert "This does not hold throughout" in text and "p = below 0.001" not in text
    assert "halves of the replicates agree with Kendall’s tau 0.96" in text
    assert "agree with tau 0.62; rankings of groups agree with 0.83." in text
    assert text.count("rankings of groups agree with") == 1
    assert "all other pairs serve both, they agree with 0.71" in text
    n = len(defended.factors)
    assert (
        f"The data establish 1 of the {n * (n - 1) // 2:,} pairwise orders of factors and" in text
    )
    assert "orders of groups at a false discovery rate of 5 %: at most 5 % are wrong" in text
    assert "Of these, 0 orders of factors and 0 orders of groups are established simult" in text
    # Each kind is tested by itself, so nothing is promised of all three together.
    assert "that is, all orders of one kind are right with 95 % confidence." in text


def test_a_hostile_sentence_is_text_and_a_bare_study_has_no_section(
    defended: Experiment, study: Experiment
) -> None:
    assert HOSTILE not in render_report(defended)
    assert 'id="defence"' not in render_report(study)
    orders = dataclasses.replace(study, orders=defended.orders)
    assert 'id="defence"' in render_report(orders) and 'id="witnesses"' not in render_report(orders)


def test_no_two_parts_share_an_address(defended: Experiment) -> None:
    """Truth: a button that saves or searches a table finds it by its id, which names one thing."""
    first, second = defended.factors["factor"].head(2)
    full = dataclasses.replace(
        defended,
        interactions=pd.DataFrame(
            {
                "factor": [first],
                "other": [second],
                "strength": [9.0],
                "low": [5.0],
                "high": [13.0],
                "share": [0.1],
                "told": [True],
            }
        ),
        collinearity=pd.DataFrame(
            {
                "factor": [first, second],
                "group": "pair",
                "position": [1, 2],
                "cluster": 1,
                "neighbour": [second, first],
                "spearman": 0.9,
                "close": True,
                "told": True,
            }
        ),
        correlations=pd.DataFrame({"factor": [first], "other": [second], "spearman": [0.9]}),
    )
    page = Page(render_report(full))
    assert {"interactions", "interactions-with-focus", "collinearity"} <= set(page.tables)
    assert sorted(page.ids) == sorted(set(page.ids))
    assert {v[1:] for k, v in page.loads if k == "href"} <= set(page.ids)


def test_a_group_without_which_all_is_better_is_not_said_to_cost(defended: Experiment) -> None:
    """By hand: all groups explain 84 %, the least harmful left out 86 %."""
    players = defended.group_players.assign(
        learner_lost=[-0.02, *[-0.1] * (len(defended.group_players) - 1)]
    )
    text = " ".join(
        Page(render_report(dataclasses.replace(defended, group_players=players))).text.split()
    )
    assert "costs most" not in text and "Leaving out any one group costs nothing: " in text
    assert "explains 84.0 % of" in text and "and 86.0 % without" in text


def test_losses_of_a_model_that_explains_nothing_are_not_shown(defended: Experiment) -> None:
    """By hand: PPML explains -23 with all groups and -40 without one: no 1,700 % are lost."""
    bad = defended.group_players.assign(ppml_all=-23.0, ppml_lost=17.0)
    page = Page(render_report(dataclasses.replace(defended, group_players=bad)))
    assert "1,700" not in page.text and "costs most" in page.text
    worse = bad.assign(learner_all=-0.1)
    text = Page(render_report(dataclasses.replace(defended, group_players=worse))).text
    assert "explains nothing of held-out focus pairs" in " ".join(text.split())
    assert "costs most" not in text
