"""Compare the variants of the forecast model, and every baseline, over rolling origins.

    python benchmarks/forecasts.py counts.csv --international works.csv --focus focus.csv \\
        --start 2001 --origins 2013-2020 --workers 2 --page docs/forecasting.md

`counts.csv` has `country_a, country_b, year, works` (or `iso2_a, iso2_b`; a pair and year that is
not listed is a zero); the most active countries are kept. `works.csv` has `country` (or `iso2`),
`year, international_works`. `focus.csv` has `country_a, country_b`.
The page's part between its two markers is replaced; what stands around it is kept.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mlcoop.forecast.backtest import assemble, forecast_experts
from mlcoop.forecast.baselines import forecast_baselines
from mlcoop.forecast.combine import PRIORS, blend_works, follow_all, with_derived
from mlcoop.forecast.experts import EXPERTS, FITTED, to_works
from mlcoop.forecast.growth import Growth, expect_common, measure_growth, weighted_median
from mlcoop.forecast.history import INTERNATIONAL, FloatArray, build_history
from mlcoop.forecast.origins import plan_origins
from mlcoop.forecast.scores import wape

START, END = "<!-- measured -->", "<!-- /measured -->"


def read_counts(path: Path, start: int, countries: int) -> pd.DataFrame:
    """Return balanced counts of all pairs of the most active countries since `start`."""
    table = pd.read_csv(path, keep_default_na=False)
    table = table.rename(columns={"iso2_a": "country_a", "iso2_b": "country_b"})
    sums = pd.concat([table.groupby(c)["works"].sum() for c in ("country_a", "country_b")], axis=1)
    top = sorted(sums.sum(axis=1).nlargest(countries).index)
    years = range(start, int(table["year"].max()) + 1)
    keys = pd.MultiIndex.from_tuples(
        [(a, b, y) for a, b in itertools.combinations(top, 2) for y in years],
        names=["country_a", "country_b", "year"],
    )
    works = table.set_index(list(keys.names))["works"].reindex(keys, fill_value=0)
    return works.astype(float).reset_index()


def add_international(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the counts with both countries' international works beside them."""
    works = pd.read_csv(path, keep_default_na=False).rename(columns={"iso2": "country"})
    known = works.set_index(["country", "year"])["international_works"].astype(float)
    sides = {
        column: known.reindex(
            pd.MultiIndex.from_frame(table[[f"country_{end}", "year"]])
        ).to_numpy()
        for end, column in zip("ab", INTERNATIONAL, strict=True)
    }
    return table.assign(**sides)


def variants_at(growth: Growth, experts: FloatArray, k: int, horizon: int) -> dict[str, FloatArray]:
    """Return the works that every single variant forecasts at column `k`."""
    common, last = expect_common(growth, k, horizon), growth.counts[:, k]
    ways: dict[str, FloatArray] = {
        f"expert: {e.label}": experts[:, i] for i, e in enumerate(EXPERTS.values())
    }
    linear = [i for i in FITTED if list(EXPERTS.values())[i].kind == "linear"]
    boosted = [i for i in FITTED if list(EXPERTS.values())[i].kind == "boosted"]
    ways["mean of both linear"] = experts[:, linear].mean(axis=1)
    ways["mean of both xgboost"] = experts[:, boosted].mean(axis=1)
    ways["mean of the four fitted"] = experts[:, FITTED].mean(axis=1)
    ways["its place kept (common growth only)"] = np.zeros(len(last))
    place = dict(zip(EXPERTS, experts.T, strict=True))
    ways["60 % fitted, 40 % last growth"] = (
        0.6 * experts[:, FITTED].mean(axis=1) + 0.4 * place["last_growth"]
    )
    ways["fixed first weights of all pairs"] = experts @ np.array(PRIORS["rest"])
    ways["fixed first weights of the focus"] = experts @ np.array(PRIORS["focus"])
    works = {name: to_works(way + common, last) for name, way in ways.items()}
    if k + horizon < growth.counts.shape[1]:
        change = growth.logs[:, k + horizon] - growth.logs[:, k]
        true = weighted_median(change, np.nan_to_num(last))
        works["oracle: common growth known, mean of the four fitted"] = to_works(
            experts[:, FITTED].mean(axis=1) + true, last
        )
    return works


