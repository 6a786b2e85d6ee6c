"""Rankings to agreement, with its uncertainty."""

from mlcoop.comparison.agreement import MEASURES, agreements
from mlcoop.comparison.rankings import Comparison, compare

__all__ = ["MEASURES", "Comparison", "agreements", "compare"]
