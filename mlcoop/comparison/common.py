"""What the experiments of a comparison have in common: names, and how each ranks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlcoop.schema import Experiment


@dataclass(frozen=True)
class Common:
    """The factors, groups or dimensions that all experiments rank.

    Attributes
    ----------
    kind : {"factor", "group", "dimension"}
    names : sequence of str
        Ranks are counted among these.
    labels : mapping of name to label and group
    experiments : sequence of Experiment
    tables : sequence of DataFrame
        The ranking of each experiment, a row a name in the order of `names`.
    draws : sequence of DataFrame of shape (n_replicates, n_names), or None
        Importance by replicate number; None of an experiment without replicates.
    """

    kind: str
    names: Sequence[str]
    labels: Mapping[str, tuple[str, str]]
    experiments: Sequence[Experiment]
    tables: Sequence[pd.DataFrame]
    draws: Sequence[pd.DataFrame | None]

    def columns(self, times: int) -> dict[str, Any]:
        """Return the columns that say what each row is about, for all names so many times."""
        return {
            "kind": self.kind,
            "name": list(self.names) * times,
            "label": [self.labels[name][0] for name in self.names] * times,
            "group": [self.labels[name][1] for name in self.names] * times,
        }
