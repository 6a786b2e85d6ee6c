"""Rank the factors of planted worlds and say how often the claims were right.

    python benchmarks/recovery.py --worlds 272 --workers 2 --page docs/recovery.md

Worlds already in the results file are not run again, so a run that was cut off goes on. Seeds
below 1000 were used while the method was being chosen; the page uses seeds from 1000 on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mlcoop.explain.ranking import rank_factors
from mlcoop.features.build import Feature, FeatureMatrix
from mlcoop.simulate.recipes import RECIPES
from mlcoop.simulate.world import World, simulate_world

FIRST_SEED = 1000
HERE = Path(__file__).parent


def matrix_of(world: World) -> FeatureMatrix:
    """Return the feature matrix that a ready-panel study would build from a world."""
    panel = world.panel
    ends = np.sort(panel[["i", "j"]].to_numpy(str), axis=1)
    rows = pd.DataFrame(
        {
            "focal": panel["i"],
            "partner": panel["j"],
            "country_a": ends[:, 0],
            "country_b": ends[:, 1],
            "year": panel["year"],
            "works": panel["y"],
            "exposure": panel["exposure"],
            "weight": 1.0,
            "in_focus": True,
        }
    )
    features = tuple(Feature(f, f, f, f.split("_")[0], "pair") for f in world.factors)
    return FeatureMatrix(rows, panel[list(world.factors)].astype(float), features)


def score_claims(truth: pd.Series, above: pd.DataFrame) -> dict[str, int]:
    """Count claimed orders, wrong ones (a tie claimed as an order is wrong) and possible ones."""
    claimed = above.loc[truth.index, truth.index].to_numpy(bool)
    really = truth.to_numpy()[:, None] > truth.to_numpy()[None, :]
    return {
        "claims": int(claimed.sum()),
        "wrong": int((claimed & ~really).sum()),
        "possible": int(really.sum()),
    }


def agreement(truth: pd.Series, estimate: pd.Series) -> float:
    """Kendall's tau over the pairs of factors whose true importance differs."""
    gap = truth.to_numpy()[:, None] - truth.to_numpy()[None, :]
    found = estimate[truth.index].to_numpy()
    gap_found = found[:, None] - found[None, :]
    upper = np.triu(gap != 0, 1)
    return float((np.sign(gap) * np.sign(gap_found))[upper].mean()) if upper.any() else np.nan


def run_world(kind: str, seed: int, level: float, learner: str) -> dict[str, Any]:
    """Rank one world by mlcoop, by its model's bars alone, and by those of default xgboost."""
    world = simulate_world(kind, seed=seed)
    truth = world.truth.set_index("factor")["importance"]
    ranking = rank_factors(matrix_of(world), learner, level=level, seed=seed)
    table = ranking.factors.set_index("factor")
    best = world.truth.set_index("factor")["rank_best"]
    above = table["above_null"]
    tiers = table.loc[truth.index, "tier"].to_numpy()
    tiered = pd.DataFrame(tiers[:, None] < tiers[None, :], index=truth.index, columns=truth.index)
    result: dict[str, Any] = {"kind": kind, "seed": seed, "drivers": int((truth > 0).sum())}
    result |= score_claims(truth, ranking.told)
    result |= {f"once_{k}": v for k, v in score_claims(truth, ranking.at_once).items()}
    result |= {f"tier_{k}": v for k, v in score_claims(truth, tiered).items()}
    result["covered"] = bool(
        ((table["rank_low"] <= best[table.index]) & (best[table.index] <= table["rank_high"])).all()
    )
    result["tau"] = agreement(truth, -table["rank"])
    result["width"] = float((table["rank_high"] - table["rank_low"] + 1).mean())
    true = truth[table.index] > 0
    result["driver_width"] = (
        float((table["rank_high"] - table["rank_low"] + 1)[true].mean()) if true.any() else None
    )
    importance = table["importance"]
    result["driver_importance"] = float(importance[true].sum())
    result["true_importance"] = float(truth.sum())
    result["null_importance"] = float(importance[~true].sum())
    result["found"] = int(above.sum())
    result["false_found"] = int((above & (truth[table.index] == 0)).sum())
    for name, bars in (("bars", table["share"]), ("chart", bar_chart(world))):
        height = bars.to_numpy()
        order = pd.DataFrame(height[:, None] > height[None, :], bars.index, bars.index)
        result |= {f"{name}_{k}": v for k, v in score_claims(truth, order).items()}
        result[f"{name}_tau"] = agreement(truth, bars)
    return result


def ceiling(kind: str, seed: int) -> float:
    """Kendall's tau of a ranking of a world's drivers alone, its null factors known to be null."""
    world = simulate_world(kind, seed=seed)
    truth = world.truth.set_index("factor")["importance"]
    matrix = matrix_of(world)
    drivers = tuple(f for f in matrix.features if truth[f.name] > 0)
    alone = FeatureMatrix(matrix.rows, matrix.X[[f.name for f in drivers]], drivers)
    ranking = rank_factors(alone, "linear_boosting", resamples=20, seed=seed)
    found = ranking.factors.set_index("factor")["importance"]
    return agreement(truth, found.reindex(truth.index, fill_value=0.0))


