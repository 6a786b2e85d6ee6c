"""From answers to counts. Truth: small matrices in plain sight, and the reference data."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sources_tools import openalex_answer

from mlcoop.countries import iso3_of
from mlcoop.errors import ConfigError
from mlcoop.sources.openalex import api, collaboration
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.openalex.complete_years import check_years, name_holes, resolve_latest

ALL = Filters()
PAIRS = {("CN", "DE"): 40, ("CN", "NA"): 3, ("CN", "US"): 90, ("DE", "US"): 60, ("NA", "US"): 5}
OWN = {"CN": 120, "DE": 95, "NA": 7, "US": 140}
NAMES = ["USA", "CHN", "DEU", "NAM"]


def service(serve: Any, pairs: dict = PAIRS, own: dict = OWN, **options: Any) -> Any:
    return serve(lambda path, query: (200, {}, openalex_answer(pairs, own, query, **options)))


def works(counts: collaboration.Counts) -> dict[tuple[str, str, int], float]:
    return {(r.country_a, r.country_b, r.year): r.works for r in counts.table.itertuples()}


def test_all_pairs_come_out_of_one_row_less_than_countries(serve: Any, quick_client: Any) -> None:
    running = service(serve)
    client = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    counts = collaboration.counts(client, NAMES, [2019, 2020], ALL)
    assert len(running.paths) == 2 * 3
    expected = {
        ("CHN", "DEU", 2019): 40,
        ("CHN", "NAM", 2019): 3,
        ("CHN", "USA", 2019): 90,
        ("DEU", "USA", 2019): 60,
        ("NAM", "USA", 2019): 5,
    }
    assert {k: v for k, v in works(counts).items() if k[2] == 2019} == expected
    # DEU-NAM is not listed; both rows are whole, so it is a known zero.
    covered = set(counts.covered.itertuples(index=False, name=None))
    assert covered == set(itertools.product(["CHN", "DEU", "NAM"], [2019, 2020]))
    totals = counts.totals.set_index(["iso3", "year"])["value"]
    assert totals["CHN", 2019] == 120 and totals["NAM", 2020] == 7
    assert counts.warnings == [] and len(counts.records) == 6


def test_country_order_does_not_change_the_counts(serve: Any, quick_client: Any) -> None:
    client = quick_client({"MLCOOP_OPENALEX_URL": service(serve).base})
    tables = [
        collaboration.counts(client, order, [2019], ALL).table
        for order in (NAMES, NAMES[::-1], sorted(NAMES))
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Lists end at two groups, as the real ones do at 200."""
    monkeypatch.setattr(api, "GROUPS_PER_PAGE", 2)
    return 2


def test_a_cut_row_is_made_up_for_by_the_partners_rows(
    serve: Any, quick_client: Any, short_pages: int
) -> None:
    # Only the row of CN (first two: CN, US) is cut; DE and NA have one partner each.
    pairs = {("CN", "DE"): 40, ("CN", "NA"): 3, ("CN", "US"): 90}
    running = serve(
        lambda path, query: (
            200,
            {},
            openalex_answer(pairs, {"CN": 120, "DE": 40, "NA": 3, "US": 90}, query, page=2),
        )
    )
    client = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    counts = collaboration.counts(client, ["USA", "CHN"], [2019], ALL)
    assert works(counts)["CHN", "USA", 2019] == 90
    assert len(running.paths) == 1, "US is listed in the cut row of CN, nothing else is wanted"
    assert counts.covered.empty, "a cut row does not tell its zeros"


def test_the_cursor_is_followed_where_no_partners_row_helps(
    serve: Any, quick_client: Any, short_pages: int
) -> None:
    running = service(serve, page=2)
    client = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    counts = collaboration.counts(client, NAMES, [2019], ALL, focal=["CHN"])
    # First answer, then the whole list of 4 groups by twos.
    assert len(running.paths) == 3
    assert works(counts) == {
        ("CHN", "DEU", 2019): 40,
        ("CHN", "NAM", 2019): 3,
        ("CHN", "USA", 2019): 90,
    }
    assert list(counts.covered["iso3"]) == ["CHN"]
    again = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    repeated = collaboration.counts(again, NAMES, [2019], ALL, focal=["CHN"])
    assert again.sent == 0
    pd.testing.assert_frame_equal(repeated.table, counts.table)


def test_all_pairs_are_known_even_when_every_list_is_cut(
    serve: Any, quick_client: Any, short_pages: int
) -> None:
    client = quick_client({"MLCOOP_OPENALEX_URL": service(serve, page=2).base})
    counts = collaboration.counts(client, NAMES, [2019], ALL)
    found = {(a, b): n for (a, b, _), n in works(counts).items()}
    for (a, b), n in PAIRS.items():
        assert found[tuple(sorted((iso3_of(a), iso3_of(b))))] == n
    # DEU-NAM, the zero, must be covered by one end at least.
    assert {"DEU", "NAM"} & set(counts.covered["iso3"])


