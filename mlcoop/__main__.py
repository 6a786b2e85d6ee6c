"""`python -m mlcoop`."""

from mlcoop.cli import main

main()
