"""The seed study's published figures, set beside a study's own counts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mlcoop.tables import load

TABLE_1 = "han_wang_table1"
TITLE = "Han and Wang, Table 1: China's co-publications with Belt and Road countries, 2019 to 2022"
SOURCE = (
    "Han and Wang, study of scientific cooperation along the Belt and Road "
    "(75 countries, of which 58 kept)"
)
# The stated factor is the paper's; the figures are its own Table 1, row Total.
CLAIMED_GROWTH = "an increase of nearly five times"


def beside_table_1(focus_works: pd.DataFrame, field: str) -> dict[str, Any]:
    """Set the works of a China and Belt and Road study beside the published table.

    Parameters
    ----------
    focus_works : DataFrame of year, works
        Works summed over the focus pairs, full counting: a work with two partner countries counts
        for both, so the sum exceeds the number of works.
    field : {"all", "physical", "life", "social"}
        Field of science that the study counts.

    Returns
    -------
    dict
        `title, source, rows` (domain, year, published, counted; None where the study has no such
        year) and `claims`, a sentence for each published claim that its figures contradict.
    """
    table = load(TABLE_1)
    table = table[table["field"] == field]
    own = focus_works.set_index("year")["works"]
    rows = [
        {
            "domain": field,
            "year": int(row.year),
            "published": int(row.works),
            "counted": int(own[row.year]) if row.year in own.index else None,
        }
        for row in table.itertuples(index=False)
    ]
    return {"title": TITLE, "source": SOURCE, "rows": rows, "claims": [growth_claim()]}


def growth_claim() -> str:
    """Return what the published figures say of the claimed growth.

    >>> growth_claim()
    'The paper states "an increase of nearly five times"; its own totals go from 22066 in 2019 \
to 36459 in 2022, 1.65 times.'
    """
    total = load(TABLE_1).query("field == 'all'").set_index("year")["works"]
    first, last = int(total.index.min()), int(total.index.max())
    return (
        f'The paper states "{CLAIMED_GROWTH}"; its own totals go from {total[first]} in {first} '
        f"to {total[last]} in {last}, {total[last] / total[first]:.2f} times."
    )
