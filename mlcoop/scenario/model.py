"""What if a factor were otherwise: a forecast beside itself, moved by the factor model.

The forecast model lives on past counts and sees no factor. A scenario multiplies its forecast by
the ratio that the *factor model* has between the changed and the unchanged factors: by how much
pairs that differ so in these factors differ in works. That is an association over pairs and years,
reached in the long run if at all; it is no effect, and every output says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from mlcoop.errors import DataError, counted
from mlcoop.explain.crossfit import pair_ends, pair_names
from mlcoop.explain.replicates import choose_unit
from mlcoop.explain.weights import SPREAD, resampling_weights
from mlcoop.features.build import FeatureMatrix, seen_from_focal
from mlcoop.model.learners import Estimator, as_seen
from mlcoop.model.stored import from_json, to_json
from mlcoop.model.year_shocks import YearDoubt, freedom_with_years
from mlcoop.scenario.file import Move, Scenario
from mlcoop.schema import PAIR, PAIR_YEAR

ASSOCIATION = (
    "Association, not effect: the difference shows how far works differ between pairs that differ "
    "in these factors, not what changing the factors would bring. Only the named factors were "
    "changed; other factors, usually associated with them, were held constant."
)
REFITS = 16


@dataclass(frozen=True)
class ScenarioModel:
    """The factor model with refits that show its uncertainty, and what it can be asked about.

    Attributes
    ----------
    estimators : tuple of Estimator
        The fit, then refits on resampled pairs or countries.
    spread : float
        Deviations of a refit, times this, have the spread of the estimate.
    features : tuple of dict
        `name`, `factor`, `role`, `label`, and the lowest and highest value trained on, in the
        order of the columns.
    rows : DataFrame
        `focal`, `partner`, `country_a`, `country_b`, `in_focus`, and a column for each feature:
        the factors of the next year.
    years : YearDoubt or None
        How year shocks widen the intervals of factors that vary over years alone; None where the
        learner or the panel has none.
    """

    estimators: tuple[Estimator, ...]
    spread: float
    features: tuple[dict[str, Any], ...]
    rows: pd.DataFrame
    years: YearDoubt | None = None

    @property
    def names(self) -> list[str]:
        """Names of the feature columns."""
        return [str(f["name"]) for f in self.features]

    def to_json(self) -> dict[str, Any]:
        """Return the models as plain values; `rows` are a table of their own."""
        return {
            "spread": self.spread,
            "features": list(self.features),
            "estimators": [to_json(e) for e in self.estimators],
            "years": None if self.years is None else [*map(list, self.years[:2]), self.years.left],
        }

    @staticmethod
    def from_json(state: Mapping[str, Any], rows: pd.DataFrame) -> ScenarioModel:
        """Return what `to_json` gave.

        Raises
        ------
        DataError
            When a part is missing or damaged.
        """
        try:
            estimators = tuple(from_json(e) for e in state["estimators"])
            features = tuple(dict(f) for f in state["features"])
            of_years = None
            if state.get("years") is not None:  # a study without such factors has none
                times, share, left = state["years"]
                of_years = YearDoubt(np.array(times), np.array(share), float(left))
            return ScenarioModel(estimators, float(state["spread"]), features, rows, of_years)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"stored scenario model: damaged ({error}); run the study again with --force"
            ) from error


def fit_scenario_model(
    matrix: FeatureMatrix,
    ahead: FeatureMatrix | None,
    estimator: Estimator,
    *,
    unit: str = "auto",
    seed: int = 0,
    workers: int = 1,
) -> ScenarioModel:
    """Return the factor model with refits under resampling, ready for scenarios.

    Parameters
    ----------
    matrix : FeatureMatrix
        What `estimator` was fitted on (rows with known works).
    ahead : FeatureMatrix or None
        Factors of the year to be forecast; None (a ready panel) takes those of the last year.
    estimator : fitted Estimator
        With its training rows, so that it can be refitted.
    unit : {"auto", "pair", "country"}
    """
    known = matrix.rows["works"].notna()
    pairs = pd.Index(np.unique(pair_names(matrix.rows[known])))
    unit, ends = choose_unit(matrix.rows[known], unit), pair_ends(pairs)

    weights, _, _ = resampling_weights(ends, unit, REFITS, 1, seed + 11)

    def refit(b: int) -> Estimator:
        return estimator.refit(pd.Series(weights[b], index=pairs), seed + b + 1)

    # Threads: the fits release the interpreter, and what they share is not sent to and fro.
    again = Parallel(n_jobs=workers, backend="threading")(delayed(refit)(b) for b in range(REFITS))
    asked = ahead
    if asked is None:
        asked = matrix.take(matrix.rows["year"] == matrix.rows["year"].max())
    rows = asked.rows
    keep = seen_from_focal(asked)
    shown = rows.loc[keep, ["focal", "partner", *PAIR, "in_focus"]]
    trained = matrix.X[known]
    features = tuple(
        {
            "name": f.name,
            "factor": f.factor,
            "role": f.role,
            "label": f.label,
            "own": f.own,
            "low": float(trained[f.name].min()),
            "high": float(trained[f.name].max()),
        }
        for f in matrix.features
    )
    table = pd.concat([shown, asked.X[keep]], axis=1).reset_index(drop=True)
    years = getattr(estimator, "year_doubt", lambda: None)()
    return ScenarioModel((estimator, *again), SPREAD[unit], features, table, years)


@dataclass(frozen=True)
class Outcome:
    """A forecast and the same forecast under a scenario.

    Attributes
    ----------
    table : DataFrame
        The pairs and years that the scenario moves, largest difference first: FORECAST_CSV
        columns, `in_focus`, `scenario`, `scenario_lower`, `scenario_upper`, `difference`,
        `difference_lower`, `difference_upper`, `difference_pct`.
    totals : DataFrame
        The same difference summed over the pairs moved, by year: `year`, `pairs`, `difference`,
        `difference_lower`, `difference_upper`.
    warnings : tuple of str
    title : str
    note : str
        What the figures do not mean; to be shown with them.
    """

    table: pd.DataFrame
    totals: pd.DataFrame
    warnings: tuple[str, ...]
    title: str
    note: str = ASSOCIATION

    def to_dict(self) -> dict[str, Any]:
        """Return plain records for a JSON document."""
        return {
            "title": self.title,
            "note": self.note,
            "warnings": list(self.warnings),
            "pairs": self.table.to_dict(orient="records"),
            "totals": self.totals.to_dict(orient="records"),
        }


def play_scenario(
    scenario: Scenario,
    model: ScenarioModel,
    forecast: pd.DataFrame,
    moves: Sequence[Move],
    above_null: Collection[str] | None = None,
) -> Outcome:
    """Return the forecast as it is and as the factor model has it under changed factors.

    Parameters
    ----------
    scenario : Scenario
    model : ScenarioModel
    forecast : DataFrame
        FORECAST_CSV columns.
    moves : sequence of Move
        What `scenario.file.find_moves` returns for it.
    above_null : collection of str, optional
        Factors that the study's ranking distinguishes from chance; of the others the outcome warns.

    Notes
    -----
    The interval of a difference holds the uncertainty of the association at the forecast's level;
    that of the scenario adds the forecast's own error to it, as independent.

    Raises
    ------
    DataError
        When no forecast pair and year is touched.
    """
    level = float(forecast["level"].iloc[0])
    parts, warnings = [], []
    changed = np.zeros(len(model.features), dtype=bool)
    years = sorted(int(y) for y in forecast["year"].unique())
    base = model.rows[model.names]
    seen = [as_seen(e, base) for e in model.estimators]
    margins = [e.margin(whole) for e, whole in zip(model.estimators, seen, strict=True)]
    for year in years:
        X, moved, said = _changed(model, [m for m in moves if m.holds_in(year)])
        warnings += said
        touched = moved.any(axis=1)
        changed |= moved.any(axis=0)
        if not touched.any():
            continue
        steps = np.stack(
            [
                e.margin(X[touched].where(X[touched].notna(), whole[touched])) - m[touched]
                for e, whole, m in zip(model.estimators, seen, margins, strict=True)
            ]
        )
        keys = model.rows.loc[touched, PAIR]
        by_pair = pd.DataFrame(steps.T, index=pd.MultiIndex.from_frame(keys))
        by_pair = by_pair.groupby(level=PAIR).mean().reset_index()
        made = forecast[(forecast["year"] == year) & forecast["predicted"].notna()]
        parts.append(made.merge(by_pair, on=PAIR, how="inner", validate="one_to_one"))
    if not parts or not sum(len(p) for p in parts):
        why = "; ".join(dict.fromkeys(warnings))
        held = [m for m in moves if any(map(m.holds_in, years))]
        if not why and not parts and any(m.cells(model.rows, model.features) for m in held):
            why = "they leave its factors as they are, so give other values"
        raise DataError(
            f"scenario: none of its changes touches a forecast pair in {years}; "
            + (why or "name pairs or countries of this study, and years that it forecasts")
        )
    both = pd.concat(parts, ignore_index=True)
    steps = both[list(range(len(model.estimators)))].to_numpy(dtype=float)
    both = both.drop(columns=list(range(len(model.estimators))))
    table, totals = _differences(both, steps, _reach(model, changed, level))
    if above_null is not None:
        warnings += _by_chance(model, changed, above_null)
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return Outcome(
        table.loc[order].reset_index(drop=True),
        totals,
        tuple(dict.fromkeys(warnings)),
        scenario.title or "Scenario",
    )


def _reach(model: ScenarioModel, changed: np.ndarray, level: float) -> float:
    """Return the half width of an interval in standard deviations of the refits.

    Refits on resampled pairs do not show what the pairs of a year share, which is most of the
    uncertainty of a factor that varies over years alone, such as a focal country's own figures.
    """
    times, freedom = 1.0, float(len(model.estimators) - 2)
    if model.years is not None and changed.any():
        most = int(np.argmax(np.where(changed, model.years.times, 0)))
        times = max(times, float(model.years.times[most]))
        share = float(model.years.share[most])
        freedom = float(freedom_with_years(share, freedom, model.years.left))
    return float(stats.t.ppf((1 + level) / 2, freedom)) * model.spread * times


def _changed(
    model: ScenarioModel, moves: Sequence[Move]
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Return changed features, the cells that differ, and where they leave the data."""
    base = model.rows[model.names]
    X = base.copy()
    warnings = []
    ranges = {f["name"]: f for f in model.features}
    for move in moves:
        for name, at in move.cells(model.rows, model.features):
            label = ranges[name]["label"]
            before = X.loc[at, name].to_numpy(dtype=float)
            after = move.apply(before)
            known = np.isfinite(after)
            if not known.all():
                warnings.append(
                    f'"{label}": missing for {counted(int((~known).sum()), "row")} and left '
                    "unchanged; give set: with an admissible value"
                )
            X.loc[at, name] = np.where(known, after, before).astype(np.float32)
            low, high = ranges[name]["low"], ranges[name]["high"]
            slack = 1e-6 * max(abs(low), abs(high), 1.0)
            out = known & ((after < low - slack) | (after > high + slack))
            if out.any():
                worst = after[out][np.argmax(np.abs(after[out] - (low + high) / 2))]
                warnings.append(
                    f'"{label}": {move.shown(worst)} lies outside the data ({move.shown(low)} to '
                    f"{move.shown(high)}) for {int(out.sum())} of {len(after)} rows: the "
                    "model extrapolates there, so treat the result as a guess"
                )
    moved = (base != X) & ~(X.isna() & base.isna())
    return X, moved.to_numpy(), warnings


