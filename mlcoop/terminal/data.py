"""What the cache holds, and how often works are highly cited, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mlcoop.report.names import country_name, number, small_percent, span
from mlcoop.terminal.tables import say, stdout, text_table


def print_coverage(coverage: pd.DataFrame) -> None:
    """Print how many countries each series covers: one line per series, one mark per year."""
    console = stdout()
    if coverage.empty:
        say(console, "The cache holds no data yet; run mlcoop data fetch CONFIG.")
        return
    first, last = int(coverage["year"].min()), int(coverage["year"].max())
    most = int(coverage["countries"].max())
    rows = []
    for (source, what, filters), part in coverage.groupby(["source", "what", "filters"]):
        known = dict(zip(part["year"], part["countries"], strict=True))
        marks = "".join(_mark(known.get(y, 0), most) for y in range(first, last + 1))
        few, many = part["countries"].min(), part["countries"].max()
        newest = int(part["year"].max())
        rows.append([source, what, filters, span(few, many), f"{known[newest]} in {newest}", marks])
    heads = ["source", "what", "filters", "countries", "newest year", f"{first} to {last}"]
    console.print(text_table("Countries with data, by year", heads, rows, right={"countries"}))
    say(
        console,
        f"One mark per year: the taller, the more of {most} countries have data; a dot means none.",
    )


def _mark(countries: int, most: int) -> str:
    marks = "▁▂▃▄▅▆▇█"
    return marks[(countries * len(marks) - 1) // most] if countries else "·"


def print_impact(pooled: pd.DataFrame, claim: Sequence[str]) -> None:
    """Print what share of each country's works is highly cited, and what that shows."""
    rows = [
        [
            country_name(r.iso3),
            number(r.international),
            small_percent(r.share_international),
            number(r.domestic),
            small_percent(r.share_domestic),
        ]
        for r in pooled.itertuples()
    ]
    heads = ["", "international works", "highly cited", "domestic works", "highly cited"]
    console = stdout()
    console.print(text_table("Highly cited works", heads, rows, right=set(heads[1:])))
    for text in claim:
        say(console, text)
