"""The page shows the folder's numbers, escapes every text, and loads nothing."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from page import Page

from mlcoop.comparison import compare
from mlcoop.report.drawings.charts_compare import bump
from mlcoop.report.drawings.svg import WIDE
from mlcoop.report.render import render_comparison, render_report
from mlcoop.schema import BASELINES, Experiment

TABLES = ["factors", "groups", "resamples", "backtest", "forecast", "trials", "effects"]
HOSTILE = "<script>alert(1)</script>\"'&<b>x</b>]]>{{ 7*7 }}</style><img src=x onerror=y>"


def changed(experiment: Experiment, **parts: object) -> Experiment:
    return dataclasses.replace(experiment, **parts)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def html(study: Experiment) -> str:
    return render_report(study)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def numbers(values: list[str]) -> np.ndarray:
    return np.array([float(v) if v else np.nan for v in values])


@pytest.mark.parametrize("column", ["rank", "rank_low", "rank_high", "tier", "share", "share_high"])
@pytest.mark.parametrize("kind", ["factor", "group"])
def test_ranking_tables_hold_the_folders_numbers(
    page: Page, study: Experiment, kind: str, column: str
) -> None:
    """Truth: factors.csv and groups.csv."""
    table = study.factors if kind == "factor" else study.groups
    assert page.tables[f"{kind}s"].column(kind) == table[kind].tolist()
    np.testing.assert_array_equal(numbers(page.tables[f"{kind}s"].column(column)), table[column])


def test_effects_and_shares_are_shown_rounded(page: Page, study: Experiment) -> None:
    """Truth: the table's numbers, rounded by hand below (nearest per cent; one decimal < 10 %)."""
    shown = page.tables["factors"]
    share = shown.keys.index("share")
    for row, value in zip(shown.rows, study.factors["share"], strict=True):
        digits = 0 if value >= 0.0995 else 1
        assert row[share][1] == f"{100 * value:.{digits}f} %"
    effect = numbers(shown.column("effect_low_to_high"))
    np.testing.assert_allclose(effect, study.factors["effect_low_to_high"])


def test_of_few_factors_no_first_fifteen_are_told(study: Experiment) -> None:
    few = Page(render_report(changed(study, factors=study.factors.head(15)))).text
    assert "value of each of the factors (10th" in few
    more = Page(render_report(changed(study, factors=study.factors.head(16)))).text
    assert "value of each of the first 15 factors (10th" in more


def test_forecasts_are_the_folders(page: Page, study: Experiment) -> None:
    """Truth: forecast.csv, every pair once."""
    shown = page.tables["forecast"]
    keys = ["country_a", "country_b"]
    got = pd.DataFrame({k: shown.column(k) for k in keys})
    for column in ["year", "last_year", "last_observed", "predicted", "lower", "upper", "level"]:
        got[column] = numbers(shown.column(column))
    expected = study.forecast.set_index(keys).sort_index().astype(float)
    pd.testing.assert_frame_equal(
        got.set_index(keys).sort_index().astype(float)[expected.columns], expected
    )


