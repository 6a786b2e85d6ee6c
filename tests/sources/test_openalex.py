"""What OpenAlex is asked and how its answers are checked. Truth: its documented answer format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlcoop.errors import ConfigError
from mlcoop.sources.openalex.api import (
    Filters,
    by_country,
    plan_counts,
    read_groups,
    row_request,
    totals_request,
    years_request,
)


def answer(groups: list[Any], count: int = 30, **meta: Any) -> bytes:
    body = {"meta": {"count": count, "page": 1, **meta}, "group_by": groups}
    return json.dumps(body).encode()


def group(key: str, count: Any) -> dict[str, Any]:
    return {"key": f"https://openalex.org/countries/{key}", "count": count}


def test_groups_are_read_by_code() -> None:
    groups = read_groups(answer([group("CN", 30), group("NA", 2)], next_cursor="x"))
    assert groups.counts == {"CN": 30, "NA": 2}
    assert groups.works == 30 and groups.next_cursor == "x" and not groups.cut


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>gateway</html>",
        b"[]",
        b'"text"',
        b'{"group_by": []}',
        b'{"meta": {"count": 1}}',
        b'{"meta": [], "group_by": []}',
        answer([group("CN", -1)]),
        answer([group("CN", 1.5)]),
        answer([group("CN", "7")]),
        answer([group("CN", True)]),
        answer([group("CN", 10**12)]),
        answer([group("CN", 3), group("CN", 3)]),
        answer([{"count": 3}]),
        answer(["CN"]),
        answer([], count=30),
        answer([group("CN", 3)], groups_count=2),
        answer([group("CN", 3), group("DE", 3)], groups_count=1),
        answer([group("CN", 3)], count=None),
        answer([group("CN", 3)], next_cursor=7),
    ],
)
def test_what_openalex_does_not_answer_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_groups(content)


def test_a_country_without_works_is_an_answer() -> None:
    assert read_groups(answer([], count=0)).counts == {}


def test_a_row_must_be_its_own_countrys_and_years_those_asked_for() -> None:
    row = row_request("CHN", 2019, Filters())
    row.check(answer([group("CN", 30), group("US", 9)]))
    with pytest.raises(ValueError, match="without its own country CN"):
        row.check(answer([group("DE", 30), group("US", 9)]))
    years = years_request(2001, 2003, Filters())
    years.check(answer([{"key": "2002", "count": 4}]))
    for key in ("1999", "CN", ""):
        with pytest.raises(ValueError, match="no years"):
            years.check(answer([{"key": key, "count": 4}]))


def test_filters_are_in_the_request() -> None:
    filters = Filters(field="health", types="article", highly_cited=True)
    text = dict(row_request("NAM", 2019, filters).params)["filter"].split(",")
    assert set(text) == {
        "authorships.countries:NA",
        "publication_year:2019",
        "countries_distinct_count:>1",
        "is_paratext:false",
        "is_retracted:false",
        "primary_topic.domain.id:4",  # api.openalex.org/domains: 4 is Health Sciences
        "type:article",
        "citation_normalized_percentile.is_in_top_10_percent:true",
    }
    assert "authorships.countries:" not in dict(totals_request(2019, filters).params)["filter"]
    with pytest.raises(ConfigError, match="target.field"):
        Filters(field="physics")
    with pytest.raises(ConfigError, match="target.types"):
        Filters(types="book")


def test_the_plan_covers_every_pair_with_the_fewest_rows() -> None:
    countries = ["USA", "CHN", "DEU", "NAM"]
    plan = plan_counts(countries, [2019], Filters())
    rows = {request.about["country"] for request in plan}
    # A row covers the pairs of its country: of n countries n - 1 rows are needed and enough.
    for i, a in enumerate(countries):
        for b in countries[i + 1 :]:
            assert a in rows or b in rows
    assert len(rows) == len(countries) - 1 and "USA" not in rows
    focal = plan_counts(countries, range(2001, 2021), Filters(), focal=["CHN"])
    # DESIGN.md: China and its partners over 20 years cost 20 requests.
    assert len(focal) == 20 and {r.about["country"] for r in focal} == {"CHN"}


def test_codes_of_no_country_are_kept_apart() -> None:
    known, unknown = by_country({"CN": 5, "XK": 1, "HK": 2, "AN": 3, "unknown": 4})
    assert known == {"CHN": 5, "XKX": 1, "HKG": 2}
    assert unknown == {"AN": 3, "unknown": 4}
