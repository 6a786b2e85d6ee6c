"""Tables of what stands beside a ranking."""

from __future__ import annotations

from collections.abc import Sequence

from mlcoop.report.names import number, percent, small_percent, span
from mlcoop.report.numbers.content_defence import (
    Agreement,
    Defence,
    Interaction,
    Player,
    Step,
    Witness,
)
from mlcoop.report.sections.tables import Cell, Column, Table, words


def _points(share: float) -> Cell:
    """Return a share of deviance in per cent, with the digits that small ones need."""
    return Cell(percent(share, 2 if abs(share) < 0.0995 else 1), share)


def _lost(share: float, explained: float | None) -> Cell:
    """Return what is lost without a group: of a model that explains nothing with all, nothing."""
    return Cell("–", share) if explained is not None and explained <= 0 else _points(share)


def _number(value: float | None, digits: int = 2) -> Cell:
    return Cell(number(value, digits), value)


def steps(rows: Sequence[Step]) -> Table:
    """Return the effect of a natural step of each factor distinguishable from chance."""
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("step", "Step", numeric=False),
        Column("effect_per_step", "Change in works"),
        Column("effect_per_step_low", "from"),
        Column("effect_per_step_high", "to"),
    )
    body = tuple(
        (
            Cell(r.label, r.key),
            words(r.words),
            *(
                Cell(percent(v, 1 if abs(v) < 0.0995 else 0, signed=True), 100 * v)
                for v in (r.effect, r.low, r.high)
            ),
        )
        for r in rows
    )
    return Table("steps", "Change in works per step of a factor", columns, body)


def witnesses(rows: Sequence[Witness]) -> Table:
    """Return every factor's size and rank by four methods, starred where distinguishable."""
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("shap_share", "SHAP share"),
        Column("shap_rank", "rank"),
        Column("permutation", "Permutation loss"),
        Column("permutation_rank", "rank"),
        Column("conditional", "Loss within its group"),
        Column("conditional_rank", "rank"),
        Column("ppml_effect", "PPML per s.d."),
        Column("ppml_rank", "rank"),
        Column("ppml_z", "z"),
        Column("ppml_p", "p"),
        Column("stands_out", "stands_out", numeric=False, shown=False),
    )
    body = []
    for r in rows:

        def rank(name: str, r: Witness = r) -> Cell:
            return Cell(f"{r.ranks[name]}{'*' if r.stands_out[name] else ''}", r.ranks[name])

        out = [n for n, yes in r.stands_out.items() if yes]
        effect = percent(r.effect, signed=True)
        if r.low is not None:
            effect += f" ({span(r.low, r.high, percent)})"
        body.append(
            (
                Cell(r.label, r.key),
                Cell(small_percent(r.share), r.share),
                rank("shap"),
                _points(r.loss),
                rank("permutation"),
                _points(r.conditional),
                rank("conditional"),
                Cell(effect, 100 * r.effect),
                rank("ppml"),
                _number(r.z, 1),
                Cell("<0.001" if r.p is not None and r.p < 0.001 else number(r.p, 3), r.p),
                Cell("", " ".join(out)),
            )
        )
    note = (
        "* distinguishable from chance at the study’s false discovery rate. Permutation loss: "
        "share of the null deviance of held-out focus pairs that is lost when the factor’s values "
        "are permuted, over all rows or among rows in which the rest of its group predicts the "
        "same. PPML: change in works per standard deviation over the focus pairs, with errors "
        "clustered as the ranking resamples. For a factor of either country, effect and z are "
        "those of the total over both countries of a pair, and p tests both jointly. There is no "
        "test where a factor hangs on one pair or country, or where pairs are too few."
    )
    return Table("witnesses", "Four witnesses of every factor", columns, tuple(body), note)


def agreement(rows: Sequence[Agreement], kind: str) -> Table:
    """Return how far the orders of two witnesses agree."""
    columns = (
        Column("a", "Witness", numeric=False),
        Column("b", "and", numeric=False),
        Column("tau_b", "Kendall’s tau"),
        Column("weighted_tau", "weighted tau"),
        Column("rbo", "rank-biased overlap"),
    )
    body = tuple(
        (words(r.a), words(r.b), _number(r.tau), _number(r.weighted), _number(r.rbo)) for r in rows
    )
    return Table(f"agreement-{kind}", f"Agreement between rankings of {kind}", columns, body)


def players(rows: Sequence[Player], d: Defence) -> Table:
    """Return each group as the sum of its members, as one player, and what is lost without it."""
    columns = [
        Column("group", "Group", numeric=False),
        Column("members_sum", "Total of factors"),
        Column("as_one", "As one player"),
        Column("cancelled", "Cancels within"),
        Column("learner_lost", "Lost without it"),
        Column("ppml_lost", "Lost, PPML"),
    ]
    drawn = any(r.as_one_error > 0 for r in rows)
    if drawn:
        columns.insert(3, Column("as_one_error", "± Monte Carlo error"))
    body = []
    for r in rows:
        cells = [Cell(r.label, r.key), _number(r.members), _number(r.as_one)]
        if drawn:
            cells.append(_number(r.as_one_error, 3))
        cells += [
            Cell(percent(r.cancelled), r.cancelled),
            _lost(r.lost, d.all_explained),
            _lost(r.lost_ppml, d.all_explained_ppml),
        ]
        body.append(tuple(cells))
    note = (
        "Importances are mean absolute Shapley values on the log scale. Lost: deviance "
        f"explained on held-out focus pairs with all groups ({percent(d.all_explained, 1)}; PPML "
        f"{percent(d.all_explained_ppml, 1)}) minus that of a refit without the group. Below zero, "
        "the other groups predict better alone. No loss is shown for a model that explains nothing "
        "with all groups. These refits share two or three folds, fewer than the models of the "
        "ranking, so the deviance explained here differs from theirs."
    )
    return Table(
        "players",
        "Groups as a whole, and deviance lost without each",
        tuple(columns),
        tuple(body),
        note,
    )


def interactions(rows: Sequence[Interaction]) -> Table:
    """Return by how much slopes inside the focus set differ from those outside."""
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("difference", "Slope in focus minus outside"),
        Column("z", "z"),
        Column("p", "p"),
        Column("q", "q"),
        Column("differs", "Differs", numeric=False),
    )
    body = tuple(
        (
            Cell(r.label, r.key),
            _number(r.difference),
            _number(r.z, 1),
            _number(r.p, 3),
            _number(r.q, 3),
            words("yes" if r.differs else "no"),
        )
        for r in rows
    )
    note = (
        "Log works per standard deviation over the focus pairs; q is p adjusted for the false "
        "discovery rate."
    )
    return Table(
        "interactions-with-focus", "Do slopes differ in the focus set?", columns, body, note
    )


def orders(d: Defence) -> Table:
    """Return for every factor which others are established below it, and which above it."""
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("before", "Established above"),
        Column("before_which", "which", numeric=False),
        Column("after", "Established below"),
        Column("after_which", "which", numeric=False),
    )
    body = tuple(
        (
            Cell(r.label, r.key),
            Cell(str(len(r.before)), len(r.before)),
            words("; ".join(r.before)),
            Cell(str(len(r.after)), len(r.after)),
            words("; ".join(r.after)),
        )
        for r in d.orders
    )
    return Table("orders", "Established orders of factors", columns, body)
