"""Independent importance measures side by side: where they agree, and where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.explain.agreement import MEASURES, agreements

# column of the size by which a witness ranks, and of whether a factor stands out
WITNESSES: dict[str, tuple[str, str]] = {
    "shap": ("importance", "above_null"),
    "permutation": ("permutation", "permutation_stands_out"),
    "conditional": ("conditional", "conditional_stands_out"),
    "ppml": ("ppml_size", "ppml_stands_out"),
}
NAMES = {
    "shap": "SHAP values",
    "permutation": "permutation",
    "conditional": "permutation within its group",
    "ppml": "PPML",
}
PLAYER_WITNESSES = {
    "members": "members_sum",
    "as_one": "as_one",
    "dropped": "learner_lost",
    "dropped_ppml": "ppml_lost",
}


def join_witnesses(
    factors: pd.DataFrame,
    permutation: pd.DataFrame,
    regression: pd.DataFrame,
    players: pd.DataFrame,
    labels: dict[str, str],
) -> pd.DataFrame:
    """Return one row per factor with the evidence of every witness, most important first.

    Parameters
    ----------
    factors : DataFrame
        As `Ranking.factors`.
    permutation, regression : DataFrames indexed by factor
    players : DataFrame indexed by group
        With `learner_lost` and `ppml_lost`.
    labels : dict
        Words for each factor.

    Returns
    -------
    DataFrame: `factor, group, shap_share, shap_rank, shap_stands_out, direction`, the columns of
    `permutation_importance` and `regression_table`, each with its rank, `group_lost,
    group_lost_ppml` (of the factor's group, the same for all its members), and `disagreement`: a
    sentence where the witnesses disagree, else empty.
    """
    table = factors.set_index("factor")
    result = pd.DataFrame(
        {
            "group": table["group"],
            "shap_share": table["share"],
            "shap_rank": table["rank"],
            "shap_stands_out": table["above_null"].astype(bool),
            "direction": np.select(
                [table["effect_low_to_high"] > 0, table["effect_low_to_high"] < 0],
                ["+", "-"],
                "none",
            ),
        }
    )
    result = result.join(permutation).join(regression)
    for name, (size, _) in WITNESSES.items():
        if name != "shap":
            result[f"{name}_rank"] = (-result[size]).rank(method="first").astype(int)
    result["group_lost"] = players["learner_lost"].reindex(result["group"]).to_numpy()
    result["group_lost_ppml"] = players["ppml_lost"].reindex(result["group"]).to_numpy()
    rows = zip(result.index, result.to_dict("records"), strict=True)
    result["disagreement"] = [
        _disagreement(labels.get(str(n), str(n)), row, len(result)) for n, row in rows
    ]
    return result.rename_axis("factor").reset_index()


def _disagreement(label: str, row: dict[str, Any], of: int) -> str:
    """Return in plain words where the witnesses of one factor disagree, or nothing."""
    tested = not np.isnan(row["ppml_p"])
    stands = {n: bool(row[f"{n}_stands_out"]) for n in WITNESSES if n != "ppml" or tested}
    for_it = [NAMES[n] for n, yes in stands.items() if yes]
    against = [NAMES[n] for n, yes in stands.items() if not yes]
    said = []
    up, slope = row["direction"], row["ppml_coef"]
    opposed = {"+": slope < 0, "-": slope > 0}.get(up, False)
    if tested and (stands["shap"] or stands["ppml"]) and opposed:
        words = ("more", "fewer") if up == "+" else ("fewer", "more")
        said.append(f"is associated with {words[0]} works in the learner and {words[1]} in PPML")
    if for_it and against:
        not_by = _list(against, "or")
        said.append(f"is distinguishable from chance by {_list(for_it)}, not by {not_by}")
    if not said:
        return ""
    replaced = row["conditional"] < row["permutation"] / 2  # never so where it is alone in it
    if stands["permutation"] and not stands["conditional"] and replaced:
        said.append("most of its information is also in the rest of its group")
    if not tested:
        said.append("cannot be tested by PPML")
    ranks = f"rank {row['shap_rank']} by SHAP, {row['ppml_rank']} by PPML, of {of}"
    return f"{label} {'; '.join(said)} ({ranks})."


def _list(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def witness_agreement(
    witnesses: pd.DataFrame, factors: pd.DataFrame, players: pd.DataFrame
) -> dict[str, Any]:
    """Return how far the witnesses' orders agree, for factors and for groups.

    Returns
    -------
    dict
        `factors` and `groups`: a list of `a, b, tau_b, weighted_tau, rbo`, one per two witnesses;
        `stand_out`: how many factors are distinguishable from chance by each witness;
        `all_agree`: factors that are so by all; `disagree`: factors with a sentence.
    """
    own = factors.set_index("factor")["importance"].reindex(witnesses["factor"])
    sizes = np.array(
        [own if n == "shap" else witnesses[size] for n, (size, _) in WITNESSES.items()],
        dtype=float,
    )
    stands = witnesses[[f"{n}_stands_out" for n in WITNESSES]].to_numpy(bool)
    return {
        "factors": _between(list(WITNESSES), sizes),
        "groups": _between(
            list(PLAYER_WITNESSES), players[list(PLAYER_WITNESSES.values())].to_numpy(float).T
        ),
        "stand_out": {n: int(stands[:, k].sum()) for k, n in enumerate(WITNESSES)},
        "all_agree": int(stands.all(axis=1).sum()),
        "disagree": int((witnesses["disagreement"] != "").sum()),
    }


def _between(names: Sequence[str], sizes: np.ndarray) -> list[dict[str, Any]]:
    if sizes.shape[1] < 2:
        return []
    found = agreements(sizes[None])[:, 0]
    return [
        {"a": a, "b": names[k]} | {m: float(found[i, j, k]) for i, m in enumerate(MEASURES)}
        for j, a in enumerate(names)
        for k in range(j + 1, len(names))
    ]
