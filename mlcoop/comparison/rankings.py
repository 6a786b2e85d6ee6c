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

from mlcoop.comparison.differences import differences, explains_alike, shares_draws, weaknesses
from mlcoop.countries import name_of
from mlcoop.errors import DataError, counted, quoted, some
from mlcoop.explain.agreement import MEASURES, agreements, chance_agreement
from mlcoop.features.factor import GROUPS
from mlcoop.schema import Experiment

KINDS = ("factor", "group")
MOST = 50


@dataclass(frozen=True)
class Comparison:
    """Rankings beside each other.

    Attributes
    ----------
    names : tuple of str
        The experiments, in the order given; the first is the one that changes are counted from.
    level : float
        Level of every interval; those of rank changes hold for all names of a kind together.
    ranks : DataFrame
        kind, name, label, group, experiment, rank (among the common names), rank_stated,
        rank_low, rank_high, share, share_low, share_high.
    changes : DataFrame
        kind, name, label, group, reference, experiment, change (of rank; below zero is a rise),
        low, high, told (True: the data tell it from none, and the name from chance in one of the
        two; between studies of other pairs, years or draws some order of the name is told in both
        and turned round; None: no replicates), paired.
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
    """Compare the factor and group rankings of experiments.

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
        less between replicates than between two studies, so of independent ones no change is told
        by it alone (`_turned`). Measures of agreement are those of `agreements`.

    Raises
    ------
    DataError
        Fewer than two or more than fifty experiments, equal names, one without a ranking, or no
        factor in common.
    """
    _check(experiments)
    names = tuple(e.name for e in experiments)
    level = _level(experiments)
    notes: list[str] = []
    ranks, changes, agreement = [], [], []
    paired = [shares_draws(experiments[0], e) for e in experiments]
    for kind in KINDS:
        tables = [_ranking(e, kind) for e in experiments]
        if kind == "group" and any(t is None for t in tables):
            without = [e.name for e, t in zip(experiments, tables, strict=True) if t is None]
            notes.append(f"No ranking of groups in {some(without)}: groups are not compared.")
            continue
        given = [t for t in tables if t is not None]
        labels = _labels(experiments, given, kind)
        common = _common(given, names, kind, labels, notes)
        if kind == "group" and len({frozenset(e.factors["factor"]) for e in experiments}) > 1:  # type: ignore[index]
            notes.append(
                "The groups do not hold the same factors everywhere: a change of a group's rank "
                "may come from its members alone."
            )
        if not common:
            continue
        given = [t.loc[common] for t in given]
        share = np.array([t["share"].to_numpy(float) for t in given])
        order = np.array([-t["rank"].to_numpy(float) for t in given])
        draws = [_replicates(e, kind, common) for e in experiments]
        ranks.append(_ranks(kind, common, labels, names, given, share, order))
        turned = [
            np.ones(len(common), bool)
            if explains_alike(experiments[0], e)
            else _turned(experiments[0].orders, e.orders, kind, common)
            for e in experiments
        ]
        changes.append(
            _changes(kind, common, labels, names, given, order, draws, turned, paired, level)
        )
        if len(common) > 1:
            agreement.append(_agreement(kind, experiments, order, draws, level))
        else:
            only = labels[common[0]][0]
            notes.append(f'Only one {kind} in common ("{only}"): no agreement can be computed.')
    notes += weaknesses(experiments, paired)
    return Comparison(
        names=names,
        level=level,
        ranks=pd.concat(ranks, ignore_index=True),
        changes=pd.concat(changes, ignore_index=True),
        agreement=pd.concat(agreement, ignore_index=True) if agreement else _no_agreement(),
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
        raise DataError(f"compare: experiments named alike: {some(twice)}; rename one of them")
    few = [e.name for e in experiments if e.coverage.get("not_ranked")]
    if few:
        raise DataError(
            f"compare: no factor ranking in {some(few)}: too few focus pairs to rank by; leave "
            f"{'it' if len(few) == 1 else 'them'} out"
        )
    without = [e.name for e in experiments if e.factors is None or not len(e.factors)]
    if without:
        raise DataError(
            f"compare: no factor ranking in {some(without)}; run with explain.enabled: true"
        )


def _ranking(experiment: Experiment, kind: str) -> pd.DataFrame | None:
    table = experiment.factors if kind == "factor" else experiment.groups
    if table is None or not len(table):
        return None
    key = table[kind].astype(str)
    if kind == "group" and "role" in table:
        # A group can stand once for the partner and once for the focal country.
        role = table["role"].fillna("").astype(str)
        key = key.where(role == "", key + "/" + role)
    return table.set_index(key.rename("name"))


def _level(experiments: Sequence[Experiment]) -> float:
    stated = (experiments[0].config.get("explain") or {}).get("level")
    return float(stated) if stated else 0.95


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
                f"{some(words)}. Ranks are counted anew among the {len(common)} in common."
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
    sides = {"partner": "partner", "focal": name_of(focal) if focal else "focal country"}
    about = pd.concat(tables)
    for name, row in about[~about.index.duplicated()].iterrows():
        group = str(row["group"])
        if kind == "group":
            role = str(row.get("role", ""))
            base = group.removesuffix("_partner").removesuffix("_focal")
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


def _rank(importance: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, 1 for the largest, ties averaged."""
    return rankdata(-importance, axis=-1)


