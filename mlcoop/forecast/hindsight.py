"""A past forecast scored against observed counts: coverage, errors, baselines, worst pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlcoop.errors import DataError, some
from mlcoop.forecast.baselines import forecast_baselines
from mlcoop.forecast.history import build_history
from mlcoop.forecast.scores import score_method, wape
from mlcoop.schema import BASELINES, PAIR, PAIR_YEAR


@dataclass(frozen=True)
class Hindsight:
    """How a forecast fared.

    Attributes
    ----------
    scores : DataFrame
        One row for a set and year: `set`, `year`, `pairs`, `wape`, `best_rule`, `best_rule_wape`
        (the baseline with the lowest error on that set and year, in hindsight; None where no
        work came, or no baseline is there), a column for each baseline, `bias` (predicted over
        observed), `coverage`, `level`, `width_share`.
    pairs : DataFrame
        Every pair that was forecast and observed, largest miss first: keys, `observed`,
        `predicted`, `lower`, `upper`, `miss` (observed less predicted), `inside`, `in_focus`.
    unobserved : int
        Forecasts of the scored years without an observed count; they are not treated as zeros.
    not_forecast : int
        Counts of the scored years of pairs that were not forecast.
    """

    scores: pd.DataFrame
    pairs: pd.DataFrame
    unobserved: int
    not_forecast: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain records for a JSON document."""
        return {
            "scores": self.scores.to_dict(orient="records"),
            "pairs": self.pairs.to_dict(orient="records"),
            "unobserved": self.unobserved,
            "not_forecast": self.not_forecast,
        }


def score_forecast(
    forecast: pd.DataFrame,
    observed: pd.DataFrame,
    history: pd.DataFrame | None = None,
    *,
    where: str = "score",
) -> Hindsight:
    """Return how a forecast fared against counts that came later, by year and set.

    Parameters
    ----------
    forecast : DataFrame
        FORECAST_CSV columns, `in_focus` where there is one.
    observed : DataFrame
        `country_a`, `country_b`, `year`, `works`. Pairs that it does not list are not scored.
    history : DataFrame or None
        Counts that the forecast was made from (`country_a`, `country_b`, `year`, `works`), from
        which the baselines forecast; None leaves persistence as the only one.
    where : str
        What the error names: the file of `observed`.

    Raises
    ------
    DataError
        When no forecast pair and year was observed.
    """
    seen = observed[[*PAIR_YEAR, "works"]].dropna()
    made = forecast[forecast["predicted"].notna()]
    both = made.merge(seen, on=PAIR_YEAR, how="inner", validate="one_to_one")
    if both.empty:
        there = seen[seen["year"].isin(made["year"])]
        if len(there):  # and none of it was forecast, or some rows would have met
            named = sorted({f"{a}-{b}" for a, b in there[PAIR].to_numpy()})
            raise DataError(
                f"{where}: none of its pairs was forecast: {some(named)}; give pairs of the study"
            )
        raise DataError(
            f"{where}: no count for the forecast years {some(sorted(forecast['year'].unique()))}; "
            f"it covers {_span(seen['year'])}; give counts for the years that were forecast"
        )
    years = sorted(int(y) for y in both["year"].unique())
    unobserved = int(made["year"].isin(years).sum()) - len(both)
    not_forecast = int(seen["year"].isin(years).sum()) - len(both)
    both = both.merge(_rules(both, history), on=PAIR_YEAR, how="left", validate="one_to_one")
    rules = [r for r in BASELINES if r in both]
    rows = []
    for year in years:
        part = both[both["year"] == year]
        sets = {"all": part}
        if "in_focus" in part and part["in_focus"].any():
            sets = {"focus": part[part["in_focus"].astype(bool)], **sets}
        rows += [{"set": name, "year": year, **_score(p, rules)} for name, p in sets.items()]
    miss = both["works"] - both["predicted"]
    pairs = pd.DataFrame(
        {
            **{k: both[k] for k in PAIR_YEAR},
            "observed": both["works"],
            "predicted": both["predicted"],
            "lower": both["lower"],
            "upper": both["upper"],
            "miss": miss,
            "inside": both["works"].between(both["lower"], both["upper"]),
            "in_focus": both["in_focus"].astype(bool) if "in_focus" in both else True,
        }
    )
    order = miss.abs().sort_values(ascending=False, kind="stable").index
    scores = pd.DataFrame(rows)
    # Beside names pandas would make NaN of None, which passes for a name.
    scores["best_rule"] = pd.Series([r["best_rule"] for r in rows], dtype=object)
    return Hindsight(scores, pairs.loc[order].reset_index(drop=True), unobserved, not_forecast)


def _span(years: pd.Series) -> str:
    if years.empty:
        return "no year"
    first, last = int(years.min()), int(years.max())
    return f"{first}" if first == last else f"{first} to {last}"


def _rules(both: pd.DataFrame, history: pd.DataFrame | None) -> pd.DataFrame:
    """Return the baselines' forecasts of the same pairs and years."""
    if history is None:
        return both[PAIR_YEAR].assign(persistence=both["last_observed"])
    panel = build_history(history)
    last = int(panel.years[-1])
    parts = []
    for year in sorted(int(y) for y in both["year"].unique()):
        if year > last:
            rules = forecast_baselines(panel, last, year - last)
            parts.append(panel.pairs.assign(year=year, **rules))
    if not parts:
        return both[PAIR_YEAR].assign(persistence=both["last_observed"])
    return pd.concat(parts, ignore_index=True)


def _score(part: pd.DataFrame, rules: list[str]) -> dict[str, Any]:
    y, mu = part["works"].to_numpy(dtype=float), part["predicted"].to_numpy(dtype=float)
    figures = score_method(y, mu)
    errors = {r: wape(y, part[r].to_numpy(dtype=float)) for r in rules if part[r].notna().all()}
    best = min(errors, key=lambda r: errors[r]) if errors and y.sum() > 0 else None
    known = part["lower"].notna()
    inside = part["works"].between(part["lower"], part["upper"])[known]
    width = (part["upper"] - part["lower"]).sum()
    return {
        "pairs": len(part),
        "wape": figures["wape"],
        "best_rule": best,
        "best_rule_wape": errors[best] if best else float("nan"),
        **errors,
        "bias": figures["bias"],
        "coverage": float(inside.mean()),
        "level": float(part["level"].iloc[0]),
        "width_share": float(width / y.sum()) if y.sum() > 0 else float("nan"),
    }


def worst_pairs(found: Hindsight, most: int = 10) -> pd.DataFrame:
    """Return the largest misses, of the focus set where any of it was observed."""
    in_focus = found.pairs["in_focus"]
    table = found.pairs[in_focus] if in_focus.any() else found.pairs
    return table.head(most)[[*PAIR, "year", "observed", "predicted", "lower", "upper", "miss"]]
