"""Highly cited works. Truth: shares by hand, from works counted in plain sight."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcoop.errors import ConfigError
from mlcoop.sources.openalex import impact
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.request import GatherRequest
from mlcoop.sources.service.http import BudgetSpent, Client

# (countries, highly cited) to works by country; Chad has none that are highly cited at home.
WORKS = {
    (">1", "all"): {"CN": 400, "DE": 300, "TD": 10},
    (">1", "top"): {"CN": 100, "DE": 60, "TD": 1},
    ("1", "all"): {"CN": 1000, "DE": 100, "TD": 0},
    ("1", "top"): {"CN": 100, "DE": 30, "TD": 0},
}
WORLD = {">1": (500, 90), "1": (1100, 130)}


def answer(path: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    clauses = dict(c.split(":", 1) for c in query["filter"].split(","))
    assert clauses["is_paratext"] == clauses["is_retracted"] == "false"
    assert clauses["type"] == "article" and clauses["primary_topic.domain.id"] == "1"
    span = clauses["countries_distinct_count"]
    top = clauses.get("citation_normalized_percentile.is_in_top_10_percent") == "true"
    if query["group_by"] == "publication_year":
        lo, hi = map(int, clauses["publication_year"].split("-"))
        groups = {str(y): WORLD[span][top] for y in range(lo, hi + 1)}
    else:
        found = WORKS[span, "top" if top else "all"]
        groups = {f"https://openalex.org/countries/{c}": n for c, n in found.items() if n}
    listed = [{"key": k, "key_display_name": k, "count": n} for k, n in groups.items()]
    meta = {"count": sum(groups.values()), "page": 1, "groups_count": len(listed)}
    return 200, {}, json.dumps({"meta": meta, "group_by": listed}).encode()


def study(**more: Any) -> GatherRequest:
    filters = Filters(field="life", types="article")
    common = {"first": 2015, "last": 2018, "this_year": 2019, "filters": filters, "years_before": 2}
    return GatherRequest(**{**common, "countries": ("CHN", "DEU", "TCD"), **more})


def test_shares_by_hand_and_the_plan_is_what_is_sent(
    serve: Callable[..., Any], quick_client: Callable[..., Client]
) -> None:
    service = serve(answer)
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    before = impact.plan(study(), client)
    assert before["exact"]
    found = impact.of_study(study(), client)
    # 4 lists in each of 4 years, 4 series of the world, and the years that the source holds.
    assert before["left"] == len(service.paths) == len(set(service.paths)) == 16 + 4 + 1
    assert impact.plan(study(), client)["left"] == 0
    table = impact.pooled(found.table).set_index("iso3")
    assert table["share_international"].to_dict() == {
        "world": 90 / 500, "CHN": 100 / 400, "DEU": 60 / 300, "TCD": 1 / 10
    }  # fmt: skip
    assert table["share_domestic"].dropna().to_dict() == {
        "world": 130 / 1100, "CHN": 100 / 1000, "DEU": 30 / 100
    }  # fmt: skip
    assert table.loc["CHN", "domestic"] == 4 * 1000
    claim = impact.claim(found.table)
    assert "18.0% of international works and 11.8% of domestic" in claim[0]
    assert "In 1 of 2 countries" in claim[1], "China yes, Germany no, Chad has nothing to compare"


def test_a_table_of_counts_has_no_citations(
    tmp_path: Path, quick_client: Callable[..., Client]
) -> None:
    for asked in (impact.of_study, impact.plan):
        with pytest.raises(ConfigError, match="knows no citations"):
            asked(study(own_counts=tmp_path / "x.csv"), quick_client({}))


def test_a_spent_budget_counts_all_that_is_done_and_left(
    serve: Callable[..., Any], quick_client: Callable[..., Client]
) -> None:
    def spent(path: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if len(service.paths) > 10:
            return 429, {"Retry-After": "54000"}, b"{}"
        return answer(path, query)

    service = serve(spent)
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    with pytest.raises(BudgetSpent) as caught:
        impact.of_study(study(), client)
    assert (caught.value.done, caught.value.left) == (10, 21 - 10)
