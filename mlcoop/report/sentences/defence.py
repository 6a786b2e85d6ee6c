"""Sentences about what stands beside a ranking: agreement, players, training, stability."""

from __future__ import annotations

from mlcoop.report.names import listing, number, percent, small_percent, span
from mlcoop.report.numbers.content_defence import Agreement, Defence, Step


def step_sentence(step: Step) -> str:
    """Return the effect of a natural step with its interval.

    >>> step_sentence(Step("distance", "Distance", "10 % closer", 0.05, 0.04, 0.06))
    'Distance, 10 % closer: 4.0 to 6.0 % more works'
    """
    low, high = step.low, step.high
    if high <= 0:
        low, high, word = -high, -low, "fewer"
    elif low < 0:
        bounds = f"{small_percent(-low)} fewer to {small_percent(high)} more works"
        return f"{step.label}, {step.words}: {bounds}"
    else:
        word = "more"
    return f"{step.label}, {step.words}: {span(low, high, small_percent)} {word} works"


def witness_sentences(d: Defence) -> tuple[str, ...]:
    """Return how many factors stand out by how many witnesses, and how the orders agree."""
    if not d.witnesses:
        return ()
    counts = d.counts.get("stand_out") or {}
    told = (
        f"{_none(counts.get('shap'))} by SHAP values, {_none(counts.get('permutation'))} by "
        f"permutation on unseen pairs, {_none(counts.get('conditional'))} by permutation within "
        f"the group, {_none(counts.get('ppml'))} by PPML"
    )
    both = d.counts.get("all_agree", 0)
    texts = [
        f"Of {len(d.witnesses)} factors these stand out of chance: {told}; "
        f"{_none(both)} by all four. What permutation costs is carried by the few pairs with most "
        "works, so by its test little stands out of a small focus set, while its sizes still rank."
    ]
    taus = [a for a in d.agreement if a.tau is not None]
    if taus:
        best, worst = max(taus, key=_tau), min(taus, key=_tau)
        texts.append(
            f"Their orders of all factors agree with Kendall’s tau from {number(worst.tau, 2)} "
            f"({worst.a} and {worst.b}) to {number(best.tau, 2)} ({best.a} and {best.b}). Most "
            "factors do little, and their order is chance whatever the witness."
        )
    return tuple(texts)


def _tau(row: Agreement) -> float:
    return row.tau or 0.0


def disagreements(d: Defence) -> tuple[str, ...]:
    """Return the sentence of every factor on which the witnesses disagree."""
    return tuple(w.disagreement for w in d.witnesses if w.disagreement)


def player_sentences(d: Defence) -> tuple[str, ...]:
    """Return what groups are worth as one, where members cancel, and what is lost without one."""
    if not d.players:
        return ()
    first = d.players[0]
    texts = [
        f"As one player {first.label} moves collaboration most: the works of a pair lie on average "
        f"{number(first.as_one, 2)} on the log scale from where it would leave them."
    ]
    gap = max(d.players, key=lambda p: p.cancelled)
    if gap.cancelled > 0.1:
        texts.append(
            f"In {gap.label} {percent(gap.cancelled)} of what the single factors are credited with "
            "cancels within the group: collinear factors that offset each other, whose own shares "
            "say little."
        )
    if d.all_explained is not None and d.all_explained <= 0:
        texts.append(
            "With all groups the learner explains nothing of unseen focus pairs, so what is lost "
            "without one says nothing."
        )
        return tuple(texts)
    lost = max(d.players, key=lambda p: p.lost)
    costs, without = (
        (f"{lost.label} costs most", "it") if lost.lost > 0 else ("no group costs", lost.label)
    )
    texts.append(
        f"Left out, {costs}: the learner explains {percent(d.all_explained, 1)} of the deviance of "
        "unseen focus pairs around their own mean with all groups and "
        f"{percent((d.all_explained or 0) - lost.lost, 1)} without {without}. What the other "
        "groups can stand in for is not lost, so losses do not add up to what is explained."
    )
    return tuple(texts)


