"""What differs between the configs and the data of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mlcoop.errors import some
from mlcoop.schema import Experiment

LONG = 5  # items of a list that are still written out


def differences(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return what differs between configs and data: part, key, and a column per experiment."""
    rows: list[dict[str, str]] = []
    configs = [_flat(e.config) for e in experiments]
    for key in dict.fromkeys(k for c in configs for k in c):
        if key in ("name", "title"):
            continue
        _differ(rows, "config", key, [c.get(key, "–") for c in configs], experiments)
    for key in ("years", "pairs", "zeros"):
        _differ(rows, "data", key, [e.coverage.get(key, "–") for e in experiments], experiments)
    for key, held in (("focus countries", "countries"), ("training countries", "trained_on")):
        # a ready panel does not say: all its pairs are in focus
        if all(held in e.coverage for e in experiments):
            countries = [sorted(map(str, e.coverage[held])) for e in experiments]
            _differ(rows, "data", key, countries, experiments)
    inputs = [_checksums(e) for e in experiments]
    marks = {text: f"set {i + 1}" for i, text in enumerate(dict.fromkeys(inputs))}
    _differ(rows, "data", "input checksums", [marks[text] for text in inputs], experiments)
    return pd.DataFrame(rows, columns=["part", "key", *(e.name for e in experiments)])


def _checksums(experiment: Experiment) -> str:
    """Return the checksums of the inputs; addresses and dates of the same figures may differ."""
    inputs = experiment.provenance.get("inputs") or []
    return ", ".join(sorted(str(i["sha256"]) for i in inputs if "sha256" in i)) or "–"


def _differ(
    rows: list[dict[str, str]],
    part: str,
    key: str,
    values: Sequence[Any],
    experiments: Sequence[Experiment],
) -> None:
    exact = [_text(value) for value in values]
    if len(set(exact)) == 1:
        return
    lists = [set(map(_text, v)) for v in values if isinstance(v, (list, tuple))]
    shared = set.intersection(*lists) if len(lists) > 1 else set()
    short = [_short(value, shared) for value in values]
    shown = short if len(set(short)) == len(set(exact)) else exact
    own = dict(zip((e.name for e in experiments), shown, strict=True))
    rows.append({"part": part, "key": key, **own})


def _short(value: Any, shared: set[str]) -> str:
    """Return a value in few words: of a long list its length, and what not all lists hold.

    >>> _short(list("abcdefgh"), shared=set("abcdef"))
    '8, also g, h'
    >>> _short(list("abcdefgh"), shared=set())
    'a, b, c, d, e and 3 more (8 in all)'
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if not isinstance(value, (list, tuple)) or len(value) <= LONG:
        return _text(value)
    own = [text for text in map(_text, value) if text not in shared]
    if not shared:
        return some(own)
    return f"{len(value)}" + (f", also {some(own)}" if own else "")


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {_text(v)}" for k, v in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(v) for v in value)
    return str(value)


def shares_draws(a: Experiment, b: Experiment) -> bool:
    """Say whether one replicate number means the same draw in both experiments.

    Weights are drawn for the pairs trained on, by the seed: other years, or another focus in the
    same training set, draw the same ones.
    """
    drawn = {(e.metrics.get("ranking") or {}).get("weights") for e in (a, b)}
    return len(drawn) == 1 and None not in drawn


def explains_alike(a: Experiment, b: Experiment) -> bool:
    """Say whether both experiments draw alike and explain the same counts of the same pairs."""

    def draw(e: Experiment) -> tuple[Any, ...]:
        explain = e.config.get("explain") or {}
        coverage = e.coverage
        return (
            e.config.get("seed"),
            explain.get("unit"),
            explain.get("resamples"),  # weights are balanced over all replicates
            sorted(coverage.get("countries") or []),
            coverage.get("years"),
            coverage.get("pairs"),
            e.config.get("focus"),
        )

    return a is b or (draw(a) == draw(b) and same_counts(a, b))


def same_counts(a: Experiment, b: Experiment) -> bool:
    """Say whether both experiments count the same works.

    Two fields of science, or two columns of one panel, have noise of their own, whatever is drawn
    alike: it moves both rankings, and no replicate of either shows how they part by it.
    """

    def counted(e: Experiment) -> tuple[Any, ...]:
        target, panel = (dict(e.config.get(key) or {}) for key in ("target", "panel"))
        inputs = e.provenance.get("inputs") or []
        return (
            target | {"path": None},  # the checksum says what is in the file
            e.config.get("simulated"),
            panel.get("target"),
            panel.get("exposure"),
            sorted(str(i.get("sha256")) for i in inputs if i.get("source") == "own counts"),
        )

    return counted(a) == counted(b)


def weaknesses(experiments: Sequence[Experiment]) -> list[str]:
    """Return what weakens a comparison, a sentence each."""
    notes = []
    without = [e.name for e in experiments if e.resamples is None or not len(e.resamples)]
    if without:
        notes.append(f"No replicates in {some(without)}: their differences have no interval.")
    first, level = experiments[0].name, experiments[0].rank_level
    levels = [f"{e.name} ({e.rank_level:g})" for e in experiments if e.rank_level != level]
    if levels:
        notes.append(
            f"explain.level differs: changes and agreement use that of {first} ({level:g}); "
            f"confidence sets, shares and orders of {some(levels)} use their own."
        )
    apart = [e.name for e in experiments if not shares_draws(experiments[0], e)]
    if apart:
        notes.append(
            f"{some(apart)}: other pairs to train on, or another seed or number of refits, than "
            f"{first}, so the replicates are independent and the intervals wider "
            "than for shared draws."
        )
    other = [e.name for e in experiments if not explains_alike(experiments[0], e)]
    if other:
        notes.append(
            f"{some(other)}: not the pairs, years and counts of {first}, or not its "
            "draws. A change of rank is called distinguishable from zero only where an order of "
            "the name is established in both studies and reversed, because tied names change "
            "places more often than the intervals suggest."
        )
    homes = [e.name for e in experiments if e.coverage.get("institution")]
    if 0 < len(homes) < len(experiments):
        notes.append(
            f"{some(homes)}: study of an institution, whose articles are its works in OpenAlex, "
            "whereas a country's are those of NCSES's Science and Engineering Indicators; factors "
            "of the same name on its side do not measure the same thing."
        )
    flags = {bool(e.coverage.get("simulated")) for e in experiments}
    if len(flags) > 1:
        notes.append("Some experiments are simulated and some are not.")
    return notes