def compare(
    growth: Growth,
    experts: Mapping[int, FloatArray],
    reported: Sequence[int],
    horizon: int,
) -> tuple[pd.DataFrame, Any]:
    """Return WAPE by variant, set and year, and the backtest of the blend itself."""
    shifts = follow_all(growth, experts, horizon)
    full = {k: with_derived(growth, e, shifts[k], k, horizon) for k, e in experts.items()}
    panel = growth.history
    backtest = assemble(growth, dict(experts), list(reported), horizon, 0.9, [])
    pairs = pd.MultiIndex.from_frame(panel.pairs)
    rows = []
    for k in reported:
        observed = panel.counts[:, k + horizon]
        origin = int(panel.years[k])
        blend = backtest.weights[backtest.weights["origin"] == origin]
        weights = {
            s: p.set_index("expert")["weight"].reindex(list(EXPERTS)).to_numpy()
            for s, p in blend.groupby("set")
        }
        made = backtest.table[backtest.table["origin"] == origin]
        model = made.set_index(["country_a", "country_b"])["predicted"]
        forecasts = {
            **{f"baseline: {n}": v for n, v in forecast_baselines(panel, origin, horizon).items()},
            **variants_at(growth, full[k], k, horizon),
            "blend by past skill": blend_works(growth, full[k], weights, k, horizon),
            "the model: blend, following the focus set": model.reindex(pairs).to_numpy(),
        }
        for name, works in forecasts.items():
            use = np.isfinite(works) & np.isfinite(observed)
            for label, at in (("all", use), ("focus", use & panel.in_focus)):
                rows.append((name, label, origin + horizon, wape(observed[at], works[at])))
    return pd.DataFrame(rows, columns=["variant", "set", "year", "wape"]), backtest


