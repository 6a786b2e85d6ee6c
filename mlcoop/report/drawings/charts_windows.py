"""Drawing of a family over time: the shares of groups as a stream over windows of years."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from mlcoop.report.drawings.svg import Canvas, cut, scale
from mlcoop.report.names import base_group, number, small_percent, span


def stream(
    ranks: pd.DataFrame, names: Sequence[str], colours: Mapping[str, int], width: int
) -> Markup:
    """Draw each group's share of the total importance as a band over the windows.

    Parameters
    ----------
    ranks : DataFrame
        `Comparison.ranks` of groups.
    names : sequence of str
        Windows from left to right.
    colours : mapping
        Colour number by group.
    """
    share = ranks.pivot(index="name", columns="experiment", values="share")[list(names)]
    about = ranks.drop_duplicates("name").set_index("name")
    order = ranks[ranks["experiment"] == names[0]].sort_values("rank", kind="stable")["name"]
    share = share.loc[order]
    stated = {(r.name, r.experiment): r for r in ranks.itertuples(index=False)}
    narrow = width < 500
    left, right, top, height = 36, 36 if narrow else 250, 34, 360 if narrow else 420
    x = scale(0, max(len(names) - 1, 1), left, width - right)
    y = scale(0, float(share.sum().max()), height - 8, top)
    label = (
        f"Stream of the shares of {len(share)} groups over {len(names)} windows of years; "
        "the table below holds the same, with intervals"
    )
    canvas = Canvas(width, height, label, "stream")
    room = (width - left - right) / max(len(names) - 1, 1)
    every = math.ceil(74 / room)
    last = len(names) - 1
    for i, name in enumerate(names):
        if i == last or (i % every == 0 and last - i >= every):
            canvas.text(x(i), top - 14, name, "tick", "middle")
    foot = share.iloc[::-1].cumsum().iloc[::-1] - share  # the first group is on top
    xs = [x(i) for i in range(len(names))]
    for key, row in share.iterrows():
        words, group = str(about.loc[key, "label"]), str(about.loc[key, "group"])
        tone = f"g{colours.get(base_group(group), 0)}"
        low = [y(float(v)) for v in foot.loc[key]]
        high = [y(float(f + s)) for f, s in zip(foot.loc[key], row, strict=True)]
        canvas.open("band-of", f"{words}")
        canvas.area(xs, low, high, f"flow {tone}")
        for i, name in enumerate(names):
            r = stated[(key, name)]
            bounds = span(r.share_low, r.share_high, small_percent)
            tip = f"{words}, {name}: {small_percent(r.share)} ({bounds}), rank {number(r.rank)}"
            start = x(max(i - 0.5, 0))
            canvas.rect(start, high[i], x(min(i + 0.5, last)) - start, low[i] - high[i], "hit", tip)
        if not narrow and low[-1] - high[-1] >= 11:
            middle = (low[-1] + high[-1]) / 2
            canvas.text(width - right + 10, middle + 4, cut(words, right - 14), "label")
        canvas.close()
    return canvas.markup("stream")
