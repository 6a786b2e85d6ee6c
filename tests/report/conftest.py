"""Made-up finished studies, whose numbers the page must repeat."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from mlcoop.schema import BASELINES, FORECAST_CSV, Experiment

PARTNERS = re.findall(
    r"\w+",
    """SGP RUS PAK MYS THA IND IRN SAU EGY TUR VNM IDN POL ARE KAZ CZE UKR HUN ROU GRC ISR BGD
    LKA NPL MMR KHM LAO MNG UZB KGZ TJK TKM AZE GEO ARM BLR MDA BGR SRB HRV SVN SVK EST
    LVA LTU ALB MKD BIH MNE JOR LBN IRQ KWT QAT OMN BHR YEM PHL""",
)
GROUPS = {
    "economy": ["gdp", "gdp_per_head", "gdp_gap", "trade_openness", "exports", "fdi"],
    "research": ["articles", "rd_share", "researchers", "international_works"],
    "proximity": ["distance", "contiguous", "rail_link"],
    "culture": ["official_language", "ethnic_language", "colonial_tie", "same_country"],
    "politics": ["un_distance", "rule_of_law", "voice", "stability", "corruption"],
    "technology": ["patents", "hightech_exports", "internet"],
    "integration": ["common_bloc", "belt_road_years", "urban"],
}
ROLED = ("economy", "research", "politics", "technology")


def _catalogue() -> pd.DataFrame:
    rows = []
    for group, members in GROUPS.items():
        for member in members:
            for role in ("partner", "focal") if group in ROLED else ("pair",):
                key = member if role == "pair" else f"{member}_{role}"
                label = member.replace("_", " ").capitalize()
                label = label.replace("Gdp", "GDP").replace("Un ", "UN ").replace("Rd ", "R&D ")
                of = {"partner": " (partner)", "focal": " (China)", "pair": ""}[role]
                rows.append((key, label + of, group, role))
    return pd.DataFrame(rows, columns=["factor", "label", "group", "role"])


def _ranked(replicates: np.ndarray) -> pd.DataFrame:
    """Rank columns by their mean share over replicates; tiers break where intervals part."""
    share = replicates.mean(0) / replicates.mean(0).sum()
    each = replicates / replicates.sum(1, keepdims=True)
    ranks = (-replicates).argsort(1).argsort(1) + 1
    table = pd.DataFrame(
        {
            "share": share,
            "share_low": np.minimum(np.quantile(each, 0.025, axis=0), share),
            "share_high": np.maximum(np.quantile(each, 0.975, axis=0), share),
            "rank": (-share).argsort().argsort() + 1,
        }
    )
    table["rank_low"] = np.minimum(ranks.min(0), table["rank"])
    table["rank_high"] = np.maximum(ranks.max(0), table["rank"])
    by_rank = table.sort_values("rank")
    tiers, tier, reach = {}, 1, by_rank["rank_high"].iloc[0]
    for index, row in by_rank.iterrows():
        if row["rank_low"] > reach:
            tier, reach = tier + 1, row["rank_high"]
        reach = min(reach, row["rank_high"])
        tiers[index] = tier
    table["tier"] = pd.Series(tiers)
    return table


def make_experiment(
    seed: int = 0, name: str = "china-bri", simulated: bool = False, shift: float = 0.0
) -> Experiment:
    """Return a finished study of China and 58 partners with every stage filled."""
    rng = np.random.default_rng(seed)
    catalogue = _catalogue()
    size = np.random.default_rng(1).exponential(1, len(catalogue)) ** 1.6 + 0.01
    size = size * np.exp(shift * rng.normal(size=len(size)))
    replicates = size * np.exp(0.25 * rng.normal(size=(60, len(size))))
    factors = pd.concat([catalogue.drop(columns="label"), _ranked(replicates)], axis=1)
    factors["direction"] = rng.choice(["+", "-", "mixed"], len(factors), p=[0.6, 0.25, 0.15])
    sign = factors["direction"].map({"+": 1, "-": -1, "mixed": 0.3})
    factors["effect_low_to_high"] = sign * factors["share"] * 300
    factors["effect_low"] = factors["effect_low_to_high"] - 8
    factors["effect_high"] = factors["effect_low_to_high"] + 9
    factors["effect_unit"] = "percent more works, 10th to 90th percentile"
    factors["above_null"] = factors["share"] > 0.004
    factors = factors.sort_values("rank", ignore_index=True)
    group_names = list(GROUPS)
    sums = np.stack([replicates[:, catalogue["group"] == g].sum(1) for g in group_names], axis=1)
    groups = pd.concat([pd.DataFrame({"group": group_names, "role": ""}), _ranked(sums)], axis=1)
    groups = groups.assign(above_null=True).sort_values("rank", ignore_index=True)
    long = [
        pd.DataFrame(values, columns=names)
        .rename_axis("replicate")
        .reset_index()
        .melt("replicate", var_name="name", value_name="importance")
        .assign(kind=kind)
        for kind, names, values in (
            ("factor", catalogue["factor"], replicates),
            ("group", group_names, sums),
        )
    ]
    backtest, forecast = _forecasts(rng)
    effects = _effects(rng, factors)
    return Experiment(
        name=name,
        folder=f"experiments/{name}",
        config=_config(name, seed, simulated),
        provenance=_provenance(),
        factors=factors,
        groups=groups,
        resamples=pd.concat(long)[["replicate", "kind", "name", "importance"]],
        metrics=_metrics(rng, backtest),
        backtest=backtest,
        forecast=forecast,
        trials=pd.DataFrame({"model": ["factor", "forecast"] * 15, "loss": 1 / np.arange(3.0, 33)}),
        coverage=_coverage(catalogue, factors, size, simulated),
        effects=effects,
    )


def _forecasts(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, ahead = [], []
    for i, partner in enumerate(PARTNERS):
        a, b = sorted(("CHN", partner))
        level = 9000 * np.exp(-i / 9) + 20
        counts = [
            level * 1.12 ** (y - 2021) * np.exp(0.1 * rng.normal()) for y in range(2010, 2022)
        ]
        counts = [float(round(c)) for c in counts]
        for year in range(2014, 2022):
            at = year - 2010
            observed, last, before = counts[at], counts[at - 1], counts[at - 2]
            predicted = last * 1.1 * np.exp(0.05 * rng.normal())
            row = {
                "origin": year - 1,
                "year": year,
                "country_a": a,
                "country_b": b,
                "observed": observed,
                "predicted": predicted,
                "lower": predicted * 0.82,
                "upper": predicted * 1.22,
            }
            guesses = np.linspace(0.9, 1.12, len(BASELINES)) * last
            row |= dict(zip(BASELINES, guesses, strict=True))
            row |= {"persistence": last, "drift1": last * last / before}
            rows.append(row)
        predicted = counts[-1] * 1.09
        ahead.append(
            (a, b, 2022, 2021, counts[-1], predicted, predicted * 0.83, predicted * 1.2, 0.9)
        )
    return pd.DataFrame(rows), pd.DataFrame(ahead, columns=FORECAST_CSV)


def _metrics(rng: np.random.Generator, backtest: pd.DataFrame) -> dict:
    methods = ["model", *BASELINES]
    by_year, sets = [], {}
    for name, scale in (("focus", 1.0), ("all", 0.7)):
        errors = {}
        for i, method in enumerate(methods):
            yearly = 0.12 * scale * (1 + 0.06 * i) * np.exp(0.15 * rng.normal(size=8))
            errors[method] = float(yearly.mean())
            by_year += [
                {"set": name, "year": 2014 + t, "method": method, "wape": float(w)}
                for t, w in enumerate(yearly)
            ]
        sets[name] = {m: {"wape": w, "mae": 10 * w, "bias": 1.0} for m, w in errors.items()}
    best = min(BASELINES, key=lambda m: sets["focus"][m]["wape"])
    value = 1 - sets["focus"]["model"]["wape"] / sets["focus"][best]["wape"]
    held = {str(y): float(0.9 + 0.04 * rng.normal()) for y in range(2014, 2022)}
    return {
        "forecast": {
            "horizon": 1,
            "origins": list(range(2013, 2021)),
            "level": 0.9,
            "sets": sets,
            "skill": {
                "focus": {
                    "against": best,
                    "value": value,
                    "low": value - 0.05,
                    "high": value + 0.06,
                }
            },
            "coverage": {
                name: {
                    "mean": float(np.mean(list(held.values()))),
                    "width_share": width,
                    "by_year": held,
                }
                for name, width in (("focus", 0.4), ("all", 0.3), ("largest_5pct", 0.2))
            },
            "by_year": by_year,
        },
        "factor_model": {
            "deviance_explained": {"focus_unseen": 0.812, "world_unseen": 0.86},
            "ppml_deviance_explained": {"focus_unseen": 0.42},
        },
    }


def _effects(rng: np.random.Generator, factors: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for row in factors.head(14).itertuples():
        x = np.linspace(0, 10, 24)
        shape = np.tanh((x - 4) / 3) * row.effect_low_to_high / 2
        density = np.exp(-(((x - 4) / 2.5) ** 2))
        parts.append(
            pd.DataFrame(
                {
                    "factor": row.factor,
                    "value": x,
                    "effect": shape,
                    "low": shape - 5 - np.abs(x - 5),
                    "high": shape + 5 + np.abs(x - 5),
                    "density": density,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _config(name: str, seed: int, simulated: bool) -> dict:
    return {
        "name": name,
        "title": "China and the Belt and Road",
        "focus": {"focal": "CHN", "partners": "belt-and-road"},
        "training": {"pairs": "all", "most_active": 126},
        "years": {"start": 2001, "end": 2021},
        "target": {"source": "simulated" if simulated else "openalex", "counting": "full"},
        "explain": {"enabled": True, "resamples": 60, "level": 0.95, "unit": "country"},
        "forecast": {"level": 0.9, "horizon": 1},
        "seed": seed,
    }


def _provenance() -> dict:
    return {
        "mlcoop": "0.1.0",
        "packages": {"pandas": "3.1.1", "xgboost": "3.2.0"},
        "seed": 0,
        "commit": "f2e6bb3a9c1d5e7f",
        "finished": "2026-11-24T23:40:11Z",
        "timings": {"panel": 4.2, "tuning": 88.0, "explain": 140.5},
        "inputs": [
            {"source": "OpenAlex", "licence": "CC0-1.0", "version": "live", "citation": "Priem"},
            {"source": "OpenAlex", "sha256": "9f86d081884c7d659a2feaa0c55ad015"},
        ],
    }


def _coverage(
    catalogue: pd.DataFrame, factors: pd.DataFrame, size: np.ndarray, simulated: bool
) -> dict:
    share = np.linspace(0.55, 1, len(catalogue))
    coverage = {
        "countries": ["CHN", *PARTNERS],
        "dropped": [
            {"kind": "country", "what": "TLS", "reason": "41 % of its figures", "count": 1},
            {"kind": "country", "what": "PSE", "reason": "no GDP in any year", "count": 1},
            {"kind": "year", "what": "2022", "reason": "total falls short of 2021", "count": 58},
        ],
        "factors": [
            {**row, "source": "World Bank", "lag": 2, "coverage": float(c)}
            for row, c in zip(catalogue.to_dict("records"), share, strict=True)
        ],
        "years": [2001, 2021],
        "pairs": 7875,
        "focus_pairs": len(PARTNERS),
        "training_countries": 126,
        "zeros": 0.213,
        "simulated": simulated,
        "warnings": ["2020 and 2021 are pandemic years: growth in them may not carry over."],
    }
    if simulated:
        order = np.argsort(-size)[:12]
        coverage["planted"] = [
            {"factor": catalogue["factor"].iloc[j], "rank": r + 1, "importance": float(size[j])}
            for r, j in enumerate(order)
        ]
    else:
        coverage["reference"] = {
            "title": "The founding study's counts beside ours",
            "source": "Scopus, as published",
            "rows": [
                {"domain": "all", "year": y, "published": 1000.0 * (y - 2009), "counted": 950.0}
                for y in (2010, 2015, 2019)
            ],
            "claims": ["Economy leads among the groups."],
        }
    return coverage


@pytest.fixture(scope="session")
def study() -> Experiment:
    """Return a finished study of real countries."""
    return make_experiment()


@pytest.fixture(scope="session")
def simulated_study() -> Experiment:
    """Return a finished study of a planted world."""
    return make_experiment(seed=3, name="quickstart", simulated=True)
