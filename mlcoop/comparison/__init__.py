"""Rankings to agreement, with its uncertainty."""

from mlcoop.comparison.rankings import Comparison, compare
from mlcoop.explain.agreement import MEASURES, agreements

__all__ = ["MEASURES", "Comparison", "agreements", "compare"]
