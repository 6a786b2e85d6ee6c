"""The explorer's page, a script that Streamlit runs again at every choice."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from mlcoop.comparison import compare
from mlcoop.errors import MlcoopError
from mlcoop.experiments import find_experiment, list_experiments, need_finished, read_experiment
from mlcoop.explore import what_if
from mlcoop.explore.charts import fan_chart, rank_lines, ranking_chart
from mlcoop.explore.serve import decode
from mlcoop.family.folder import read_rankings
from mlcoop.report.comparison import MEASURES, answer
from mlcoop.report.drawings.charts import colour_index
from mlcoop.report.institution import with_name
from mlcoop.report.names import number, span
from mlcoop.report.numbers.content import Ranked, Summary
from mlcoop.report.summary import summarise
from mlcoop.report.units import short
from mlcoop.scenario.model import ScenarioModel
from mlcoop.scenario.store import factors_above_null, read_scenario_model
from mlcoop.schema import Experiment

MOST_FACTORS = 20
VIEWS = ("Study", "Compare", "What if")
MARKUP = re.compile(r"([\\`*_{}\[\]()#+.!|<>~$:-])")
SHARES = ("share", "low", "high")
TENTHS = st.column_config.NumberColumn(format="%.1f")
PERCENT = st.column_config.NumberColumn(format="percent")


def whole(head: str) -> Any:
    """Return the look of a column of works."""
    return st.column_config.NumberColumn(head, format="%.0f")


# Columns of forecasts and scenarios in their order; those not there are passed over.
COUNTS: dict[str, Any] = {
    "year": "year",
    "last_observed": whole("last count"),
    "predicted": whole("forecast"),
    "lower": whole("from"),
    "upper": whole("to"),
    "scenario": whole("scenario"),
    "scenario_lower": whole("from"),
    "scenario_upper": whole("to"),
    "difference": whole("difference"),
    "difference_lower": whole("from"),
    "difference_upper": whole("to"),
    "p_zero": st.column_config.NumberColumn("probability of none", format="percent"),
    "in_focus": "in focus",
}


def plain(text: str) -> str:
    """Return text that Streamlit's Markdown shows as it stands: a name is never markup."""
    return MARKUP.sub(r"\\\1", text)


@st.cache_resource(show_spinner="Reading the study")
def study(root: str, changed: int) -> tuple[Experiment, Summary]:
    """Return a study and its summary; `changed` reads it again after a new run."""
    need_finished(Path(root))
    experiment = read_experiment(Path(root))
    return experiment, summarise(experiment)


@st.cache_resource(show_spinner="Reading the model")
def stored_model(root: str, models: str, changed: int) -> ScenarioModel:
    """Return the factor model that scenarios are played with."""
    return read_scenario_model(read_experiment(Path(root), ()), Path(models))


def stamp(root: Path) -> int:
    """Return when a study was last written."""
    return (root / "manifest.json").stat().st_mtime_ns if (root / "manifest.json").is_file() else 0


def ranked(kind: str, rows: Sequence[Ranked]) -> pd.DataFrame:
    """Return a ranking as a table; `kind` heads the column of names."""
    return pd.DataFrame(
        {
            kind: row.label,
            "rank": row.rank,
            "tier": row.tier,
            "share": row.share,
            "low": row.share_low,
            "high": row.share_high,
            "above the null line": row.above_null,
        }
        for row in rows
    )


def show_ranked(table: pd.DataFrame) -> None:
    """Show a ranking as a table."""
    st.dataframe(table, hide_index=True, column_config=dict.fromkeys(SHARES, PERCENT))


def show_study(experiment: Experiment, s: Summary) -> None:
    """Show the question, the answer, and the tables behind it."""
    st.title(plain(s.title + (" (simulated)" if s.simulated else "")), anchor=False)
    st.caption(plain(s.asked))
    for sentence in s.answer:
        st.markdown(plain(sentence))
    with st.expander("How far to trust it", expanded=True):
        st.markdown("\n".join(f"- {plain(text)}" for text in s.trust))
    if s.factors:
        st.subheader("Ranking of factors", anchor=False)
        table = ranked("factor", s.factors)
        table.insert(1, "group", [f.group for f in s.factors])
        colours = colour_index(s.factors, s.groups)
        st.altair_chart(ranking_chart(table.head(MOST_FACTORS), colours), width="stretch")
        show_ranked(table)
    for kind, rows in (("group", s.groups), ("dimension", s.dimensions)):
        if rows:
            st.subheader(f"Ranking of {kind}s", anchor=False)
            show_ranked(ranked(kind, rows))
    if experiment.forecast is not None:
        st.subheader("Forecasts", anchor=False)
        st.dataframe(
            with_name(experiment.forecast, experiment),
            hide_index=True,
            column_order=("country_a", "country_b", *COUNTS),
            column_config=COUNTS,
        )
    st.caption(plain(f"Full report: {experiment.folder}/report.html"))


