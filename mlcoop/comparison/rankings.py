"""Rankings of two to fifty experiments beside each other, with the uncertainty of every difference.

Replicates carry the uncertainty. They are paired by their number: where experiments train on the
same pairs with the same seed, be it in other years, one number means the same resampled pairs or
countries, so what both share cancels; elsewhere the replicates are independent and the pairing does
no harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mlcoop.comparison.agreement import COLUMNS, agreement_table
from mlcoop.comparison.changes import changes_of_rank
from mlcoop.comparison.common import Common
from mlcoop.comparison.differences import differences, weaknesses
from mlcoop.countries import name_of
from mlcoop.errors import DataError, counted, quoted, some
from mlcoop.features.factor import DIMENSIONS, GROUPS, base_of
from mlcoop.schema import Experiment

KINDS = ("factor", "group", "dimension")
MOST = 50


@dataclass(frozen=True)
class Comparison:
    """Rankings compared side by side.

    Attributes
    ----------
    names : tuple of str
        The experiments, in the order given; the first is the one that changes are counted from.
    level : float
        Level of the intervals of `changes`, which hold for all names of a kind together, and of
        `agreement`: that of the first experiment.
    ranks : DataFrame
        kind, name, label, group, experiment, rank (among the common names), rank_stated,
        rank_low, rank_high, share, share_low, share_high; bounds at each experiment's own level.
    changes : DataFrame
        kind, name, label, group, reference, experiment, change (of rank; below zero is a rise),
        low, high, told (True: distinguishable from zero, and the name from chance in one of the
        two; between studies of other pairs, years, counts or draws some order of it is established
        in both and reversed; None: no replicates), paired.
    agreement : DataFrame
        kind, experiment_a, experiment_b, measure (tau_b, weighted_tau, rbo), value, low, high.
    differences : DataFrame
        part (config or data), key, and one column of text per experiment.
    notes : tuple of str
        What was left out, and what weakens the comparison.
    simulated : tuple of bool
        Which experiments rest on simulated counts.
    """

    names: tuple[str, ...]
    level: float
    ranks: pd.DataFrame
    changes: pd.DataFrame
    agreement: pd.DataFrame
    differences: pd.DataFrame
    notes: tuple[str, ...]
    simulated: tuple[bool, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers with stable keys, ready for JSON (missing is None)."""
        tables = {
            key: _records(getattr(self, key))
            for key in ("ranks", "changes", "agreement", "differences")
        }
        return {
            "experiments": list(self.names),
            "level": self.level,
            "simulated": list(self.simulated),
            **tables,
            "notes": list(self.notes),
        }


def compare(experiments: Sequence[Experiment]) -> Comparison:
    """Compare the rankings of factors, groups and dimensions of experiments.

    Parameters
    ----------
    experiments : sequence of Experiment
        Two to fifty with distinct names; changes are counted from the first.

    Returns
    -------
    Comparison
        Over the names that all experiments rank. Intervals are None where an experiment left no
        replicates. A change of rank carries a simultaneous interval: point ± the quantile over
        replicates of the largest standardised deviation among all names of its kind, so that all
        intervals of a column hold together; it needs replicates whose spread is that of the
        estimate, and misleads where a stage's resamples understate it. Ranks of names that tie move
        less between replicates than between two studies, so of independent ones no change
        is claimed by it alone. Measures of agreement are those of `mlcoop.explain.agreement`.

    Raises
    ------
    DataError
        Fewer than two or more than fifty experiments, equal names, one without a ranking, or no
        factor in common.
    """
    _check(experiments)
    names = tuple(e.name for e in experiments)
    level = experiments[0].rank_level
    notes: list[str] = []
    ranks, changes, agreement = [], [], []
    for kind in KINDS:
        tables = [_ranking(e, kind) for e in experiments]
        if kind == "group" and any(t is None for t in tables):
            without = [e.name for e, t in zip(experiments, tables, strict=True) if t is None]
            notes.append(f"No ranking of groups in {some(without)}: groups are not compared.")
            continue
        if any(t is None for t in tables):  # a ready panel has no dimensions
            continue
        given = [t for t in tables if t is not None]
        labels = _labels(experiments, given, kind)
        shared = _common(given, names, kind, labels, notes)
        if kind == "group" and len({frozenset(e.factors["factor"]) for e in experiments}) > 1:  # type: ignore[index]
            notes.append(
                "The groups do not hold the same factors in all studies: a change in a group's "
                "rank may be due to its members alone."
            )
        if not shared:
            continue
        given = [t.loc[shared] for t in given]
        draws = [_replicates(e, kind, shared) for e in experiments]
        common = Common(kind, shared, labels, experiments, given, draws)
        ranks.append(_ranks(common))
        changes.append(changes_of_rank(common, level))
        if kind == "dimension":  # of three names no measure of agreement tells much
            continue
        if len(shared) > 1:
            agreement.append(agreement_table(common, level))
        else:
            only = labels[shared[0]][0]
            notes.append(f'Only one {kind} in common ("{only}"): no agreement can be computed.')
    notes += weaknesses(experiments)
    return Comparison(
        names=names,
        level=level,
        ranks=pd.concat(ranks, ignore_index=True),
        changes=pd.concat(changes, ignore_index=True),
        agreement=pd.concat(agreement, ignore_index=True)
        if agreement
        else pd.DataFrame(columns=COLUMNS),
        differences=differences(experiments),
        notes=tuple(notes),
        simulated=tuple(bool(e.coverage.get("simulated")) for e in experiments),
    )