def bar_chart(world: World, **settings: float) -> pd.Series:
    """Mean absolute SHAP of xgboost, by default as it is: the chart that everybody draws."""
    import xgboost

    X = world.panel[list(world.factors)].astype(float)
    margin = np.log(world.panel["exposure"].to_numpy())
    data = xgboost.DMatrix(X, label=world.panel["y"], base_margin=margin, nthread=1)
    booster = xgboost.train({"objective": "count:poisson", "nthread": 1, **settings}, data, 100)
    values = booster.predict(data, pred_contribs=True)[:, :-1]
    return pd.Series(np.abs(values).mean(axis=0), index=list(world.factors))


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per kind and one for all kinds with drivers."""
    kinds = [k for k in RECIPES if k in set(results["kind"])]
    parts = {k: results[results["kind"] == k] for k in kinds}
    parts["all with drivers"] = results[results["drivers"] > 0]
    return pd.DataFrame({k: _summary(p) for k, p in parts.items()}).T


def _summary(part: pd.DataFrame) -> dict[str, float]:
    def share(a: pd.Series, b: pd.Series) -> float:
        return float(a.sum() / b.sum()) if b.sum() else np.nan

    return {
        "worlds": len(part),
        "coverage": part["covered"].mean(),
        "no false order": (part["once_wrong"] == 0).mean(),
        "false orders": share(part["wrong"], part["claims"]),
        "false discoveries": (part["false_found"] / part["found"].clip(lower=1)).mean(),
        "drivers found": share(part["found"] - part["false_found"], part["drivers"]),
        "power": share(part["claims"] - part["wrong"], part["possible"]),
        "power, simultaneous": share(part["once_claims"] - part["once_wrong"], part["possible"]),
        "power of tiers": share(part["tier_claims"] - part["tier_wrong"], part["possible"]),
        "tau": part["tau"].mean(),
        "width": part["width"].mean(),
        "width, drivers": part["driver_width"].astype(float).mean(),
        "size of drivers": share(part["driver_importance"], part["true_importance"]),
        "share of nulls": share(
            part["null_importance"], part["null_importance"] + part["driver_importance"]
        ),
        "bars: false orders": share(part["bars_wrong"], part["bars_claims"]),
        "bars: tau": part["bars_tau"].mean(),
        "chart: false orders": share(part["chart_wrong"], part["chart_claims"]),
        "chart: tau": part["chart_tau"].mean(),
    }


def as_markdown(table: pd.DataFrame) -> str:
    """Return the table in Markdown, two decimals."""
    lines = ["| kind | " + " | ".join(table.columns) + " |"]
    lines.append("| --- " * (len(table.columns) + 1) + "|")
    for kind, row in table.iterrows():
        cells = [
            f"{v:.0f}" if c == "worlds" else "" if pd.isna(v) else f"{v:.2f}"
            for c, v in row.items()
        ]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Parse options, run what is missing, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--worlds", type=int, default=272)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--level", type=float, default=0.95)
    parser.add_argument("--learner", default="linear_boosting")
    parser.add_argument("--kinds", default=",".join(RECIPES))
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--results", type=Path, default=HERE / "recovery.jsonl")
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    parser.add_argument(
        "--ceiling", action="store_true", help="only print tau of fits that know the drivers"
    )
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    wanted = [
        (kinds[k % len(kinds)], options.first_seed + k // len(kinds)) for k in range(options.worlds)
    ]
    if options.ceiling:
        told = Parallel(n_jobs=options.workers)(delayed(ceiling)(k, s) for k, s in wanted)
        tau = pd.Series(told).groupby([k for k, _ in wanted], sort=False).mean()
        print(tau.round(3).to_string(), f"mean {np.mean(told):.3f}", sep="\n")
        return
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    done = {(r["kind"], r["seed"]): r for r in map(json.loads, lines)}
    missing = [w for w in wanted if w not in done]
    jobs = (delayed(run_world)(k, s, options.level, options.learner) for k, s in missing)
    found = Parallel(n_jobs=options.workers, return_as="generator_unordered")(jobs)
    with options.results.open("a") as file:
        for result in found:
            done[result["kind"], result["seed"]] = result
            file.write(json.dumps(result) + "\n")
            file.flush()
    table = as_markdown(summarise(pd.DataFrame([done[w] for w in wanted])))
    print(table)
    if options.page:
        write_table(options.page, table)


def write_table(page: Path, table: str) -> None:
    """Replace what stands between the page's two table marks."""
    text = page.read_text()
    begin, end = "<!-- table -->", "<!-- end of table -->"
    head, rest = text.split(begin)
    page.write_text(f"{head}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