def test_the_outlook_shows_sums_surprises_farther_years_and_sizes(study: Experiment) -> None:
    """Truth: the tables and metrics given here; sums in the order stated, per cents by hand.

    No folder above has them.
    """
    sums = [("CHN", 2022, 70.0), ("all", 2022, 99.0), ("focus", 2023, 80.0), ("DEU", 2022, 90.0),
            ("focus", 2022, 70.0)]  # fmt: skip
    totals = pd.DataFrame(sums, columns=["total", "year", "predicted"])
    totals = totals.assign(lower=totals["predicted"] - 9, upper=totals["predicted"] + 21, level=0.9)
    surprises = pd.DataFrame(
        [("CHN", "DEU", 2021, 150.0, 110.0, 90.0, 130.0, 50.0, 10.0, 7.0, "Distance −3 %", True),
         ("CHN", "KOR", 2021, 5.0, 2.0, 1.0, 3.0, np.nan, np.nan, 7.0, np.nan, True),
         ("FRA", "KOR", 2021, 9.0, 2.0, 1.0, 3.0, 8.0, 9.0, 7.0, "", False)],
        columns=["country_a", "country_b", "year", "observed", "predicted", "lower", "upper",
                 "change_pct", "expected_change_pct", "shared_change_pct", "factors", "in_focus"],
    )  # fmt: skip
    wape = {"model": 0.2, "drift5": 0.25, "persistence": 0.3, "ppml": None}
    ahead = {
        "origins": [2017, 2018, 2019],
        "wape": {"focus": wape, "all": {"model": None}},
        "skill": {"focus": {"value": 0.2, "low": -0.1, "high": 0.4}},
        "coverage": {"focus": {"mean": 0.87, "width_share": 0.5}},
    }
    size = {"mean": 0.95, "width_share": 1.5, "by_year": {"2020": 0.9, "2021": 1.0}}
    forecast = {**study.metrics["forecast"], "horizons": {"1": ahead, "2": ahead}}
    forecast["coverage_by_size"] = {"size_5pct": size, "size_half": {"mean": None}}
    metrics = {**study.metrics, "forecast": forecast}
    shown = Page(render_report(changed(study, totals=totals, surprises=surprises, metrics=metrics)))
    table = shown.tables["totals"]
    assert list(zip(table.column("total"), table.column("year"), strict=True)) == [
        ("focus", "2022"), ("focus", "2023"), ("all", "2022"), ("DEU", "2022"), ("CHN", "2022"),
    ]  # fmt: skip
    assert numbers(table.column("predicted")).tolist() == [70, 80, 99, 90, 70]
    assert table.rows[2][3][1] == "90–120" and numbers(table.column("upper"))[0] == 91
    assert table.texts(0)[3] == "Germany" and "joint" in shown.text
    # The total of the first year is the one that the answer tells.
    assert "(90 % interval 61 to 91)" in shown.text
    table = shown.tables["surprises"]
    assert table.texts(0) == ["China–Germany", "China–South Korea"]  # of the focus alone
    assert [table.rows[0][i][1] for i in (2, 3, 5, 6, 7, 8)] == [
        "150", "90–130", "+50 %", "+10 %", "+7 %", "Distance −3 %",
    ]  # fmt: skip
    assert [table.rows[1][i][1] for i in (5, 6, 8)] == ["–", "–", ""]
    table = shown.tables["horizons"]
    _, row = table.rows
    assert [v for v, _ in row] == [
        "2", "focus", "3", "0.2", "drift5", "0.25", "0.2", "-0.1", "0.4", "0.87",
    ]  # fmt: skip
    assert row[7][1] == "−10.0 to 40.0 %" and row[6][1] == "+20.0 %"
    table = shown.tables["coverage-by-size"]
    assert table.column("size") == ["size_5pct"] and table.keys[3:] == ["2020", "2021"]
    assert numbers([v for v, _ in table.rows[0][1:]]).tolist() == [0.95, 1.5, 0.9, 1.0]


def test_errors_by_year_are_those_of_the_metrics(page: Page, study: Experiment) -> None:
    """Truth: metrics.json; every baseline stands in the table, of either set."""
    by_year = pd.DataFrame(study.metrics["forecast"]["by_year"])
    for name in ("focus", "all"):
        table = page.tables[f"backtest-{name}"]
        assert set(table.column("method")) == {"model", *BASELINES}
        for method in table.column("method"):
            row = table.rows[table.column("method").index(method)]
            part = by_year[(by_year["set"] == name) & (by_year["method"] == method)]
            for year, wape in zip(part["year"], part["wape"], strict=True):
                assert float(row[table.keys.index(str(year))][0]) == wape
            stated = study.metrics["forecast"]["sets"][name][method]["wape"]
            assert float(row[table.keys.index("all_years")][0]) == stated