def _check(experiments: Sequence[Experiment]) -> None:
    if not 2 <= len(experiments) <= MOST:
        raise DataError(
            f"compare: {counted(len(experiments), 'experiment')} given; give two to {MOST}"
        )
    names = [e.name for e in experiments]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(f"compare: experiments of the same name: {some(twice)}; rename one of them")
    few = [e.name for e in experiments if e.coverage.get("not_ranked")]
    if few:
        raise DataError(
            f"compare: no factor ranking in {some(few)}: too few focus pairs to rank; leave "
            f"{'it' if len(few) == 1 else 'them'} out"
        )
    without = [e.name for e in experiments if e.factors is None or not len(e.factors)]
    if without:
        raise DataError(
            f"compare: no factor ranking in {some(without)}; run with explain.enabled: true, or "
            "again with --force where factors.csv is gone"
        )


def _ranking(experiment: Experiment, kind: str) -> pd.DataFrame | None:
    table: pd.DataFrame | None = getattr(experiment, f"{kind}s")
    if table is None or not len(table):
        return None
    key = table[kind].astype(str)
    if kind == "group" and "role" in table:
        # A group can stand once for the partner and once for the focal country.
        role = table["role"].fillna("").astype(str)
        key = key.where(role == "", key + "/" + role)
    return table.set_index(key.rename("name"))


def _common(
    tables: Sequence[pd.DataFrame],
    names: Sequence[str],
    kind: str,
    labels: Mapping[str, tuple[str, str]],
    notes: list[str],
) -> list[str]:
    sets = [set(t.index) for t in tables]
    common = set.intersection(*sets)
    if not common and kind == "factor":
        raise DataError(
            f"compare: {some(names)} rank no factor in common; compare studies that share factors"
        )
    for name, own in zip(names, sets, strict=True):
        extra = sorted(own - common)
        if extra:
            words = quoted(labels[key][0] for key in extra)
            notes.append(
                f"{name}: {len(extra)} of {len(own)} {kind}s left out, not ranked by all: "
                f"{some(words)}. Ranks are recomputed among the {len(common)} in common."
            )
    first = tables[0].sort_values("rank", kind="stable").index
    return [name for name in first if name in common]


def _labels(
    experiments: Sequence[Experiment], tables: Sequence[pd.DataFrame], kind: str
) -> dict[str, tuple[str, str]]:
    """Return label and group of every name that any of them ranks."""
    labels: dict[str, tuple[str, str]] = {}
    known: dict[str, str] = {}
    for experiment in experiments:
        for row in experiment.coverage.get("factors") or []:
            known.setdefault(str(row["factor"]), str(row.get("label") or row["factor"]))
    shared = {(e.config.get("focus") or {}).get("focal") for e in experiments}
    focal = shared.pop() if len(shared) == 1 else None
    sides = {
        "partner": "partner",
        "focal": name_of(focal) if focal else "focal country",
        "both": "either country",
    }
    about = pd.concat(tables)
    for name, row in about[~about.index.duplicated()].iterrows():
        group = str(row.get("group", name))
        if kind == "dimension":
            plain = DIMENSIONS.get(group, group)
        elif kind == "group":
            role = str(row.get("role", ""))
            base = base_of(group)
            plain = GROUPS.get(base, base.replace("_", " "))
            plain += f" ({sides[role]})" if role in sides else ""
        else:
            plain = known.get(str(name), str(name).replace("_", " "))
        labels[str(name)] = (plain[:1].upper() + plain[1:], group)
    return labels


def _replicates(experiment: Experiment, kind: str, common: Sequence[str]) -> pd.DataFrame | None:
    """Return importance by replicate (rows) and common name (columns), or None without any."""
    table = experiment.resamples
    if table is None or not len(table):
        return None
    place = pd.Index(common, dtype=object).get_indexer(table["name"].to_numpy(object))
    kept = (table["kind"].to_numpy(object) == kind) & (place >= 0)
    if not kept.any():
        return None
    numbers, row = np.unique(table["replicate"].to_numpy()[kept], return_inverse=True)
    wide = np.full((len(numbers), len(common)), np.nan)
    wide[row, place[kept]] = table["importance"].to_numpy(float)[kept]
    whole = ~np.isnan(wide).any(axis=1)
    if whole.sum() < 2:
        return None
    return pd.DataFrame(wide[whole], index=numbers[whole])


def _ranks(common: Common) -> pd.DataFrame:
    def stated(column: str) -> np.ndarray:
        return np.concatenate([table[column].to_numpy() for table in common.tables])

    return pd.DataFrame(
        {
            **common.columns(len(common.tables)),
            "experiment": np.repeat([e.name for e in common.experiments], len(common.names)),
            "rank": np.concatenate([rankdata(table["rank"]) for table in common.tables]),
            "rank_stated": stated("rank"),
            "rank_low": stated("rank_low"),
            "rank_high": stated("rank_high"),
            "share": stated("share").astype(float),
            "share_low": stated("share_low"),
            "share_high": stated("share_high"),
        }
    )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict(orient="records")]


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