def show_comparison(names: list[str], roots: Mapping[str, Path], experiments: Path) -> None:
    """Compare the rankings of some studies; `roots` are the folders of those given by path."""
    st.title("Comparison of rankings", anchor=False)
    chosen = st.multiselect("Studies, or one family", names, default=names[:2])
    try:
        studies, _ = read_rankings([str(roots.get(n, n)) for n in chosen], experiments)
        found = compare(studies)
    except MlcoopError as error:
        st.info(plain(str(error)))
        return
    for sentence in answer(found):
        st.markdown(plain(sentence))
    for note in found.notes:
        st.warning(plain(note))
    ranked = set(found.ranks["kind"])
    kinds = [k for k in ("group", "factor", "dimension") if k in ranked]
    kind = st.radio("Ranks of", kinds, format_func=lambda k: f"{k}s", horizontal=True)
    ranks = found.ranks[found.ranks["kind"] == kind]
    st.altair_chart(rank_lines(ranks, found.names), width="stretch")
    st.dataframe(
        found.changes[found.changes["kind"] == kind],
        hide_index=True,
        column_order=("label", "reference", "experiment", "change", "low", "high", "told"),
        column_config={
            "label": kind,
            "told": "distinguishable from zero",
            "low": TENTHS,
            "high": TENTHS,
        },
    )
    agreement = found.agreement[found.agreement["kind"] == kind]
    if len(agreement):  # dimensions are too few for one
        st.dataframe(
            agreement.assign(measure=agreement["measure"].map(MEASURES)),
            hide_index=True,
            column_order=("experiment_a", "experiment_b", "measure", "value", "low", "high"),
            column_config={"experiment_a": "study", "experiment_b": "compared with"},
        )


def show_what_if(experiment: Experiment, s: Summary, models: Path) -> None:
    """Change factors of a pair and show the scenario beside its forecast."""
    st.title("What if", anchor=False)
    if experiment.forecast is None:
        st.info(plain(s.absent.get("forecasts", "This folder holds no forecast.")))
        return
    try:
        root = Path(experiment.folder)
        model = stored_model(experiment.folder, str(models), stamp(root))
    except MlcoopError as error:
        st.info(plain(str(error)))
        return
    # The summary calls an institution by its name, the model by its code.
    own = experiment.coverage.get("institution")
    code = {str(own["name"]): str(own["code"])} if own else {}
    pairs = {(code.get(f.a, f.a), code.get(f.b, f.b)): f.label for f in s.forecasts}
    pair = st.selectbox("Pair", list(pairs), format_func=lambda p: pairs[p])
    knobs = what_if.knobs(model, pair)
    rank = {f.key: f.rank for f in s.factors}
    names = sorted(knobs, key=lambda n: rank.get(knobs[n].factor, len(rank) + 1))
    moved = st.multiselect(
        "Factors to change", names, default=names[:1], format_func=lambda n: knobs[n].label
    )
    values = {}
    for name in moved:
        knob = knobs[name]
        now = "unknown" if knob.now is None else short(knob.now)
        value = st.number_input(
            f"{knob.label} ({knob.unit})" if knob.unit else knob.label,
            value=float(knob.low if knob.now is None else knob.now),
            step=(knob.high - knob.low) / 50 or 1.0,
            format="%.6g",
            key=f"{experiment.name}/{pair}/{name}",
            help=f"now {now}; range in the data {short(knob.low)} to {short(knob.high)}",
        )
        if knob.now is None or value != float(knob.now):
            values[name] = float(value)
    if not values:
        st.info("Set a factor to another value to see the associated difference in works.")
        return
    try:
        outcome = what_if.play(
            model, experiment.forecast, pair, values, factors_above_null(experiment)
        )
    except MlcoopError as error:
        st.info(plain(str(error)))
        return
    for warning in outcome.warnings:
        st.warning(plain(warning))
    first = outcome.table.sort_values("year").iloc[0]
    left, middle, right = st.columns(3)
    level = f"{100 * first['level']:.0f} % interval"
    for column, words, stem in (
        (left, f"Forecast for {first['year']:.0f}", ("predicted", "lower", "upper")),
        (middle, "Under the scenario", ("scenario", "scenario_lower", "scenario_upper")),
        (right, "Difference", ("difference", "difference_lower", "difference_upper")),
    ):
        column.metric(words, number(first[stem[0]]))
        column.caption(plain(f"{level} {span(first[stem[1]], first[stem[2]])}"))
    st.altair_chart(fan_chart(experiment, pair, outcome.table), width="stretch")
    st.info(plain(outcome.note))
    st.dataframe(outcome.table, hide_index=True, column_order=tuple(COUNTS), column_config=COUNTS)


def main() -> None:
    """Show the view that the reader chose."""
    st.set_page_config(page_title="mlcoop", layout="centered")
    names, experiments, models = decode(os.environ)
    known = {p.name: p for p in list_experiments(experiments)}
    roots = {Path(n).name: find_experiment(n, experiments) for n in names} or known
    st.sidebar.markdown("**mlcoop**")
    view = st.sidebar.radio("View", VIEWS)
    if view == "Compare":
        families = [p.parent.name for p in sorted(experiments.glob("*/family.json"))]
        others = [n for n in (*known, *families) if n not in roots]
        show_comparison([*roots, *others], roots, experiments)
        return
    if not roots:
        st.info(plain(f"{experiments}: holds no study yet; mlcoop run makes one"))
        return
    root = roots[st.sidebar.selectbox("Study", list(roots))]
    try:
        experiment, summary = study(str(root), stamp(root))
    except MlcoopError as error:
        st.error(plain(str(error)))
        return
    if view == "Study":
        show_study(experiment, summary)
    else:
        show_what_if(experiment, summary, models)


# Streamlit runs this file as a script; a test that reads its docstrings only imports it.
if __name__ == "__main__":
    main()