def test_calibration_coverage_and_what_was_left_out(page: Page, study: Experiment) -> None:
    """Truth: metrics.json and coverage.json."""
    held = study.metrics["forecast"]["coverage"]
    table = page.tables["calibration"]
    assert table.column("set") == ["focus", "all", "largest_5pct"]
    assert numbers(table.column("mean")).tolist() == [v["mean"] for v in held.values()]
    left = page.tables["left-out"]
    assert left.column("what") == [d["what"] for d in study.coverage["dropped"]]
    assert left.column("reason") == [d["reason"] for d in study.coverage["dropped"]]
    data = page.tables["factor-data"]
    given = {f["factor"]: f["coverage"] for f in study.coverage["factors"]}
    got = dict(zip(data.column("factor"), numbers(data.column("coverage")), strict=True))
    assert got == given


def test_published_figures_warnings_and_citation_are_there(page: Page, study: Experiment) -> None:
    reference = study.coverage["reference"]
    table = page.tables["reference"]
    assert numbers(table.column("published")).tolist() == [
        r["published"] for r in reference["rows"]
    ]
    for text in [*reference["claims"], *study.coverage["warnings"], "seed 0", "f2e6bb3a9c1d"]:
        assert text in page.text


def test_nothing_is_loaded(html: str, page: Page) -> None:
    """Truth: a page that opens without a network has no address but its own places."""
    assert {k: v for k, v in page.loads if not v.startswith("#")} == {}
    assert "default-src 'none'" in html
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style and not re.search(r"url\(|@import|https?:", style.group(1))
    script = re.search(r"<script>(.*?)</script>", html, re.S)
    assert script and not re.search(
        r"fetch\(|XMLHttpRequest|import\(|sendBeacon|innerHTML", script.group(1)
    )
    assert not {"link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert len(html.encode()) < 5_000_000


def test_readable_by_a_screen_reader(page: Page) -> None:
    """Truth: one h1, no level skipped, every drawing has words, ids are unique, links lead on."""
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert page.images and all(page.images)
    assert len(set(page.ids)) == len(page.ids)
    assert {v[1:] for k, v in page.loads if k == "href"} <= set(page.ids)


def test_simulated_stands_on_every_heading(simulated_study: Experiment, html: str) -> None:
    page = Page(render_report(simulated_study))
    assert all("simulated" in text for _, text in page.headings)
    assert "Everything on this page is simulated" in " ".join(page.text.split())
    assert "simulated" not in Page(html).text


def test_planted_order_beside_the_recovered(simulated_study: Experiment) -> None:
    """Truth: the planted list and factors.csv."""
    table = Page(render_report(simulated_study)).tables["planted"]
    planted = simulated_study.coverage["planted"]
    assert table.column("factor") == [p["factor"] for p in planted]
    ranks = simulated_study.factors.set_index("factor")["rank"]
    assert numbers(table.column("recovered_rank")).tolist() == [ranks[p["factor"]] for p in planted]


def hostile(study: Experiment) -> Experiment:
    """Return the study with markup in every text that comes from data or config."""

    def spoil(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
        return table.assign(**{c: HOSTILE + table[c].astype(str) for c in columns})

    coverage = dict(study.coverage)
    coverage["factors"] = [
        {**f, **{k: HOSTILE + str(f[k]) for k in ("factor", "label", "group", "role", "source")}}
        for f in coverage["factors"]
    ]
    coverage["dropped"] = [{"kind": HOSTILE, "what": HOSTILE, "reason": HOSTILE, "count": HOSTILE}]
    coverage |= {"warnings": [HOSTILE], "notes": [HOSTILE], "countries": [HOSTILE]}
    coverage["reference"] = {
        "title": HOSTILE,
        "source": HOSTILE,
        "rows": [{"domain": HOSTILE, "year": 2019, "published": 1, "counted": 2}],
        "claims": [HOSTILE],
    }
    coverage["planted"] = [{"factor": HOSTILE, "rank": 1, "importance": 1.0}]
    return changed(
        study,
        name=HOSTILE,
        factors=spoil(study.factors, "factor", "group", "role", "direction"),
        groups=spoil(study.groups, "group", "role"),
        effects=spoil(study.effects, "factor"),
        forecast=spoil(study.forecast, "country_a", "country_b"),
        backtest=spoil(study.backtest, "country_a", "country_b"),
        config={**study.config, "title": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}},
        provenance={"commit": HOSTILE, "finished": HOSTILE, "mlcoop": HOSTILE, HOSTILE: [HOSTILE]},
        coverage=coverage,
    )


def test_a_name_is_never_markup(study: Experiment, page: Page) -> None:
    """Truth: the hostile page parses into the same kinds of tags, with the text as text."""
    text = render_report(hostile(study))
    spoilt = Page(text)
    assert "<script>alert" not in text and "<img" not in text
    assert set(spoilt.tags) <= {*page.tags}
    assert spoilt.tags.count("script") == 1 and spoilt.tags.count("style") == 1
    assert "49" not in spoilt.headings[0][1]
    assert spoilt.headings[0][1] == HOSTILE
    assert {k: v for k, v in spoilt.loads if not v.startswith("#")} == {}


def test_a_hostile_comparison_too(study: Experiment) -> None:
    a, b = hostile(study), changed(hostile(study), name=f"two {HOSTILE}")
    text = render_comparison(compare([a, b]))
    spoilt = Page(text)
    assert "<script>alert" not in text and "<img" not in text
    assert spoilt.tags.count("script") == 1
    assert {k: v for k, v in spoilt.loads if not v.startswith("#")} == {}


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "none"])
@pytest.mark.parametrize("part", [*TABLES, "metrics", "coverage", "config", "provenance"])
def test_a_missing_part_is_said_in_place(study: Experiment, part: str, empty: bool) -> None:
    whole = getattr(study, part)
    if isinstance(whole, dict):
        gone: object = {}
    else:
        gone = whole.iloc[:0] if empty else None
    page = Page(render_report(changed(study, **{part: gone})))
    said = {
        "factors": "No ranking of factors was computed",
        "groups": "No ranking of groups",
        "forecast": "This folder holds no forecast",
        "backtest": "backtest.csv is not in this folder",
    }
    if part in said:
        assert said[part] in page.text
    elif part == "resamples":
        assert "No resamples were drawn" in page.text


