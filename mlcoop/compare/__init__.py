"""Rankings to agreement, with its uncertainty."""

from mlcoop.compare.agreement import MEASURES, agreements
from mlcoop.compare.rankings import Comparison, compare

__all__ = ["MEASURES", "Comparison", "agreements", "compare"]
