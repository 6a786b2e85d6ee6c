"""All figures of a study. Truth: the reference data; the stand-in's own log of requests."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sources_tools import openalex_answer

from mlcoop.countries import iso3_of
from mlcoop.errors import ConfigError, DataError, SourceError
from mlcoop.sources import status
from mlcoop.sources.gather import BudgetSpent, Filters, Gathered, GatherRequest, gather, plan
from mlcoop.sources.openalex import impact
from mlcoop.sources.service.http import Client

KEY = "s3cret-key"
STUDY = GatherRequest(
    first=2016,
    last=None,
    this_year=2026,
    most_active=12,
    countries=("CHN", "NAM", "XKX"),
    variables=("gdp_usd2015", "rule_of_law", "un_ideal_point", "international_works"),
    years_before=3,
)


def same(one: Gathered, other: Gathered) -> None:
    for name in ("counts", "covered", "indicators", "ties"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    assert one.countries == other.countries and one.years == other.years
    assert one.warnings == other.warnings
    sums = [[entry["sha256"] for entry in g.records] for g in (one, other)]
    assert sums[0] == sums[1]


@pytest.fixture(scope="module")
def faultless(_running_standin: Any, tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    _running_standin.control(reset=True)
    client = Client(tmp_path_factory.mktemp("faultless"), environ=_running_standin.environ())
    return gather(STUDY, client)


def test_a_study_is_whole(faultless: Gathered, shared_data: Path) -> None:
    g = faultless
    assert g.years == (2016, 2021), "the reference data end with 2021"
    # The 12 most active by mean international works over 2016-2021, from the file itself.
    own = pd.read_csv(shared_data / "country_year.csv.gz", keep_default_na=False)
    own = own[own["year"].between(2016, 2021)]
    top = own.groupby("iso2")["international_works"].sum().nlargest(12).index
    assert g.countries == [*(iso3_of(code) for code in top), "NAM", "XKX"]
    assert set(g.indicators["variable"]) == set(STUDY.variables)
    totals = g.indicators[g.indicators["variable"] == "international_works"]
    assert totals["year"].min() == 2013 and totals["year"].max() == 2021
    assert g.ties.duplicated(["country_a", "country_b"]).sum() == 0
    assert {e["source"] for e in g.records} == {
        "OpenAlex",
        "World Bank Indicators",
        "CEPII GeoDist",
        "UN General Assembly ideal points",
    }
    for entry in g.records:
        assert len(entry["sha256"]) == 64 and entry["licence"] and entry["date"]
        if entry["source"] == "World Bank Indicators":
            assert entry["version"] == "updated 2026-03-01, from a mirror"
        assert "not the real service" in entry["overridden"]


def test_a_fifth_of_all_answers_faulty_and_the_figures_are_the_same(
    standin: Any, faultless: Gathered, quick_client: Callable
) -> None:
    standin.control(fault_rate=0.2, seed=3)
    client = quick_client(standin.environ(), timeout=(2, 20))
    same(gather(STUDY, client), faultless)
    faults = {entry["fault"] for entry in standin.log()} - {None}
    assert faults == {"500", "503", "429", "reset", "truncated", "garbage"}
    assert client.cache.problems() == []


def test_an_empty_list_in_place_of_figures_is_not_taken_for_zeros(
    standin: Any, faultless: Gathered, quick_client: Callable
) -> None:
    standin.control(fault_rate=0.15, faults=["empty"], seed=5)
    same(gather(STUDY, quick_client(standin.environ())), faultless)


def test_a_second_run_makes_no_request(
    standin: Any, faultless: Gathered, quick_client: Callable
) -> None:
    first = quick_client(standin.environ())
    assert plan(STUDY, first)["cached"] == 0 and standin.log() == []
    gather(STUDY, first)
    asked = len(standin.log())
    second = quick_client(standin.environ())
    same(gather(STUDY, second), faultless)
    assert second.sent == 0 and len(standin.log()) == asked
    steps = plan(STUDY, second)
    assert steps["exact"] and steps["left"] == 0 and steps["cached"] == steps["needed"]
    # Asked for and not there: a code of rule_of_law, the UN listing, CEPII's Stata file.
    assert asked == steps["needed"] + 3
    table = status.cache_status(second.cache, status.coverage(second.cache))
    rows = table[table["what"] == "collaboration rows"].iloc[0]
    assert rows["years"] == "2016-2021" and rows["countries"] == 13 and rows["answers"] == 78
    picture = status.coverage(second.cache).set_index(["what", "year"])["countries"]
    assert picture["collaboration rows"].to_dict() == dict.fromkeys(range(2016, 2022), 13)
    gdp = faultless.indicators.query("variable == 'gdp_usd2015'").groupby("year").size()
    assert picture["gdp_usd2015"].to_dict() == gdp.to_dict()
    assert table.set_index("what").loc["gdp_usd2015", "countries"] == gdp.max()
    assert table.set_index("what")["countries"].isna()["distances and ties"]
    assert picture["un_ideal_point", 2020] > 150


def test_a_spent_budget_says_what_is_left_and_the_next_calls_go_on(
    standin: Any, faultless: Gathered, quick_client: Callable
) -> None:
    answered: list[str] = []
    for attempt in range(9):
        # The log and a day's new budget of 35.
        standin.control(reset=True, budget=35)
        client = quick_client(standin.environ(OPENALEX_API_KEY=KEY))
        try:
            whole = gather(STUDY, client)
        except BudgetSpent as error:
            text = str(error)
            assert "\n" not in text and KEY not in text and "run the same command after" in text
            assert error.done is not None and error.left is not None and error.left > 0
            steps = plan(STUDY, quick_client(standin.environ(OPENALEX_API_KEY=KEY)))
            assert steps["cached"] == error.done and steps["left"] == error.left
            # What one process was told, the next knows; the stand-in's day ends in 15 hours.
            assert steps["allowance"] == 0 and steps["allowance_a_day"] == 10_000
            assert steps["days"] == 2
        good = [e["path"] for e in standin.log() if e["status"] == 200]
        answered += good
        if attempt and not [e for e in standin.log() if e["status"] == 429]:
            break
    same(whole, faultless)
    assert attempt >= 2, "the study needs more than 70 requests of OpenAlex"
    assert len(answered) == len(set(answered)), "no answered request is repeated"
    for path in client.cache.folder.rglob("*.json"):
        assert KEY not in path.read_text()


def test_a_service_that_is_down_is_one_line_and_the_cache_stays_whole(
    standin: Any, quick_client: Callable
) -> None:
    for name in ("OPENALEX", "WORLDBANK", "CEPII", "UNVOTES"):
        environ = standin.environ(**{f"MLCOOP_{name}_URL": "http://127.0.0.1:9/down"})
        client = quick_client(environ)
        with pytest.raises(SourceError, match="nobody answers") as caught:
            gather(STUDY, client)
        assert "\n" not in str(caught.value)
        assert client.cache.problems() == []


def test_two_fetches_into_one_cache_at_a_time(
    standin: Any, faultless: Gathered, quick_client: Callable
) -> None:
    clients = [quick_client(standin.environ()) for _ in range(2)]
    got: list[Gathered] = []
    threads = [threading.Thread(target=lambda c=c: got.append(gather(STUDY, c))) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for g in got:
        same(g, faultless)
    paths = [entry["path"] for entry in standin.log() if entry["status"] == 200]
    assert len(paths) == len(set(paths))
    assert clients[0].cache.problems() == []


def test_years_beyond_the_last_complete_one_are_refused(
    standin: Any, quick_client: Callable
) -> None:
    client = quick_client(standin.environ())
    late = dataclasses.replace(STUDY, last=2023)
    with pytest.raises(ConfigError, match="not complete in 2023 .no works.*write 2021 or latest"):
        gather(late, client)
    early = dataclasses.replace(STUDY, first=1985)
    with pytest.raises(ConfigError, match="years.start"):
        gather(early, client)
    assert [e for e in standin.log() if "authorships" in e["path"]] == []


def test_filters_make_other_requests_and_smaller_counts(
    standin: Any, faultless: Gathered, quick_client: Callable
) -> None:
    small = dataclasses.replace(
        STUDY,
        most_active=4,
        variables=(),
        ties=False,
        filters=Filters(field="physical", types="article", highly_cited=True),
    )
    part = gather(small, quick_client(standin.environ()))
    both = part.counts.merge(
        faultless.counts, on=["country_a", "country_b", "year"], suffixes=("", "_all")
    )
    assert len(both) and (both["works"] <= both["works_all"]).all()
    assert both["works"].sum() < 0.2 * both["works_all"].sum()


def test_one_row_a_year_for_a_focal_country(standin: Any, quick_client: Callable) -> None:
    focal = dataclasses.replace(STUDY, focal=("CHN",), variables=(), ties=False)
    client = quick_client(standin.environ())
    first = plan(focal, client)
    assert not first["exact"] and first["by_source"]["openalex"]["left"] >= 6
    g = gather(focal, client)
    rows = [
        e
        for e in standin.log()
        if "authorships.countries%3ACN" in e["path"] or "authorships.countries:CN" in e["path"]
    ]
    # Six years; a list of China's partners that is cut at 200 names all that are wanted.
    assert len(rows) == 6
    pairs = g.counts
    assert ((pairs["country_a"] == "CHN") | (pairs["country_b"] == "CHN")).all()
    named = set(zip(pairs["country_a"], pairs["country_b"], pairs["year"], strict=True))
    whole = set(g.covered.itertuples(index=False, name=None))
    assert {c for c, _ in whole} == {"CHN"} and len(whole) < 6
    for year in range(2016, 2022):
        partners = set(g.countries) - {"CHN"}
        wanted = {(min(c, "CHN"), max(c, "CHN"), year) for c in partners}
        assert ("CHN", year) in whole or wanted <= named


def test_own_counts_take_the_place_of_openalex(
    serve: Any, quick_client: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "scopus.csv"
    path.write_text(
        "year,country_a,country_b,works\n2019,China,Namibia,3\n2020,CN,DE,50\n2020,NA,DE,9\n"
    )
    study = GatherRequest(
        first=2019, last=None, this_year=2026, most_active=2, own_counts=path, ties=False
    )
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(lambda *_: (500, {}, b"")).base})
    g = gather(study, client)
    assert client.sent == 0 and g.years == (2019, 2020) and g.countries == ["DEU", "CHN"]
    assert g.records[0]["source"] == "own counts" and len(str(g.records[0]["sha256"])) == 64
    assert plan(study, client)["needed"] == 0
    with pytest.raises(DataError, match="holds no works of 2018 .it has 2019-2020"):
        gather(dataclasses.replace(study, first=2018), client)


def test_a_snapshot_takes_the_place_of_openalex(
    serve: Any, quick_client: Callable, tmp_path: Path
) -> None:
    pytest.importorskip("duckdb", reason="needs the snapshot extra")
    from mlcoop.sources.openalex.snapshot import aggregate

    pairs = [("CN", "DE"), ("CN", "DE"), ("CN", "NA")]
    ahead = (2021, 2022, 2049, 2050)
    works = [
        {"publication_year": year, "authorships": [{"countries": [a]}, {"countries": [b]}]}
        # Works of a year that has only begun, and some that are dated ahead.
        for year, found in ((2019, pairs), (2020, pairs), *((y, pairs[:1]) for y in ahead))
        for a, b in found
    ]
    (tmp_path / "works").mkdir()
    (tmp_path / "works" / "part.jsonl").write_text("\n".join(map(json.dumps, works)))
    aggregate(tmp_path / "works", tmp_path / "counts")
    study = GatherRequest(
        first=2019,
        last=None,
        this_year=2026,
        most_active=5,
        own_counts=tmp_path / "counts",
        variables=("international_works",),
        ties=False,
    )
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(lambda *_: (500, {}, b"")).base})
    g = gather(study, client)
    assert client.sent == 0 and g.countries == ["CHN", "DEU", "NAM"] and g.years == (2019, 2020)
    assert g.counts.query("year < 2021")["works"].tolist() == [2, 2, 1, 1]
    # China stands in all three works of each year; a work of two countries counts once.
    china = g.indicators.query("iso3 == 'CHN' and year < 2021")
    assert china["value"].tolist() == [3, 3]
    assert g.records[0]["source"] == "OpenAlex snapshot"
    assert set(impact.of_study(study, client).table["year"]) == {2019, 2020}
    with pytest.raises(ConfigError, match="years.end: OpenAlex is not complete in 2021"):
        gather(dataclasses.replace(study, last=2021), client)


def test_a_year_that_is_not_whole_in_a_snapshot_is_named(
    serve: Any, quick_client: Callable, tmp_path: Path
) -> None:
    works = {2016: 900, 2017: 1000, 2018: 300, 2019: 1000, 2020: 1100}
    one = {"field": "3", "article": True, "top": False, "country_a": "CHN", "country_b": "DEU"}
    rows = [
        {**one, "year": y, "works": n, "fractional": n / 2, "international": n}
        for y, n in works.items()
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "pairs.parquet")
    study = GatherRequest(first=2016, last=2020, this_year=2026, own_counts=tmp_path, ties=False)
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(lambda *_: (500, {}, b"")).base})
    # As of the service: fewer than in the three years before and in the three after.
    assert "2018 (300 works; 1,000 before and 1,100 after)" in gather(study, client).warnings[0]


def test_a_last_year_of_a_users_file_that_falls_short_is_named(
    serve: Any, quick_client: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "counts.csv"
    rows = [f"{year},CN,DE,{n}" for year, n in ((2019, 900), (2020, 1000), (2021, 500))]
    path.write_text("\n".join(["year,country_a,country_b,works", *rows]))
    study = GatherRequest(first=2019, last=None, this_year=2026, own_counts=path, ties=False)
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(lambda *_: (500, {}, b"")).base})
    g = gather(study, client)
    assert g.years == (2019, 2021)
    assert g.warnings == [
        f"{path}: 2021 may be incomplete (500 works; 1,000 in 2020); if it is, set years.end "
        "to 2020"
    ]
    assert gather(dataclasses.replace(study, last=2021), client).warnings == []


def test_main_path_without_the_shared_folder(serve: Any, quick_client: Callable) -> None:
    """Counts of a tiny world through the whole of it, from a local server."""
    pairs = {("CN", "DE"): 40, ("CN", "NA"): 3, ("DE", "US"): 60, ("CN", "US"): 90}
    own = {"CN": 120, "DE": 95, "NA": 3, "US": 140}
    held = {str(y): 100 * y for y in range(2010, 2020)} | {"2020": 9}
    service = serve(lambda _, q: (200, {}, openalex_answer(pairs, own, q, years=held)))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    study = GatherRequest(
        first=2015,
        last=None,
        this_year=2021,
        most_active=2,
        countries=("NAM",),
        variables=("international_works",),
        years_before=2,
        ties=False,
    )
    steps: list[tuple[int, int, str]] = []
    g = gather(study, client, lambda *step: steps.append(step))
    assert g.years == (2015, 2019) and g.countries == ["USA", "CHN", "NAM"]
    known = g.counts.set_index(["country_a", "country_b", "year"])["works"]
    assert known["CHN", "NAM", 2019] == 3 and known["CHN", "USA", 2015] == 90
    assert ("NAM", "USA", 2019) not in known.index, "a known zero: Namibia's row is whole"
    assert ("NAM", 2019) in set(g.covered.itertuples(index=False, name=None))
    assert sorted(g.indicators["year"].unique()) == list(range(2013, 2020))
    assert steps[-1][0] == steps[-1][1]
    # 1 of years, 7 of totals, 2 rows in each of 5 years.
    assert len(service.paths) == 1 + 7 + 10


def test_a_year_with_half_its_works_is_named_in_the_warnings(
    serve: Any, quick_client: Callable
) -> None:
    held = {"2015": 1000, "2016": 1100, "2017": 1200, "2018": 600, "2019": 1300}
    own = {"CN": 5, "DE": 5}
    service = serve(lambda _, q: (200, {}, openalex_answer({}, own, q, years=held)))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    study = GatherRequest(first=2015, last=2018, this_year=2020, years_before=0, ties=False)
    assert any("2018 (600 works" in line for line in gather(study, client).warnings)


@pytest.mark.parametrize("focal", [None, ("CHN",)])
def test_the_dry_run_counts_the_requests_that_are_then_sent(
    standin: Any, quick_client: Callable, focal: tuple[str, ...] | None
) -> None:
    """Truth: the stand-in's log. Years are named and no list is cut off above these countries."""
    study = GatherRequest(
        first=2015,
        last=2018,
        this_year=2019,
        most_active=0,
        countries=("CHN", "DEU", "USA"),
        focal=focal,
        variables=("international_works", "gdp_usd2015", "un_ideal_point"),
        years_before=3,
    )
    client = quick_client(standin.environ())
    before = plan(study, client)
    gather(study, client)
    sent = {entry["path"] for entry in standin.log() if entry["status"] == 200}
    openalex = {path for path in sent if path.startswith("/openalex/")}
    assert before["by_source"]["openalex"]["left"] == len(openalex)
    assert before["by_source"]["worldbank"]["left"] == 1
    after = plan(study, client)
    assert (after["left"], after["exact"]) == (0, True)
    assert after["needed"] == len(sent), "mirrors answer at another address than the first tried"
