"""A local page to browse studies, compare them and try what-if scenarios, built on Streamlit."""

from mlcoop.explore.serve import serve

__all__ = ["serve"]
