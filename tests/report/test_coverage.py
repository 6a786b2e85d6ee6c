"""Page of what is cached. Truth: the table that it is made from, in plain sight."""

from __future__ import annotations

import re

import pandas as pd

from mlcoop.report.coverage import heat, render_coverage

COLUMNS = ["source", "what", "filters", "year", "countries"]
COVERAGE = pd.DataFrame(
    [
        ("OpenAlex", "country totals", "all fields", 2019, 200),
        ("OpenAlex", "country totals", "all fields", 2021, 190),
        ("World <b>Bank</b>", "articles", "", 2019, 20),
    ],
    columns=COLUMNS,
)


def test_every_figure_and_year_has_a_square_that_says_its_number() -> None:
    drawing = str(heat(COVERAGE, 760))
    tips = re.findall(r'<rect class="cell (\w+)"[^>]* data-tip="([^"]*)"', drawing)
    assert tips == [
        ("m4", "Country totals, 2019: 200 countries"),
        ("land", "Country totals, 2020: nothing"),
        ("m4", "Country totals, 2021: 190 countries"),
        ("m0", "Articles, 2019: 20 countries"),
        ("land", "Articles, 2020: nothing"),
        ("land", "Articles, 2021: nothing"),
    ]


def test_the_table_holds_the_same_and_text_is_never_markup() -> None:
    page = render_coverage(COVERAGE, COVERAGE.drop(columns="year"), "Figures of <i>x</i>")
    assert "<b>Bank" not in page and "<i>x</i>" not in page
    cells = re.search(r'id="countries-by-year".*?</table>', page, re.S)
    assert cells and re.findall(r">([\d,]+)<", cells[0]) == [
        "2019",
        "2021",
        "200",
        "190",
        "20",
        "0",
    ]


def test_what_is_not_known_is_a_dash_and_no_value() -> None:
    answers = pd.DataFrame({"what": ["distances"], "countries": pd.array([None], "Int64")})
    page = render_coverage(COVERAGE, answers, "x")
    assert '<td class="n" data-v="">–</td>' in page and "NA" not in page.split('id="answers"')[1]


def test_an_empty_cache_says_how_to_fill_it() -> None:
    nothing = pd.DataFrame(columns=COLUMNS)
    assert "mlcoop data fetch" in render_coverage(nothing, nothing, "x")
