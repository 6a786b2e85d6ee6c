"""World Bank indicators. Truth: the API's documented format; the reference data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlcoop.errors import ConfigError
from mlcoop.schema import COUNTRY_VARIABLES
from mlcoop.sources import worldbank
from mlcoop.sources.worldbank import CODES, indicators, read_page, requests_for, tidy

CODE = "NY.GDP.MKTP.KD"


def value(iso3: str, iso2: str, year: int, number: Any, code: str = CODE) -> dict[str, Any]:
    return {
        "indicator": {"id": code, "value": "GDP"},
        "country": {"id": iso2, "value": iso3},
        "countryiso3code": iso3,
        "date": str(year),
        "value": number,
    }


def page(values: list[Any], page: int = 1, pages: int = 1, total: int | None = None) -> bytes:
    heading = {"page": page, "pages": pages, "per_page": 2, "total": total or len(values)}
    return json.dumps([heading, values]).encode()


def test_countries_stay_groups_go_and_missing_is_no_row() -> None:
    content = page(
        [
            value("NAM", "NA", 2019, 1.5),
            value("CHN", "CN", 2019, None),
            value("CHN", "CN", 2018, 0),
            value("XKX", "XK", 2018, 3),
            value("WLD", "1W", 2019, 1e15),
            value("", "XD", 2019, 1e15),
            value("ARB", "1A", 2019, 1e15),
            value("CHI", "JG", 2019, 9.0),
        ]
    )
    table, warnings = tidy([content], "gdp_usd2015")
    assert list(table.itertuples(index=False, name=None)) == [
        ("CHN", 2018, "gdp_usd2015", 0.0),
        ("NAM", 2019, "gdp_usd2015", 1.5),
        ("XKX", 2018, "gdp_usd2015", 3.0),
    ]
    assert warnings == []


def test_what_is_neither_country_nor_known_group_is_named() -> None:
    _, warnings = tidy([page([value("QQQ", "QQ", 2019, 1.0), value("", "Q1", 2019, 1.0)])], "v")
    assert len(warnings) == 1 and "QQQ" in warnings[0] and "Q1" in warnings[0]


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?>",
        b"{}",
        b"[]",
        b"[1]",
        json.dumps([{"message": [{"id": "105", "value": "try later"}]}]).encode(),
        json.dumps([{"page": 1, "pages": 1, "total": 1}]).encode(),
        json.dumps([{"page": "1", "pages": 1, "total": 1}, []]).encode(),
        page([{**value("CHN", "CN", 2019, 1), "value": "12"}]),
        page([{**value("CHN", "CN", 2019, 1), "date": "2019Q1"}]),
        page([{**value("CHN", "CN", 2019, 1), "country": None}]),
        page([{**value("CHN", "CN", 2019, 1), "indicator": None}]),
        page([value("CHN", "CN", 2019, 1), value("CHN", "CN", 2019, 1, code="OTHER")]),
        page([value("CHN", "CN", 2019, float("nan"))]),
    ],
)
def test_what_the_service_does_not_answer_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_page(content)


def test_a_page_must_be_the_one_asked_for_and_whole() -> None:
    request = requests_for(CODE, "gdp_usd2015", 2018, 2019)
    request.check(page([value("CHN", "CN", 2019, 1)]))
    bad = (
        page([value("CHN", "CN", 2019, 1)], page=2),
        page([value("CHN", "CN", 2019, 1)], total=2),
        page([value("CHN", "CN", 2019, 1, code="SP.POP.TOTL")]),
    )
    for content in bad:
        with pytest.raises(ValueError):
            request.check(content)


def paged(values: list[Any], size: int) -> Callable[[str, dict[str, str]], Any]:
    def answer(path: str, query: dict[str, str]) -> Any:
        if "GOV_WGI" in path:
            return 200, {}, json.dumps([{"message": [{"id": "120", "key": "no"}]}]).encode()
        mine = [{**v, "indicator": {"id": path.rsplit("/", 1)[-1]}} for v in values]
        at = int(query["page"])
        pages = -(-len(mine) // size)
        return 200, {}, page(mine[(at - 1) * size : at * size], at, pages, len(mine))

    return answer


def test_all_pages_are_read(serve: Any, quick_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worldbank, "PER_PAGE", 2)
    values = [value("CHN", "CN", year, year - 2000) for year in range(2001, 2008)]
    service = serve(paged(values, 2))
    client = quick_client({"MLCOOP_WORLDBANK_URL": service.base})
    table, records, _ = indicators(client, ["gdp_usd2015"], 2001, 2007)
    assert list(table["value"]) == [1, 2, 3, 4, 5, 6, 7] and len(records) == 4


def test_a_code_that_moved_is_found_under_its_other_name_and_asked_once(
    serve: Any, quick_client: Any
) -> None:
    service = serve(paged([value("CHN", "CN", 2019, 0.5)], 10))
    environ = {"MLCOOP_WORLDBANK_URL": service.base}
    table, _, _ = indicators(quick_client(environ), ["rule_of_law"], 2018, 2019)
    assert list(table["value"]) == [0.5]
    again = quick_client(environ)
    indicators(again, ["rule_of_law"], 2018, 2019)
    assert again.sent == 0


def test_an_indicator_that_is_nowhere_and_a_variable_that_is_none(
    serve: Any, quick_client: Any
) -> None:
    gone = json.dumps([{"message": [{"id": "175", "key": "archived"}]}]).encode()
    client = quick_client({"MLCOOP_WORLDBANK_URL": serve(lambda *_: (200, {}, gone)).base})
    # Dropped by the service: named, and the study goes on with what is left.
    table, records, warnings = indicators(client, ["rule_of_law"], 2018, 2019)
    assert table.empty and records == []
    assert (
        len(warnings) == 1 and "rule_of_law is known there (GOV_WGI_RL.EST, RL.EST)" in warnings[0]
    )
    with pytest.raises(ConfigError, match="gdp_usd2015"):
        indicators(client, ["gdp"], 2018, 2019)


def test_years_without_any_value_are_an_answer(serve: Any, quick_client: Any) -> None:
    # As the service answers tourists of 2021 or later, word for word.
    nothing = (
        b'[{"page":0,"pages":0,"per_page":0,"total":0,"sourceid":null,"lastupdated":null},null]'
    )
    client = quick_client({"MLCOOP_WORLDBANK_URL": serve(lambda *_: (200, {}, nothing)).base})
    table, records, warnings = indicators(client, ["tourist_arrivals"], 2021, 2026)
    assert table.empty and warnings == ["World Bank, tourist_arrivals: no values in 2021-2026"]
    assert client.sent == 1 and records[0].version.startswith("updated at an unknown date")


def test_every_country_variable_has_a_source() -> None:
    assert set(CODES) == set(COUNTRY_VARIABLES) - {"un_ideal_point", "international_works"}


def test_values_are_the_reference_datas(
    standin: Any, quick_client: Callable, shared_data: Path
) -> None:
    variables = ["gdp_usd2015", "hightech_exports_pct", "control_of_corruption"]
    table, _, warnings = indicators(quick_client(standin.environ()), variables, 1990, 2023)
    raw = pd.read_csv(shared_data / "world_bank.csv.gz", keep_default_na=False)
    # The stand-in serves the countries of countries.csv, which has no former codes.
    served = set(pd.read_csv(shared_data / "countries.csv", keep_default_na=False)["iso3"])
    raw = raw[raw["iso3"].isin(served) & raw["year"].between(1990, 2023)]
    for variable in variables:
        code = CODES[variable][-1]
        mine = table[table["variable"] == variable].set_index(["iso3", "year"])["value"]
        theirs = raw[raw["indicator"] == code].set_index(["iso3", "year"])["value"]
        pd.testing.assert_series_equal(
            mine.sort_index(), theirs.sort_index().astype(float), check_names=False
        )
    assert warnings == []