def _ranks(
    kind: str,
    common: Sequence[str],
    labels: Mapping[str, tuple[str, str]],
    names: Sequence[str],
    tables: Sequence[pd.DataFrame],
    share: np.ndarray,
    order: np.ndarray,
) -> pd.DataFrame:
    def stated(column: str) -> np.ndarray:
        return np.concatenate([table[column].to_numpy() for table in tables])

    return pd.DataFrame(
        {
            "kind": kind,
            "name": list(common) * len(names),
            "label": [labels[c][0] for c in common] * len(names),
            "group": [labels[c][1] for c in common] * len(names),
            "experiment": np.repeat(names, len(common)),
            "rank": _rank(order).ravel(),
            "rank_stated": stated("rank"),
            "rank_low": stated("rank_low"),
            "rank_high": stated("rank_high"),
            "share": share.ravel(),
            "share_low": stated("share_low"),
            "share_high": stated("share_high"),
        }
    )


def _changes(
    kind: str,
    common: Sequence[str],
    labels: Mapping[str, tuple[str, str]],
    names: Sequence[str],
    tables: Sequence[pd.DataFrame],
    order: np.ndarray,
    draws: Sequence[pd.DataFrame | None],
    turned: Sequence[np.ndarray],
    paired: Sequence[bool],
    level: float,
) -> pd.DataFrame:
    points = _rank(order)
    change = (points[1:] - points[0]).ravel()
    halves = [half_widths(draws[0], d, level) for d in draws[1:]]
    none = np.full(len(common), np.nan)
    half = np.concatenate([none if h is None else h for h in halves])
    reach = len(common) - 1
    low, high = np.maximum(change - half, -reach), np.minimum(change + half, reach)
    may = zip(tables[1:], turned[1:], strict=True)
    known = np.concatenate([_may_differ(tables[0], t) & over for t, over in may])
    told = np.where(np.isnan(half), None, ((low > 0) | (high < 0)) & known)
    others = len(names) - 1
    return pd.DataFrame(
        {
            "kind": kind,
            "name": list(common) * others,
            "label": [labels[c][0] for c in common] * others,
            "group": [labels[c][1] for c in common] * others,
            "reference": names[0],
            "experiment": np.repeat(names[1:], reach + 1),
            "change": change,
            "low": low,
            "high": high,
            "told": told,
            "paired": np.repeat(paired[1:], reach + 1),
        }
    )