def summarise(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return mean WAPE and the skill against the best baseline, with 90 % intervals over years."""
    rng = np.random.default_rng(seed)
    columns = {}
    for label, part in scores.groupby("set"):
        wide = part.pivot(index="year", columns="variant", values="wape")
        rules = [c for c in wide if c.startswith("baseline")]
        best = wide[wide[rules].mean().idxmin()].to_numpy()
        picks = rng.integers(0, len(wide), size=(2000, len(wide)))
        for name in wide:
            values = wide[name].to_numpy()
            skill = 1 - values[picks].mean(axis=1) / best[picks].mean(axis=1)
            low, high = 100 * np.quantile(skill, [0.05, 0.95])
            columns[name, label] = (
                f"{values.mean():.4f}",
                f"{100 * (1 - values.mean() / best.mean()):+.1f} % ({low:+.1f} to {high:+.1f})",
            )
    names = list(dict.fromkeys(scores["variant"]))
    return pd.DataFrame(
        [[n, *columns[n, "all"], *columns[n, "focus"]] for n in names],
        columns=["variant", "all pairs: WAPE", "skill", "focus: WAPE", "focus skill"],
    )


def star_skills(
    growth: Growth, experts: dict[int, FloatArray], reported: list[int], horizon: int, stars: int
) -> pd.DataFrame:
    """Return the skill with the pairs of each of the most active countries as the focus."""
    panel = growth.history
    sizes = growth.totals[:, -1]
    rows = []
    for c in np.argsort(-sizes)[:stars]:
        star = with_focus(growth, (panel.ends == c).any(axis=1))
        test = assemble(star, dict(experts), reported, horizon, 0.9, [])
        skill, cover = test.metrics["skill"]["focus"], test.metrics["coverage"]["focus"]
        rows.append(
            (
                panel.countries[c],
                f"{test.metrics['sets']['focus']['model']['wape']:.4f}",
                skill["against"],
                f"{100 * skill['value']:+.1f} %",
                f"{cover['mean']:.2f}",
                f"{min(cover['by_year'].values()):.2f}",
                f"{cover['width_share']:.2f}",
            )
        )
    columns = ["all pairs of", "WAPE", "best baseline", "skill", "coverage", "lowest", "width"]
    return pd.DataFrame(rows, columns=columns)


def with_focus(growth: Growth, in_focus: np.ndarray) -> Growth:
    """Return the same growth with another focus; the experts do not depend on it."""
    return replace(growth, history=replace(growth.history, in_focus=in_focus))


def markdown(table: pd.DataFrame) -> str:
    """Return a Markdown table; numbers to the right."""
    head = "| " + " | ".join(map(str, table.columns)) + " |"
    line = "| --- |" + " ---: |" * (table.shape[1] - 1)
    body = ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join([head, line, *body])


def coverage_table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return coverage by set and year, its mean, and the width as a share of what came."""
    rows = []
    for name, c in metrics["coverage"].items():
        years = {str(y): f"{v:.2f}" for y, v in c["by_year"].items()}
        rows.append(
            {"set": name, **years, "mean": f"{c['mean']:.3f}", "width": f"{c['width_share']:.2f}"}
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Run the comparison and print or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=Path)
    parser.add_argument("--international", type=Path)
    parser.add_argument("--focus", type=Path)
    parser.add_argument("--start", type=int, default=2001)
    parser.add_argument("--origins", default="2013-2020")
    parser.add_argument("--countries", type=int, default=126)
    parser.add_argument("--horizons", type=int, nargs="+", default=[1])
    parser.add_argument("--stars", type=int, default=12)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    table = read_counts(args.counts, args.start, args.countries)
    if args.international:
        table = add_international(table, args.international)
    focus = pd.read_csv(args.focus, keep_default_na=False) if args.focus else None
    if focus is not None:
        known = set(table["country_a"]) | set(table["country_b"])
        focus = focus[focus["country_a"].isin(known) & focus["country_b"].isin(known)]
    growth = measure_growth(build_history(table, focus))
    panel = growth.history
    first, last = map(int, args.origins.split("-"))
    parts = []
    for horizon in args.horizons:
        wanted = range(first, min(last, int(panel.years[-1]) - horizon) + 1)
        begin = time.perf_counter()
        warm, reported, _ = plan_origins(panel.years, horizon, list(wanted))
        columns = [panel.index(y) for y in [*warm, *reported]]
        fitted = Parallel(n_jobs=args.workers)(
            delayed(forecast_experts)(growth, k, horizon, None, 0) for k in columns
        )
        experts = dict(zip(columns, fitted, strict=True))
        at = [panel.index(y) for y in reported]
        scores, backtest = compare(growth, experts, at, horizon)
        seconds = time.perf_counter() - begin
        parts.append(
            f"### {horizon} year{'s' if horizon > 1 else ''} ahead\n\n"
            f"{len(panel.pairs)} pairs of {len(panel.countries)} countries, {panel.years[0]} to "
            f"{panel.years[-1]}, {int(panel.in_focus.sum())} in focus; origins {reported[0]} to "
            f"{reported[-1]}, mean over origins; skill against the best baseline of the set, with "
            f"a 90 % interval over origins; {seconds:.0f} s.\n\n"
            + markdown(summarise(scores))
            + "\n\nCoverage of the 90 % intervals, and their width as a share of what came:\n\n"
            + markdown(coverage_table(backtest.metrics))
        )
        if horizon == 1 and args.stars:
            parts.append(
                "Other focus sets, one year ahead:\n\n"
                + markdown(star_skills(growth, experts, at, horizon, args.stars))
            )
    text = "\n\n".join(parts)
    if args.page is None:
        print(text)
        return
    page = args.page.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    args.page.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