def test_an_empty_study_is_a_page_of_reasons() -> None:
    page = Page(render_report(Experiment("bare", "bare", {}, {})))
    assert page.classes.count("absent") >= 5
    assert "neither a ranking nor a forecast" in page.text


def test_a_panel_of_no_countries_has_no_map(study: Experiment) -> None:
    own = study.forecast.assign(
        country_a=[f"i{k}" for k in range(len(study.forecast))], country_b="j"
    )
    config = {k: v for k, v in study.config.items() if k != "focus"}
    page = Page(render_report(changed(study, forecast=own, backtest=None, config=config)))
    assert "not countries with ISO codes" in page.text


def test_many_pairs_stay_below_five_megabytes(study: Experiment) -> None:
    """Truth: all pairs of 126 countries are 7,875; the page says how many it holds."""
    n = 7875
    big = pd.concat([study.forecast] * (n // len(study.forecast) + 1)).iloc[:n]
    big = big.assign(country_b=[f"p{k}" for k in range(n)])
    text = render_report(changed(study, forecast=big))
    assert len(text.encode()) < 5_000_000
    assert "6,875 more are in forecast.csv" in Page(text).text


def test_the_page_is_the_same_twice(study: Experiment, html: str) -> None:
    assert render_report(study) == html


def test_a_comparison_shows_its_numbers(study: Experiment, simulated_study: Experiment) -> None:
    """Truth: the tables of `compare`."""
    c = compare([study, simulated_study])
    page = Page(render_comparison(c))
    assert all("simulated" in text for _, text in page.headings)
    for kind in ("factor", "group"):
        table, changes = page.tables[f"changes-{kind}"], c.changes[c.changes["kind"] == kind]
        assert table.column("name") == changes["name"].tolist()
        for column in ("change", "low", "high"):
            np.testing.assert_array_equal(numbers(table.column(column)), changes[column])
    agreement = c.agreement[c.agreement["measure"] == "rbo"]["value"].to_numpy(float)
    np.testing.assert_array_equal(numbers(page.tables["agreements"].column("rbo")), agreement)
    assert {v for k, v in page.loads if not v.startswith("#")} == set()


def test_shares_over_time_are_the_studies(study: Experiment, simulated_study: Experiment) -> None:
    """Truth: groups.csv of either window; the stream stands only where windows are compared."""
    windows = [
        dataclasses.replace(study, name="2001-2008"),
        dataclasses.replace(simulated_study, name="2009-2016", coverage=study.coverage),
    ]
    page = Page(render_comparison(compare(windows), title="Eight years", over_time=True))
    table = page.tables["shares-over-time"]
    shown = {
        (group, window): float(share)
        for group, window, share in zip(
            *(table.column(k) for k in ("group", "window", "share")), strict=True
        )
    }
    for window, source in zip(("2001-2008", "2009-2016"), (study, simulated_study), strict=True):
        for row in source.groups.itertuples():
            assert shown[(row.group, window)] == pytest.approx(row.share)
    assert ("h1", "Eight years") in page.headings and (
        "h2",
        "Importance over time",
    ) in page.headings
    plain = Page(render_comparison(compare(windows)))
    assert "shares-over-time" not in plain.tables
    # By hand: 2009 follows 2008, and 2008 is in both of the others.
    later = [windows[0], dataclasses.replace(windows[1], name="2008-2015")]
    shared = render_comparison(compare(later), title="Eight years", over_time=True)
    apart = render_comparison(compare(windows), title="Eight years", over_time=True)
    assert "Windows overlap" in shared and "Windows overlap" not in apart


def test_the_lines_of_four_short_names_are_all_named() -> None:
    """By hand: 760 pixels less 530 beside the lines leave 76 between two; "physical" takes 50."""
    names = ("physical", "life", "social", "health")
    rows = [("gdp", "GDP", "economy_market", name, 1) for name in names]
    ranks = pd.DataFrame(rows, columns=["name", "label", "group", "experiment", "rank"])

    def ticks(shown: tuple[str, ...]) -> list[str]:
        table = ranks.assign(experiment=shown)
        drawn = str(bump(table, shown, {}, "factor", WIDE))
        return re.findall(r'class="tick"[^>]*>([^<]+)<', drawn)

    assert ticks(names) == list(names)
    # names as long as those of studies would lie on one another
    assert len(ticks(tuple(f"china-bri-fields-{name}" for name in names))) == 2


def test_every_table_and_every_figure_can_be_taken_along(
    study: Experiment, simulated_study: Experiment
) -> None:
    """Truth: by count; a button for each table's CSV, and one for each figure's SVG."""
    both = render_comparison(compare([study, simulated_study]), title="Both", over_time=True)
    for html in (render_report(study), render_report(simulated_study), both):
        tables = re.findall(r'<table id="([^"]+)"', html)
        assert len(tables) > 4 and sorted(re.findall(r'data-csv="([^"]+)"', html)) == sorted(tables)
        figures = re.findall(r"<figure>.*?</figure>", html, re.S)
        assert figures and all("data-svg" in f and "<svg" in f for f in figures)
        outside = re.sub(r"<figure>.*?</figure>|<table.*?</table>", "", html, flags=re.S)
        assert "<svg" not in outside