def _may_differ(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Tell of which names a change could be claimed: told from chance in either ranking.

    What neither can tell from chance has no place of its own that could have changed.
    """
    if "above_null" not in one or "above_null" not in other:
        return np.ones(len(one), dtype=bool)
    return one["above_null"].to_numpy(bool) | other["above_null"].to_numpy(bool)


def _turned(
    one: pd.DataFrame | None, other: pd.DataFrame | None, kind: str, common: Sequence[str]
) -> np.ndarray:
    """Tell of which names some order is told in both studies, and turned round.

    One of the two orders is among those right at once. Names that tie take any ranks in two
    studies, but keep to theirs in the replicates of each: of independent studies of one truth with
    seven equal drivers 30 % told a change by replicates alone, 0 of 66 with this.
    """
    if one is None or other is None:  # a study of before orders were kept
        return np.ones(len(common), dtype=bool)
    above = []
    for table in (one, other):
        own = table[table["kind"] == kind]
        high, low = (
            pd.Index(common).get_indexer(own[end].astype(str)) for end in ("above", "below")
        )
        within = (high >= 0) & (low >= 0)
        sure = np.zeros((2, len(common), len(common)), dtype=bool)
        sure[0, high[within], low[within]] = True
        sure[1, high[within], low[within]] = own["at_once"].to_numpy(bool)[within]
        above.append(sure)
    (told, at_once), (told_other, at_once_other) = above
    over = (at_once & told_other.T) | (told & at_once_other.T)
    return np.asarray((over | over.T).any(axis=0))


def half_widths(a: pd.DataFrame | None, b: pd.DataFrame | None, level: float) -> np.ndarray | None:
    """Return half the simultaneous interval of every change of rank.

    Parameters
    ----------
    a, b : DataFrame of shape (n_replicates, n_names), or None
        Importance by replicate number; the names are the same, in the same order.

    Returns
    -------
    array of shape (n_names,), or None
        None without at least two replicates in common.
    """
    if a is None or b is None:
        return None
    numbers = a.index.intersection(b.index)
    if len(numbers) < 2:
        return None
    drawn = _rank(b.loc[numbers].to_numpy()) - _rank(a.loc[numbers].to_numpy())
    spread = drawn.std(axis=0, ddof=1)
    away = np.abs(drawn - drawn.mean(axis=0))
    scaled = np.divide(away, spread, out=np.zeros_like(away), where=spread > 0)
    # The conformal quantile: with few replicates the plain one would be too narrow.
    largest = np.sort(scaled.max(axis=1))
    place = min(math.ceil(level * (len(largest) + 1)), len(largest)) - 1
    return largest[place] * spread


def _agreement(
    kind: str,
    experiments: Sequence[Experiment],
    order: np.ndarray,
    draws: Sequence[pd.DataFrame | None],
    level: float,
) -> pd.DataFrame:
    values = agreements(order[None])[:, 0]
    low, high = np.full_like(values, np.nan), np.full_like(values, np.nan)
    with_draws = [i for i, d in enumerate(draws) if d is not None]
    numbers = None
    for i in with_draws:
        own = draws[i]
        assert own is not None
        numbers = own.index if numbers is None else numbers.intersection(own.index)
    if numbers is not None and len(with_draws) > 1 and len(numbers) > 1:
        stack = np.stack(
            [d.loc[numbers].to_numpy() for d in draws if d is not None], axis=1
        )  # replicate, experiment, name
        each = agreements(stack)
        alpha = (1 - level) / 2
        bounds = np.quantile(each, [1 - alpha, alpha], axis=1)
        at = np.ix_(range(len(MEASURES)), with_draws, with_draws)
        # Noise on both sides lowers agreement, and resampling adds as much again: the interval
        # is the reflected one (Davison and Hinkley 1997, section 5.2), kept on the scale. Where
        # noise is not shared it took more than that: the outer ends are corrected for attenuation.
        chance = chance_agreement(order.shape[-1])[:, None, None]
        own = [experiments[i] for i in with_draws]
        kept = np.where([[shares_draws(a, b) for b in own] for a in own], 1, _kept(stack, chance))
        floor = np.array([-1.0, -1.0, 0.0])[:, None, None]
        down = np.minimum(2 * values[at] - bounds[0], values[at]) - chance
        up = np.maximum(2 * values[at] - bounds[1], values[at]) - chance
        low[at] = np.clip(chance + np.minimum(down, down / kept), floor, 1)
        high[at] = np.clip(chance + np.maximum(up, up / kept), floor, 1)
    names = [e.name for e in experiments]
    rows = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            for m, measure in enumerate(MEASURES):
                rows.append(
                    (
                        kind,
                        names[i],
                        names[j],
                        measure,
                        values[m, i, j],
                        low[m, i, j],
                        high[m, i, j],
                    )
                )
    return pd.DataFrame(rows, columns=_no_agreement().columns)


def _kept(stack: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the share of the agreement of two orders, beyond chance, that their noise leaves.

    Parameters
    ----------
    stack : array of shape (n_replicates, n_experiments, n_names)
    chance : array of shape (n_measures, 1, 1)

    Returns
    -------
    array of shape (n_measures, n_experiments, n_experiments)
        The geometric mean of what two replicates of the one and of the other agree.

    Notes
    -----
    Without it an interval of tau-b at 95 % held the truth in 0 to 2 % of draws where two studies
    have one order of 40 names, half of them without effect, with it in 82 to 98 %; where they have
    others in 20 to 75 %, and 82 to 100 % (standard errors of 0.03 to 0.25 of the largest effect).

    References
    ----------
    Spearman 1904, doi:10.2307/1412159 (correction for attenuation).
    """
    half = len(stack) // 2
    of_one = [
        agreements(np.stack([stack[:half, e], stack[half : 2 * half, e]], axis=1))[:, :, 0, 1]
        for e in range(stack.shape[1])
    ]
    own = (np.mean(of_one, axis=2).T - chance[:, 0]) / (1 - chance[:, 0])
    own = np.sqrt(np.clip(np.nan_to_num(own), 0.05, 1.0))
    return np.asarray(own[:, :, None] * own[:, None, :])


def _no_agreement() -> pd.DataFrame:
    columns = ["kind", "experiment_a", "experiment_b", "measure", "value", "low", "high"]
    return pd.DataFrame(columns=columns)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict(orient="records")]


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
