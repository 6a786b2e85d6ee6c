"""What differs between the configs and the data of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mlcoop.errors import some
from mlcoop.schema import Experiment


def differences(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return what differs between configs and data: part, key, and a column per experiment."""
    rows: list[dict[str, str]] = []
    configs = [_flat(e.config) for e in experiments]
    for key in dict.fromkeys(k for c in configs for k in c):
        if key in ("name", "title"):
            continue
        _differ(rows, "config", key, [c.get(key, "–") for c in configs], experiments)
    for key in ("years", "pairs", "zeros"):
        values = [_text(e.coverage.get(key, "–")) for e in experiments]
        _differ(rows, "data", key, values, experiments)
    countries = [set(map(str, e.coverage.get("countries") or [])) for e in experiments]
    shared = set.intersection(*countries)
    extra = [
        f"{len(c)}" + (f", also {some(sorted(c - shared))}" if c - shared else "")
        for c in countries
    ]
    _differ(rows, "data", "countries", extra, experiments)
    inputs = [_text(e.provenance.get("inputs") or "–") for e in experiments]
    marks = {text: f"set {i + 1}" for i, text in enumerate(dict.fromkeys(inputs))}
    _differ(rows, "data", "input checksums", [marks[text] for text in inputs], experiments)
    return pd.DataFrame(rows, columns=["part", "key", *(e.name for e in experiments)])


def _differ(
    rows: list[dict[str, str]],
    part: str,
    key: str,
    values: Sequence[str],
    experiments: Sequence[Experiment],
) -> None:
    if len(set(values)) > 1:
        own = dict(zip((e.name for e in experiments), values, strict=True))
        rows.append({"part": part, "key": key, **own})


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = _text(value)
    return flat


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {_text(v)}" for k, v in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(v) for v in value)
    return str(value)