def test_rows_that_differ_keep_the_larger_count_and_are_named(
    serve: Any, quick_client: Any
) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        pairs = dict(PAIRS)
        if "authorships.countries:DE" in query["filter"]:
            pairs["CN", "DE"] = 38
            del pairs["DE", "US"]
        if "authorships.countries:NA" in query["filter"]:
            pairs["DE", "NA"] = 1
        return 200, {}, openalex_answer(pairs, OWN, query)

    client = quick_client({"MLCOOP_OPENALEX_URL": serve(answer).base})
    counts = collaboration.counts(client, NAMES, [2019], ALL)
    assert works(counts)["CHN", "DEU", 2019] == 40
    (line,) = [w for w in counts.warnings if "rows of the two countries differ" in w]
    assert "CHN-DEU 2019 (38 against 40)" in line and "DEU-NAM 2019 (0 against 1)" in line


def test_codes_of_no_country_are_named_with_their_works(serve: Any, quick_client: Any) -> None:
    pairs = PAIRS | {("AN", "CN"): 8}
    client = quick_client({"MLCOOP_OPENALEX_URL": service(serve, pairs).base})
    counts = collaboration.counts(client, NAMES, [2019, 2020], ALL)
    (line,) = counts.warnings
    assert "AN (16 works in 2019-2020)" in line


def test_totals_that_do_not_fit_their_pairs_are_named(serve: Any, quick_client: Any) -> None:
    own = OWN | {"CN": 80, "NA": 50}
    client = quick_client({"MLCOOP_OPENALEX_URL": service(serve, PAIRS, own).base})
    lines = collaboration.counts(client, NAMES, [2019], ALL).warnings
    # CN has 90 works with US, so not 80 in all; NA has 8 with somebody, so not 50.
    assert any("CHN 2019 (80 below 90)" in line for line in lines)
    assert any("NAM 2019 (50 above 8)" in line for line in lines)


def test_a_country_that_a_cut_list_does_not_name_is_asked_for_by_itself(
    serve: Any, quick_client: Any, short_pages: int
) -> None:
    running = service(serve, page=2)
    client = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    table, _, _ = collaboration.country_totals(client, [2018, 2019], ALL, must=["USA"])
    assert len(running.paths) == 2 and set(table["iso3"]) == {"CHN", "USA"}
    table, records, _ = collaboration.country_totals(
        client, [2018, 2019], ALL, must=["NAM", "TUV", "USA"]
    )
    # Two more requests: all years of Namibia, all years of Tuvalu, which had no such work.
    assert len(running.paths) == 4 and len(records) == 4
    got = table[table["year"] == 2019].set_index("iso3")["value"].to_dict()
    assert got == {"USA": 140, "CHN": 120, "NAM": 7, "TUV": 0}


def test_a_whole_list_that_does_not_name_a_country_tells_a_zero(
    serve: Any, quick_client: Any
) -> None:
    running = service(serve)
    client = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    table, _, _ = collaboration.country_totals(client, [2019], ALL, must=["TUV"])
    assert len(running.paths) == 1
    assert table.set_index("iso3").at["TUV", "value"] == 0


def test_a_country_of_one_year_has_a_known_zero_in_the_whole_lists_of_others(
    serve: Any, quick_client: Any
) -> None:
    # A thin target: Namibia is named in 2018 only, Tuvalu never.
    def answer(path: str, query: dict[str, str]) -> Any:
        own = {"2018": OWN, "2019": {"CN": 130, "US": 150}, "2020": {}}
        year = next(y for y in own if f"publication_year:{y}" in query["filter"])
        return 200, {}, openalex_answer({}, own[year], query)

    client = quick_client({"MLCOOP_OPENALEX_URL": serve(answer).base})
    table, _, _ = collaboration.country_totals(client, [2018, 2019, 2020], ALL, must=["USA"])
    value = table.set_index(["iso3", "year"])["value"].to_dict()
    assert value["NAM", 2019] == value["DEU", 2019] == 0
    # An empty list is a year that is not there, and who is in no list is unknown.
    assert {year for _, year in value} == {2018, 2019} and not any("TUV" in key for key in value)


def test_a_jump_beyond_belief_is_named(serve: Any, quick_client: Any) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        factor = 40 if "2020" in query["filter"] else 10
        return 200, {}, openalex_answer({}, {"CN": 40 * factor, "NA": factor}, query)

    client = quick_client({"MLCOOP_OPENALEX_URL": serve(answer).base})
    _, _, lines = collaboration.country_totals(client, [2019, 2020], ALL)
    (line,) = lines
    assert "CHN 2020 (400 to 1,600)" in line and "NAM" not in line