def _by_chance(model: ScenarioModel, changed: np.ndarray, above_null: Collection[str]) -> list[str]:
    """Return a warning of changed factors whose effects may be nothing but chance."""
    moved = [f for f, hit in zip(model.features, changed, strict=True) if hit]
    idle = dict.fromkeys(f'"{f["label"]}"' for f in moved if f["factor"] not in above_null)
    if not idle:
        return []
    return [
        f"{', '.join(idle)}: not distinguishable from chance in the study's ranking, so the "
        "difference may be noise"
    ]


def _differences(
    both: pd.DataFrame, steps: np.ndarray, reach: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table with its differences and their totals by year.

    `steps` are log ratios of shape (n_rows, 1 + refits), the fit first.
    """
    predicted = both["predicted"].to_numpy(dtype=float)
    step = steps[:, 0]
    doubt = reach * np.std(steps[:, 1:] - step[:, None], axis=1, ddof=1)
    lower, upper = both["lower"].to_numpy(dtype=float), both["upper"].to_numpy(dtype=float)
    log_mu = np.log1p(predicted)
    down = np.sqrt((log_mu - np.log1p(lower)) ** 2 + doubt**2)
    up = np.sqrt((np.log1p(upper) - log_mu) ** 2 + doubt**2)
    scenario = predicted * np.exp(step)
    difference = scenario - predicted
    table = both.assign(
        scenario=scenario,
        # rounding error must not move a bound that no change has moved
        scenario_lower=np.maximum(np.floor(np.round((scenario + 1) * np.exp(-down) - 1, 6)), 0.0),
        scenario_upper=np.maximum(np.ceil(np.round((scenario + 1) * np.exp(up) - 1, 6)), 0.0),
        difference=difference,
        difference_lower=predicted * np.expm1(step - doubt),
        difference_upper=predicted * np.expm1(step + doubt),
        difference_pct=100 * np.expm1(step),
    )
    rows = []
    for year, at in both.groupby("year").indices.items():
        sums = (predicted[at, None] * np.expm1(steps[at])).sum(axis=0)
        wide = reach * float(np.std(sums[1:] - sums[0], ddof=1))
        rows.append(
            {
                "year": int(str(year)),
                "pairs": len(at),
                "predicted": float(predicted[at].sum()),
                "difference": float(sums[0]),
                "difference_lower": float(sums[0]) - wide,
                "difference_upper": float(sums[0]) + wide,
            }
        )
    keys = [c for c in both.columns if c in {*PAIR_YEAR, "last_year", "last_observed", "level"}]
    first = [*keys, "predicted", "lower", "upper", "in_focus"]
    made = [c for c in table.columns if c.startswith(("scenario", "difference"))]
    return table[[*(c for c in first if c in table), *made]], pd.DataFrame(rows)
