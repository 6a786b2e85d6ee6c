"""The section of the page about what stands beside a ranking."""

from __future__ import annotations

from typing import Any

from mlcoop.report.numbers.content_defence import Defence
from mlcoop.report.sections import tables_defence as tables
from mlcoop.report.sentences import defence as words


def defence_content(d: Defence | None) -> dict[str, Any]:
    """Return what `defence.html` shows; a part that was not made is empty."""
    if d is None:
        return {"defence": None}
    return {
        "defence": {
            "steps": [f"{words.step_sentence(s)}." for s in d.steps],
            "steps_table": tables.steps(d.steps) if d.steps else None,
            "witness_words": words.witness_sentences(d),
            "disagreements": words.disagreements(d),
            "witness_table": tables.witnesses(d.witnesses) if d.witnesses else None,
            "agreement_table": tables.agreement(d.agreement, "factors") if d.agreement else None,
            "player_words": words.player_sentences(d),
            "player_table": tables.players(d.players, d) if d.players else None,
            "group_agreement_table": (
                tables.agreement(d.group_agreement, "groups") if d.group_agreement else None
            ),
            "wide_words": words.wide_sentences(d),
            "interaction_table": tables.interactions(d.interactions) if d.interactions else None,
            "stability_words": words.stability_sentences(d),
            "order_words": words.order_sentence(d),
            "order_table": tables.orders(d) if d.orders else None,
        }
    }
