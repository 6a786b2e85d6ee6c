"""What a study of very few focus pairs cannot say: no ranking, while its forecast stands."""

from __future__ import annotations

import pandas as pd

from mlcoop.config import Config
from mlcoop.errors import ConfigError
from mlcoop.explain.repeated import FOLDS
from mlcoop.schema import PAIR

FEWEST = FOLDS  # a pair is explained by models trained without it, so each fold must hold one


def pairs_with_counts(rows: pd.DataFrame) -> int:
    """Return how many pairs have a count in the rows of a feature matrix."""
    return len(rows.loc[rows["works"].notna(), PAIR].drop_duplicates())


def why_not_ranked(
    config: Config,
    pairs: int,
    *,
    of: int | None = None,
    can_forecast: bool = True,
    must_rank: bool = False,
) -> str | None:
    """Return why factors are not ranked, as a sentence; None where they can be.

    Parameters
    ----------
    config : Config
    pairs : int
        Focus pairs that can be ranked by, or at most so many where only their names are known.
    of : int, optional
        Focus pairs with and without counts.
    can_forecast : bool
        Whether the counts allow a forecast, as far as is known.
    must_rank : bool
        Whether the study is of no use without a ranking, as in a family.

    Raises
    ------
    ConfigError
        Nothing that the config asks for is left to be made, or it asks for more folds than there
        are pairs.
    """
    ranks, scores = config.explain.enabled, config.evaluation.enabled
    key = "panel" if config.panel is not None else "focus"
    if pairs >= FEWEST:
        _refuse_folds(config, pairs)
        return None
    if not (ranks or scores):
        return None
    has = f"this study has {pairs}"
    if of is not None and pairs < of:
        every = " and every factor known" if config.learner.missing == "complete" else ""
        has = f"only {pairs} of {of} {'has' if pairs == 1 else 'have'} counts{every}"
    takes = f"needs {FEWEST} focus pairs or more, and {has}"
    if ranks and must_rank:
        raise ConfigError(f"{key}: a family compares rankings; that {takes}; add pairs")
    off = [s for s in ("forecast", "evaluation") if not getattr(config, s).enabled]
    if ranks and off:
        raise ConfigError(
            f"{key}: ranking factors {takes}; with {off[0]}.enabled: false there is no forecast "
            f"either; add pairs, or set {off[0]}.enabled=true"
        )
    if not can_forecast:
        raise ConfigError(
            f"{key}: {'ranking factors' if ranks else 'a score on held-out pairs'} {takes}; its "
            "counts allow no forecast either; add pairs, or whole counts of more years"
        )
    score = "the factor model is not scored on held-out focus pairs"
    what = f"Factors are not ranked, and {score}" if ranks and scores else ""
    what = what or ("Factors are not ranked" if ranks else score.capitalize())
    return f"{what}: that {takes}."


def _refuse_folds(config: Config, pairs: int) -> None:
    for section in ("evaluation", "tuning"):
        asked = getattr(config, section)
        if asked.enabled and asked.folds > pairs:
            raise ConfigError(
                f"{section}.folds: {asked.folds} folds need as many focus pairs, and this study "
                f"has {pairs}; set {section}.folds={pairs} or less"
            )
