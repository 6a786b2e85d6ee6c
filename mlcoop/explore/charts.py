"""The explorer's charts, in the colours of the reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from mlcoop.report.drawings.charts import group_colours
from mlcoop.report.drawings.charts_compare import ranks_shown
from mlcoop.report.figures import COLOURS, GREY
from mlcoop.report.names import base_group, pair_name
from mlcoop.schema import Experiment

ROW, LABEL = 22, 240  # pixels
TONES = {"counted": "#1c2430", "forecast": "#1f4e79", "scenario": "#b4532a"}
# Streamlit's look pushes the first and last label of an axis inwards, off what they name.
IN_PLACE: dict[str, Any] = {"labelFlush": False, "labelBound": False}


def ranking_chart(table: pd.DataFrame, colours: Mapping[str, int]) -> Any:
    """Return dots with intervals, the first factor on top, grey where not above the null line.

    Parameters
    ----------
    table : DataFrame
        `factor, group, rank, tier, share, low, high, above the null line`, in rank order.
    colours : mapping
        Colour number by group.
    """
    told = list(dict.fromkeys(table.loc[table["above the null line"], "group"]))
    tones = alt.Scale(domain=told, range=[COLOURS[colours[group]] for group in told])
    legend = alt.Legend(title=None, orient="top", columns=2, labelLimit=LABEL) if told else None
    base = alt.Chart(table).encode(
        y=alt.Y("factor:N", sort=None, title=None, axis=alt.Axis(labelLimit=320, **IN_PLACE)),
        color=alt.condition(
            "datum['above the null line']",
            alt.Color("group:N", scale=tones, legend=legend),
            alt.value(GREY),
        ),
        tooltip=["factor", "rank", "tier", alt.Tooltip("share", format=".1%")],
    )
    share = alt.Axis(format="%", **IN_PLACE)
    lines = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        x=alt.X("low:Q", axis=share, title="share of total importance"), x2="high:Q"
    )
    chart = lines + base.mark_circle(size=70, opacity=1).encode(x="share:Q")
    return chart.properties(height=alt.Step(ROW))


def rank_lines(ranks: pd.DataFrame, names: Sequence[str]) -> Any:
    """Return the rank of every factor or group across studies, named at both ends.

    Parameters
    ----------
    ranks : DataFrame
        `Comparison.ranks` of one kind.
    names : sequence of str
        Studies from left to right.
    """
    shown = ranks[ranks["name"].isin(ranks_shown(ranks, names).index)].assign(
        colour=lambda t: t["group"].map(base_group),
        place=lambda t: t["experiment"].map(names.index),
    )
    colours = group_colours(shown["colour"])
    tones = alt.Scale(domain=list(colours), range=[COLOURS[i] for i in colours.values()])
    # More than a third of the width at either end is for the labels there.
    last = len(names) - 1
    room = alt.Scale(domain=[-1.4 * max(last, 1), last + 1.4 * max(last, 1)], nice=False)
    studies = alt.Axis(
        orient="top",
        grid=False,
        values=list(range(len(names))),
        labelExpr=f"{json.dumps(list(names))}[datum.value]",
    )
    deepest = int(shown["rank"].max())
    base = alt.Chart(shown).encode(
        x=alt.X("place:Q", title=None, scale=room, axis=studies),
        y=alt.Y("rank:Q", scale=alt.Scale(domain=[deepest + 0.5, 0.5], nice=False), axis=None),
        color=alt.Color("colour:N", scale=tones, legend=None),
        detail="name:N",
        tooltip=["label", "experiment", "rank", "rank_low", "rank_high"],
    )
    chart = base.mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2)
    named = base.encode(text="label:N", color=alt.value(TONES["counted"]))
    left = named.transform_filter(alt.datum.place == 0)
    right = named.transform_filter(alt.datum.place == last)
    chart += left.mark_text(align="right", dx=-12, limit=LABEL)
    chart += right.mark_text(align="left", dx=12, limit=LABEL)
    return chart.properties(height=ROW * deepest)


def fan_chart(experiment: Experiment, pair: tuple[str, str], table: pd.DataFrame) -> Any:
    """Return the counts so far, and both forecasts beside each other with their intervals."""
    ahead = pd.concat(
        [
            table[["year", *columns]]
            .set_axis(["year", "works", "low", "high"], axis=1)
            .assign(what=what)
            for what, columns in (
                ("forecast", ["predicted", "lower", "upper"]),
                ("scenario", ["scenario", "scenario_lower", "scenario_upper"]),
            )
        ],
        ignore_index=True,
    )
    tones = alt.Scale(domain=list(TONES), range=list(TONES.values()))
    colour = alt.Color("what:N", title=None, scale=tones)
    year = alt.X("year:O", title=None, axis=alt.Axis(labelAngle=0, **IN_PLACE))
    works = alt.Y("works:Q", title="works", axis=alt.Axis(**IN_PLACE))
    beside = alt.Chart(ahead).encode(x=year, xOffset="what:N", color=colour)
    chart = beside.mark_rule(strokeWidth=3, opacity=0.45).encode(y=alt.Y("low:Q"), y2="high:Q")
    chart += beside.mark_circle(size=90).encode(y=works, tooltip=["what", "works", "low", "high"])
    if experiment.backtest is not None:
        past = experiment.backtest
        past = past[(past["country_a"] == pair[0]) & (past["country_b"] == pair[1])]
        past = past.drop_duplicates("year")[["year", "observed"]].assign(what="counted")
        seen = alt.Chart(past.rename(columns={"observed": "works"}))
        chart = seen.mark_line(point=True).encode(x=year, y=works, color=colour) + chart
    return chart.properties(title=pair_name(*pair))
