"""The factor catalogue on stdout, with coverage and bars where a study is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mlcoop.features.distribution import Distribution
from mlcoop.features.factor import DIMENSION_OF, DIMENSIONS, GROUPS, Factor
from mlcoop.forecast.network import Position
from mlcoop.report.names import percent
from mlcoop.terminal.tables import print_table

BAR = 40  # letters of the longest bar
SIGNS = {1: "+", -1: "−", 0: ""}
QUANTILES = {0.0: "minimum", 0.1: "10th percentile", 0.5: "median", 0.9: "90th", 1.0: "maximum"}


def print_factors(
    factors: Sequence[Factor],
    *,
    whole: bool = False,
    known: Mapping[str, Mapping[str, float]] | None = None,
    spread: Sequence[Distribution] = (),
) -> None:
    """Print catalogue entries: a table, or with `whole` everything about each.

    Parameters
    ----------
    known : dict of dict, or None
        Share of values available in a study, by factor and by feature.
    spread : sequence of Distribution
        Distribution of a single factor over a study's pairs.
    """
    if whole:
        for factor in factors:
            _describe(factor, known)
        for part in spread:
            _histogram(part, factors[0].unit)
        return
    table = pd.DataFrame(
        {
            "factor": [f.name for f in factors],
            "label": [f.label for f in factors],
            "group": [GROUPS.get(f.group, f.group) for f in factors],
            "unit": [f.unit for f in factors],
            "source": [f.source for f in factors],
            "lag": [f.lag for f in factors],
            "sign": [SIGNS[f.sign] for f in factors],
        }
    )
    if known is not None:
        table["data available"] = [_at_hand(known.get(f.name)) for f in factors]
    print_table(table, f"{len(table)} factors")


def print_positions(positions: Sequence[Position], *, whole: bool = False) -> None:
    """Print the network inputs, which only the forecast model uses."""
    if whole:
        for position in positions:
            print(f"{position.name}: {position.label}")
            print("  group: Network position (forecast model only)")
            print(f"  unit: {position.unit}\n  {position.definition}\n  {position.reference}")
        return
    table = pd.DataFrame(
        [(p.name, p.label, p.unit, p.definition) for p in positions],
        columns=["input", "label", "unit", "definition"],
    )
    print_table(table, f"{len(table)} inputs used only by the forecast model: network position")


def _describe(factor: Factor, known: Mapping[str, Mapping[str, float]] | None) -> None:
    print(f"{factor.name}: {factor.label}")
    facts = {
        "group": GROUPS.get(factor.group, factor.group),
        "dimension": DIMENSIONS[DIMENSION_OF[factor.group]],
        "unit": factor.unit,
        "source": factor.source,
        "role": factor.role,
        "inputs": ", ".join(factor.inputs) or "–",
        "lag in years": f"{factor.lag}; last value carried forward for at most {factor.carry}",
        "expected sign": SIGNS[factor.sign] or "none",
        "kind": factor.kind,
        "included by default": "yes" if factor.default else "no",
    }
    if known is not None:
        facts["data available"] = _at_hand(known.get(factor.name))
    for key, value in facts.items():
        print(f"  {key}: {value}")
    print(f"  {factor.definition}")
    print(f"  {factor.reference}")


def _at_hand(shares: Mapping[str, float] | None) -> str:
    """Return the share of focus rows with data; partner and focal country where both have them.

    >>> _at_hand({"gdp_partner": 0.5, "gdp_focal": 1.0}), _at_hand(None)
    ('50 % / 100 %', 'not in this study')
    """
    if not shares:
        return "not in this study"
    return " / ".join(percent(share) for share in shares.values())


def _histogram(part: Distribution, unit: str) -> None:
    """Print a factor's distribution as bars, with its quantiles."""
    of = percent(part.known / part.rows) if part.rows else "–"
    print(f"\n{part.label} ({unit}), over focus pairs and years; available in {of}")
    if not part.known:
        return
    most = part.bars["rows"].max()
    labels = [
        f"{low:,.4g}" if low == high else f"{low:,.4g} to {high:,.4g}"
        for low, high in zip(part.bars["low"], part.bars["high"], strict=True)
    ]
    width = max(map(len, labels))
    for label, rows in zip(labels, part.bars["rows"], strict=True):
        bar = "█" * round(BAR * rows / most) or ("▏" if rows else "")
        print(f"  {label:>{width}}  {bar} {percent(rows / part.known, 1)}")
    print("  " + ", ".join(f"{QUANTILES[level]} {v:,.4g}" for level, v in part.quantiles.items()))
