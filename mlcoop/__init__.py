"""Drivers, uncertainty and forecasts of research collaboration between countries."""

__version__ = "0.1.0"
