"""What the witnesses say together, on tables made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from mlcoop.explain.defence.witnesses import join_witnesses, witness_agreement

FACTORS = pd.DataFrame(
    {
        "factor": ["a", "b", "c"],
        "group": ["g", "g", "h"],
        "rank": [1, 2, 3],
        "share": [0.6, 0.3, 0.1],
        "importance": [6.0, 3.0, 1.0],
        "above_null": [True, True, False],
        "effect_low_to_high": [50.0, -20.0, 1.0],
    }
)


def by_hand() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """a: all agree. b: PPML has the other sign, its group replaces it. c: found by none."""
    index = ["a", "b", "c"]
    permutation = pd.DataFrame(
        {
            "permutation": [0.3, 0.2, -0.1],
            "permutation_stands_out": [True, True, False],
            "conditional": [0.2, 0.0, 0.01],
            "conditional_stands_out": [True, False, False],
        },
        index=index,
    )
    regression = pd.DataFrame(
        {
            "ppml_coef": [0.5, 0.4, -0.1],
            "ppml_size": [0.5, 0.4, 0.1],
            "ppml_p": [0.001, 0.01, 0.5],
            "ppml_stands_out": [True, True, False],
        },
        index=index,
    )
    players = pd.DataFrame(
        {
            "members_sum": [3.0, 1.0],
            "as_one": [2.0, 1.0],
            "learner_lost": [0.5, 0.6],
            "ppml_lost": [0.4, 0.1],
        },
        index=["g", "h"],
    )
    return permutation, regression, players


def test_a_sentence_stands_where_sign_or_standing_differ():
    """Worked by hand: only b differs, in both."""
    table = join_witnesses(FACTORS, *by_hand(), {"b": "The second"}).set_index("factor")
    assert table["disagreement"].tolist()[::2] == ["", ""]
    assert table.loc["b", "disagreement"] == (
        "The second is associated with fewer works in the learner and more in PPML; is "
        "distinguishable from chance by SHAP values, permutation and PPML, not by permutation "
        "within its group; most of its information is also in the rest of its group (rank 2 by "
        "SHAP, 2 by PPML, of 3)."
    )
    assert table["permutation_rank"].tolist() == [1, 2, 3]
    assert table["conditional_rank"].tolist() == [1, 3, 2]
    assert table["group_lost"].tolist() == [0.5, 0.5, 0.6]


def test_a_factor_that_ppml_cannot_test_is_not_one_that_ppml_misses():
    """By hand: with b untested, PPML is neither for nor against it, and its sign says nothing."""
    permutation, regression, players = by_hand()
    regression.loc["b", ["ppml_p", "ppml_stands_out"]] = [float("nan"), False]
    table = join_witnesses(FACTORS, permutation, regression, players, {}).set_index("factor")
    sentence = table.loc["b", "disagreement"]
    assert "from chance by SHAP values and permutation, not by permutation within" in sentence
    assert "in PPML" not in sentence and "cannot be tested by PPML (rank 2 by SHAP" in sentence


def test_agreement_counts_and_taus():
    """By hand: conditional swaps one of three pairs, tau 1/3; drop-group reverses two, tau -1."""
    permutation, regression, players = by_hand()
    table = join_witnesses(FACTORS, permutation, regression, players, {})
    found = witness_agreement(table, FACTORS, players)
    taus = {(r["a"], r["b"]): r["tau_b"] for r in found["factors"]}
    assert taus["shap", "permutation"] == pytest.approx(1)
    assert taus["shap", "conditional"] == pytest.approx(1 / 3)
    groups = {(r["a"], r["b"]): r["tau_b"] for r in found["groups"]}
    assert groups["members", "as_one"] == pytest.approx(1)
    assert groups["as_one", "dropped"] == pytest.approx(-1)
    assert found["stand_out"] == {"shap": 2, "permutation": 2, "conditional": 1, "ppml": 2}
    assert (found["all_agree"], found["disagree"]) == (1, 1)
