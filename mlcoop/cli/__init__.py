"""The command line: parse, call, print; results on stdout, progress on stderr."""

from mlcoop.cli.app import app, main

__all__ = ["app", "main"]
