"""Sentences about what stands beside a ranking: agreement, players, training, stability."""

from __future__ import annotations

from mlcoop.report.names import in_quotes, listing, number, percent, small_percent, span
from mlcoop.report.numbers.content_defence import Agreement, Defence, Step


def step_sentence(step: Step) -> str:
    """Return the effect of a natural step with its interval.

    >>> step_sentence(Step("distance", "Distance", "10 % closer", 0.05, 0.04, 0.06))
    '“Distance”, 10 % closer: 4.0 to 6.0 % more works'
    """
    low, high, label = step.low, step.high, in_quotes(step.label)
    if high <= 0:
        low, high, word = -high, -low, "fewer"
    elif low < 0:
        bounds = f"{small_percent(-low)} fewer to {small_percent(high)} more works"
        return f"{label}, {step.words}: {bounds}"
    else:
        word = "more"
    return f"{label}, {step.words}: {span(low, high, small_percent)} {word} works"


def witness_sentences(d: Defence) -> tuple[str, ...]:
    """Return how many factors each witness tells from chance, and how the rankings agree."""
    if not d.witnesses:
        return ()
    counts = d.counts.get("stand_out") or {}
    told = (
        f"{_count(counts.get('shap'))} by SHAP values, {_count(counts.get('permutation'))} by "
        f"permutation on held-out pairs, {_count(counts.get('conditional'))} by permutation within "
        f"the group, {_count(counts.get('ppml'))} by PPML"
    )
    texts = [
        f"Four methods assess each of {len(d.witnesses)} factors. At a false discovery rate of "
        f"{percent(1 - d.level)}, the number of factors distinguishable from chance is {told}, and "
        f"{_count(d.counts.get('all_agree'))} by all four. Permutation losses are carried by the "
        "few pairs with most works, so in a small focus set this test detects little, although its "
        "sizes still rank the factors."
    ]
    taus = [a for a in d.agreement if a.tau is not None]
    if taus:
        best, worst = max(taus, key=_tau), min(taus, key=_tau)
        texts.append(
            f"Their rankings of all factors agree with Kendall’s tau from {number(worst.tau, 2)} "
            f"({worst.a} and {worst.b}) to {number(best.tau, 2)} ({best.a} and {best.b}). Most "
            "factors have little importance, and their order is due to chance by any method."
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
        f"Taken as one player (one Shapley value for the whole group), {first.label} contributes "
        f"most: on average it moves the predicted works of a pair by {number(first.as_one, 2)} on "
        "the log scale."
    ]
    gap = max(d.players, key=lambda p: p.cancelled)
    if gap.cancelled > 0.1:
        texts.append(
            f"In {gap.label}, {percent(gap.cancelled)} of the importance credited to single "
            "factors cancels within the group: collinear factors offset each other, and their own "
            "shares say little."
        )
    if d.all_explained is not None and d.all_explained <= 0:
        texts.append(
            "With all groups, the learner explains nothing of held-out focus pairs, so what is "
            "lost without one group is not informative."
        )
        return tuple(texts)
    lost = max(d.players, key=lambda p: p.lost)
    costs, without = (
        (f"{lost.label} costs most", "it")
        if lost.lost > 0
        else ("any one group costs nothing", lost.label)
    )
    texts.append(
        f"Leaving out {costs}: the learner explains {percent(d.all_explained, 1)} of the deviance "
        "of held-out focus pairs around their own mean with all groups and "
        f"{percent((d.all_explained or 0) - lost.lost, 1)} without {without}. The other groups can "
        "partly replace one that is left out, so losses do not add up to what is explained."
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
        f"Trained on all pairs, the learner explains {percent(mine['wide'], 1)} of the deviance of "
        f"held-out focus pairs around their own mean, {gain} than the "
        f"{percent(mine['narrow'], 1)} of one trained on the other focus pairs alone "
        f"(PPML: {percent(ppml['wide'], 1)} and {percent(ppml['narrow'], 1)}).",
        f"The rankings from all pairs and from focus pairs alone agree with Kendall’s tau "
        f"{number(tau['tau'], 2)} (between their replicates "
        f"{span(tau['tau_low'], tau['tau_high'], _two)}). Trained on all "
        f"pairs, {number(d.wide['wide_orders'])} pairwise orders of factors are established; "
        f"trained on focus pairs alone, {number(d.wide['narrow_orders'])}.",
    ]
    assumes = "Training on all pairs assumes the same slopes in focus pairs as elsewhere."
    if not joint["tested"]:
        return (*texts, f"{assumes} No factor varies enough among focus pairs to test this.")
    p = joint["p"]
    if differ:
        verdict = (
            "This does not hold throughout: in focus pairs the "
            f"{'slope differs' if len(differ) == 1 else 'slopes differ'} for "
            f"{listing([in_quotes(label) for label in differ], most=6)}, and the ranking averages "
            "over unlike slopes there"
        )
    elif p < 0.05:
        verdict = (
            "This does not hold throughout: jointly the slopes differ, though no single factor can "
            "be named"
        )
    else:
        verdict = (
            "The data show no difference, which with so few pairs does not prove that there is none"
        )
    texts.append(
        f"{assumes} {verdict} "
        f"({joint['tested']} factors tested by interaction with focus membership in PPML, "
        f"whose information is that of about {number(joint['clusters'])} equal pairs; jointly "
        f"{_p(p)})."
    )
    return tuple(texts)