def test_the_last_complete_year() -> None:
    growing = {2015: 70, 2016: 80, 2017: 90, 2018: 100}
    assert resolve_latest(growing) == 2018
    assert resolve_latest(growing | {2019: 89}) == 2018
    assert resolve_latest(growing | {2019: 90}) == 2019
    assert resolve_latest(growing | {2019: 50, 2020: 49, 2021: 3}) == 2018
    # A dip in the middle does not end the series.
    assert resolve_latest(growing | {2019: 60, 2020: 110, 2021: 120}) == 2021
    assert resolve_latest(growing | {2019: 60}, max_shortfall=0.5) == 2019
    for nothing in ({}, {2018: 5}):
        with pytest.raises(ConfigError, match="years.end: latest"):
            resolve_latest(nothing)


@pytest.mark.parametrize(
    ("lo", "hi", "words"),
    [
        (2015, 2019, "years.end: OpenAlex is not complete in 2019 .40 works; 100 in 2018"),
        (2015, 2021, "years.end: OpenAlex is not complete in 2021 .no works"),
        (1950, 2018, "years.start: .* 1950, 1951"),
    ],
)
def test_years_that_are_not_whole_are_refused_with_the_reason(lo: int, hi: int, words: str) -> None:
    totals = {2015: 70, 2016: 80, 2017: 90, 2018: 100, 2019: 40}
    check_years(totals, 2015, 2018)
    with pytest.raises(ConfigError, match=words):
        check_years(totals, lo, hi)


def test_a_hole_in_the_middle_is_named_and_a_real_fall_is_not() -> None:
    # 90 % of 12,000 is 10,800; three standard deviations of 12,000 are 329.
    totals = {2015: 10000, 2016: 11000, 2017: 12000, 2018: 6000, 2019: 13000, 2020: 13500}
    for lo, hi in [(2015, 2018), (2016, 2020)]:
        (line,) = name_holes(totals, lo, hi)
        assert "2018 (6,000 works; 12,000 before and 13,500 after)" in line
    assert name_holes(totals, 2015, 2017) == name_holes(totals, 2019, 2020) == []
    assert name_holes(totals | {2018: 10472}, 2015, 2020) == []
    assert len(name_holes(totals | {2018: 10470}, 2015, 2020)) == 1
    assert name_holes(totals, 2015, 2020, max_shortfall=0.5) == []
    # Two years in part, one after the other: neither excuses the other.
    (line,) = name_holes(totals | {2019: 5900}, 2015, 2020)
    assert "2018" in line and "2019" in line
    # Works that become fewer for good are no hole.
    assert name_holes({2015: 10000, 2016: 12000, 2017: 10000, 2018: 9900}, 2015, 2018) == []
    # A thin target: 46 is 15 less than 61, but 3 times the root of 61 is 23.
    assert name_holes({2015: 60, 2016: 61, 2017: 46, 2018: 61}, 2015, 2018) == []


def test_year_totals_hold_no_zero_for_a_year_that_is_not_there(
    serve: Any, quick_client: Any
) -> None:
    running = service(serve, years={"2018": 10, "2019": 12, "2030": 0})
    client = quick_client({"MLCOOP_OPENALEX_URL": running.base})
    totals, _ = collaboration.year_totals(client, 2015, 2035, ALL)
    assert totals == {2018: 10, 2019: 12} and len(running.paths) == 1


def test_counts_are_the_reference_datas(
    standin: Any, quick_client: Callable, shared_data: Path
) -> None:
    """The reference file, read here by itself, against what comes through the service."""
    client = quick_client(standin.environ())
    countries, years = ["USA", "CHN", "DEU", "NAM", "XKX", "TWN", "HKG"], [2001, 2010, 2021]
    counts = collaboration.counts(client, countries, years, ALL)
    raw = pd.read_csv(shared_data / "collaboration.csv.gz", keep_default_na=False)
    raw = raw[raw["year"].isin(years)]
    expected = {}
    for year, a, b, n in raw.itertuples(index=False, name=None):
        x, y = sorted((iso3_of(a), iso3_of(b)))
        expected[x, y, year] = n
    mine = works(counts)
    wanted = set(countries)
    for (a, b, year), n in expected.items():
        if {a, b} <= wanted:
            assert mine[a, b, year] == n
    assert {k: v for k, v in mine.items() if expected.get(k) != v} == {}
    own = pd.read_csv(shared_data / "country_year.csv.gz", keep_default_na=False)
    own = {(iso3_of(r.iso2), r.year): r.international_works for r in own.itertuples()}
    for r in counts.totals.itertuples():
        assert r.value == own[r.iso3, r.year]
    assert not [w for w in counts.warnings if "differ" in w]
