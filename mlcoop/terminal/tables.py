"""Tables on stdout: aligned and uncoloured when piped, nothing cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED = 400  # columns: wide enough that a piped table is never folded


def print_table(
    table: pd.DataFrame, title: str | None = None, right: set[str] | None = None
) -> None:
    """Print any table; numbers to the right, and the columns named in `right`."""
    heads = [str(c) for c in table.columns]
    numeric = {str(c) for c in table.columns if pd.api.types.is_numeric_dtype(table[c])}
    rows = [[_plain(v) for v in row] for row in table.itertuples(index=False)]
    stdout().print(text_table(title, heads, rows, right=numeric | (right or set())))


def stdout() -> Console:
    """Return stdout: coloured on a terminal, and wide enough to fold nothing when piped."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if terminal else PIPED, no_color=not terminal)


def say(console: Console, text: str, style: str = "") -> None:
    """Print a sentence: folded on a terminal, whole when piped."""
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)


def text_table(
    title: str | None,
    heads: Iterable[str],
    rows: Iterable[Sequence[str]],
    right: set[str] | None = None,
) -> Table:
    """Return a table of plain text: a name in square brackets is no markup."""
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title_style="bold",
        header_style="bold",
    )
    for head in heads:
        justify = "right" if head in (right or set()) else "left"
        table.add_column(Text(str(head)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value)
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return str(value)