def stability_sentences(d: Defence) -> tuple[str, ...]:
    """Return how far rankings from halves of replicates and of pairs agree."""
    texts = []
    of, groups = d.stability.get("factors"), d.stability.get("groups")
    if of:
        texts.append(
            "Rankings from two independent halves of the replicates agree with Kendall’s tau "
            f"{_two(of['halves_tau'])}, which shows whether there are enough replicates. Two "
            f"single replicates agree with {_two(of['replicates_tau'])}, which shows how far a "
            "study of other data of the same kind would agree on all factors, most of which have "
            "little importance."
        )
    if d.pair_halves:
        halves = d.pair_halves
        told = halves.get("pair_halves_tau_told")
        text = (
            "Rankings of factors from disjoint halves of the pairs, each fitted and explained "
            f"separately, agree with tau {_two(halves['pair_halves_tau'])}"
        )
        text += "" if told is None else f" ({_two(told)} among those distinguishable from chance)"
        if halves.get("pair_halves_tau_groups") is not None:
            text += f"; rankings of groups agree with {_two(halves['pair_halves_tau_groups'])}"
        text += "."
        if halves.get("focus_halves_tau") is not None:
            text += (
                " Where only the focus pairs are halved and all other pairs serve both, they agree "
                f"with {_two(halves['focus_halves_tau'])}"
            )
            if halves.get("focus_halves_tau_groups") is not None:
                text += f"; rankings of groups agree with {_two(halves['focus_halves_tau_groups'])}"
            text += "."
        texts.append(text)
    if groups:
        texts.append(
            f"The group ranked first leads in {percent(groups['top_same'])} of the replicates, and "
            f"a group of its tier in {percent(groups['top_same_tier'])}."
        )
    return tuple(texts)


def order_sentence(d: Defence) -> str:
    """Return how many orders of two are established, one by one and simultaneously."""
    if not d.order_counts:
        return ""
    counts = d.order_counts.items()
    told = [f"{number(c.told)} of the {number(c.of)} pairwise orders of {k}s" for k, c in counts]
    at_once = [f"{number(c.at_once)} orders of {k}s" for k, c in counts]
    wrong = percent(1 - d.level)
    # Factors, groups and dimensions are tested apart, so the level is that of each list.
    return (
        f"The data establish {listing(told)} at a false discovery rate of {wrong}: at most {wrong} "
        f"are wrong on average. Of these, {listing(at_once)} are established simultaneously, that "
        f"is, all orders of one kind are right with {percent(d.level)} confidence. Confidence sets "
        "for ranks, and tiers, rest on the latter alone: a tier ends only where everything before "
        "it is established simultaneously above everything after it."
    )


def _count(count: int | None) -> str:
    return str(count or 0)


def _two(value: float | None) -> str:
    return number(value, 2)


def _p(value: float) -> str:
    return "p below 0.001" if value < 0.001 else f"p = {number(value, 3)}"
