"""Drivers, uncertainty and forecasts of research collaboration between countries.

>>> import mlcoop
>>> study = mlcoop.load("experiments/china-bri")  # doctest: +SKIP
>>> study.factors.head()  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlcoop.results import compare as compare
    from mlcoop.results import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "load"]


def __getattr__(name: str) -> Any:
    """Load what notebooks use only when it is asked for: the import alone stays light."""
    if name in ("compare", "load"):
        from mlcoop import results

        return getattr(results, name)
    raise AttributeError(f"module 'mlcoop' has no attribute {name!r}")