def wide_sentences(d: Defence) -> tuple[str, ...]:
    """Return what training beyond the focus set buys, and whether its assumption holds."""
    if not d.wide:
        return ()
    deviance, tau = d.wide["deviance"], d.wide["agreement"]
    mine, ppml = deviance["learner"], deviance["ppml"]
    gain = "more" if mine["wide"] > mine["narrow"] else "less"
    joint = d.wide["interaction"]
    differ = [i.label for i in d.interactions if i.differs]
    texts = [
        f"Trained on all pairs the learner explains {percent(mine['wide'], 1)} of the deviance of "
        f"unseen focus pairs around their own mean, {gain} than the "
        f"{percent(mine['narrow'], 1)} of one trained on the other focus pairs alone "
        f"(PPML: {percent(ppml['wide'], 1)} and {percent(ppml['narrow'], 1)}).",
        f"The ranking from all pairs and the one from focus pairs alone agree with Kendall’s tau "
        f"{number(tau['tau'], 2)} (between their replicates "
        f"{span(tau['tau_low'], tau['tau_high'], _two)}). From all pairs "
        f"{number(d.wide['wide_orders'])} orders of factors are told, from focus pairs alone "
        f"{number(d.wide['narrow_orders'])}.",
    ]
    assumes = "Wide training assumes that factors act on focus pairs as they do elsewhere."
    if not joint["tested"]:
        return (*texts, f"{assumes} No factor varies enough among them to test it.")
    p = joint["p"]
    if differ:
        verdict = (
            f"It does not hold throughout: {listing(differ, most=6)} "
            f"{'acts' if len(differ) == 1 else 'act'} differently on focus pairs"
        )
        verdict += ", so the ranking averages over unlike effects there"
    elif p < 0.05:
        verdict = (
            "It does not hold throughout: taken together the slopes differ, though no single "
            "factor can be named"
        )
    else:
        verdict = (
            "The data show no difference, which with so few pairs is no proof that there is none"
        )
    texts.append(
        f"{assumes} {verdict} "
        f"({joint['tested']} factors tested by interaction with focus membership in PPML, "
        f"whose information is that of some {number(joint['clusters'])} equal pairs; all at once "
        f"{_p(p)})."
    )
    return tuple(texts)


def stability_sentences(d: Defence) -> tuple[str, ...]:
    """Return how far rankings from halves of replicates and of pairs agree."""
    texts = []
    of, groups = d.stability.get("factors"), d.stability.get("groups")
    if of:
        texts.append(
            f"Rankings from two independent halves of the replicates agree with Kendall’s tau "
            f"{_two(of['halves_tau'])}: this tells whether there are enough replicates. Two single "
            f"replicates agree with {_two(of['replicates_tau'])}: this tells how far a study of "
            "other data of the kind would agree on all factors, most of which do little."
        )
    if d.pair_halves:
        halves = d.pair_halves
        told = halves.get("pair_halves_tau_told")
        text = (
            "Rankings of factors from disjoint halves of the pairs, each fitted and explained by "
            f"itself, agree with tau {_two(halves['pair_halves_tau'])}"
        )
        text += "" if told is None else f", among the factors told from chance with {_two(told)}"
        if halves.get("pair_halves_tau_groups") is not None:
            text += f", rankings of groups with {_two(halves['pair_halves_tau_groups'])}"
        text += "."
        if halves.get("focus_halves_tau") is not None:
            text += (
                " Where only the focus pairs are halved and all other pairs serve both, they agree "
                f"with {_two(halves['focus_halves_tau'])}"
            )
            if halves.get("focus_halves_tau_groups") is not None:
                text += f", those of groups with {_two(halves['focus_halves_tau_groups'])}"
            text += "."
        texts.append(text)
    if groups:
        texts.append(
            f"The same group leads in {percent(groups['top_same'])} of the replicates, and a group "
            f"of its tier in {percent(groups['top_same_tier'])}."
        )
    return tuple(texts)


def order_sentence(d: Defence) -> str:
    """Return how many orders the data tell."""
    if not d.order_counts:
        return ""
    rate = (
        "" if d.level is None else f", of which at most {percent(1 - d.level)} are wrong on average"
    )
    sure = "" if d.level is None else f" with {percent(d.level)} confidence"
    counts = [
        f"{number(c.told)} of the {number(c.of)} orders between two {kind}s ({number(c.at_once)})"
        for kind, c in d.order_counts.items()
    ]
    return (
        f"The data tell {listing(counts)}{rate}; those in brackets are all right at once{sure}. "
        "Rank sets and tiers rest on these alone: a tier ends only where everything before it is "
        "told at once from everything after it."
    )


def _none(count: int | None) -> str:
    return str(count) if count else "none"


def _two(value: float | None) -> str:
    return number(value, 2)


def _p(value: float) -> str:
    return "p below 0.001" if value < 0.001 else f"p = {number(value, 3)}"
