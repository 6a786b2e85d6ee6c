"""An institution's pairs. Truth: known ROR numbers, and a service whose rule is in plain sight."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sources_tools import INSTITUTION, InstitutionService, openalex_answer

from mlcoop.assemble import assemble
from mlcoop.config_file import check_config
from mlcoop.countries import iso2_of
from mlcoop.errors import ConfigError, SourceError
from mlcoop.features.build import explain_rows
from mlcoop.plan import make_plan
from mlcoop.sources.gather import GatherRequest, gather, plan
from mlcoop.sources.openalex import institution as unit
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.service.asking import Answer
from mlcoop.sources.service.cache import Record
from mlcoop.sources.service.http import Client

CODE = "TUR:I27837315"
RECORD = Record("openalex", "x", "", "", 0, "", "", {})
PAIRS = {("CN", "TR"): 400, ("DE", "TR"): 600, ("NA", "TR"): 10, ("CN", "DE"): 900}
OWN = {"CN": 1200, "DE": 1400, "TR": 900, "NA": 12}


# MIT, Caltech, Harvard and the Universidad de los Andes, as ror.org writes them.
@pytest.mark.parametrize("number", ["042nb2s44", "05dxps055", "03vek6s52", "02mhbdp94"])
def test_real_ror_numbers_have_fitting_check_digits(number: str) -> None:
    assert unit.parse_id(f"https://ror.org/{number}") == unit.parse_id(number) == f"ror:{number}"
    slip = number[:3] + ("b" if number[3] != "b" else "c") + number[4:]
    with pytest.raises(ConfigError, match="check digits"):
        unit.parse_id(slip)


@pytest.mark.parametrize("text", ["", "I9", "W27837315", "042nb2s4", "Harvard", "I27837315,x:y"])
def test_other_text_is_no_number(text: str) -> None:
    with pytest.raises(ConfigError, match="no number of an institution"):
        unit.parse_id(text)


@pytest.fixture
def openalex(serve: Callable[..., Any]) -> tuple[InstitutionService, Any]:
    def behind(query: str) -> bytes:
        return openalex_answer(PAIRS, OWN, dict(p.split("=", 1) for p in query.split("&")))

    rule = InstitutionService(behind)
    return rule, serve(rule.answer)


def test_counts_and_output_are_the_institutions_own(
    openalex: tuple[InstitutionService, Any], quick_client: Callable[..., Client]
) -> None:
    rule, service = openalex
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    study = GatherRequest(
        first=2015,
        last=2019,
        this_year=2019,
        institution="https://ror.org/0130frc33",
        most_active=3,
        variables=("international_works",),
        years_before=2,
        ties=False,
    )
    g = gather(study, client)
    assert g.institution and g.institution.code == CODE
    # Most active of the others; its own country is no partner.
    assert g.countries == ["DEU", "CHN", "NAM"]
    known = g.counts[g.counts["year"] == 2017].set_index(["country_a", "country_b"])["works"]
    row = rule.row("2017")
    for partner in ("CHN", "DEU"):
        assert known[min(partner, CODE), max(partner, CODE)] == row[iso2_of(partner)] > 0
    assert set(known.index) == {(min(c, CODE), max(c, CODE)) for c in ("CHN", "DEU", "NAM")}
    assert (CODE, 2017) in set(g.covered.itertuples(index=False, name=None))
    own = g.indicators[g.indicators["iso3"] == CODE].set_index("year")["value"]
    assert own.to_dict() == {y: rule.works(str(y)) for y in range(2013, 2020)}
    # 1 of itself, 1 of years, 7 of totals, 2 of its output, 5 of its rows; none twice.
    assert len(service.paths) == len(set(service.paths)) == 1 + 1 + 7 + 2 + 5
    after = plan(study, client)
    assert (after["needed"], after["left"], after["exact"]) == (16, 0, True)


def test_an_unknown_number_and_a_merged_one(
    openalex: tuple[InstitutionService, Any], quick_client: Callable[..., Client]
) -> None:
    client = quick_client({"MLCOOP_OPENALEX_URL": openalex[1].base})
    with pytest.raises(ConfigError, match="no institution I99999"):
        unit.find(client, "I99999")
    found, _, warnings = unit.find(client, "I11111")
    assert found.id == "I27837315" and "I11111 was merged into I27837315" in warnings[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": None}, "without number"),
        ({"id": 27837315}, "without number"),
        ({"display_name": ""}, "without name"),
        ({"country_code": 7}, "country"),
        ({"ror": "https://ror.org/042nb2s44"}, "in place of"),
    ],
)
def test_a_damaged_answer_about_it_is_refused(
    serve: Callable[..., Any], quick_client: Callable[..., Client], change: dict, says: str
) -> None:
    body = json.dumps({**INSTITUTION, **change}).encode()
    service = serve(lambda path, query: (200, {}, body))
    with pytest.raises(SourceError, match=says):
        unit.find(quick_client({"MLCOOP_OPENALEX_URL": service.base}), "ror:0130frc33")


def test_no_country_no_study(
    serve: Callable[..., Any], quick_client: Callable[..., Client]
) -> None:
    body = json.dumps({**INSTITUTION, "country_code": None}).encode()
    service = serve(lambda path, query: (200, {}, body))
    with pytest.raises(ConfigError, match="knows no country"):
        unit.find(quick_client({"MLCOOP_OPENALEX_URL": service.base}), "I27837315")


def test_its_side_of_the_features_is_its_countrys_but_for_its_output(
    standin: Any, serve: Callable[..., Any], tmp_path: Path
) -> None:
    """Truth: the same study of its country, from the same services."""

    def behind(query: str) -> bytes:
        safe = urllib.parse.quote(query, safe="=&:,|*/>")
        return urllib.request.urlopen(f"{standin.base}/openalex/works?{safe}", timeout=20).read()

    service = serve(InstitutionService(behind).answer)
    environ = standin.environ(MLCOOP_OPENALEX_URL=service.base)
    partners = ["DEU", "AZE", "USA", "TUR"]
    factors = ["distance", "border", "belt_and_road", "gdp", "works_with_others", "articles"]

    sources = {}

    def study(focus: dict) -> pd.DataFrame:
        raw = {
            "name": "x",
            "focus": {**focus, "partners": partners},
            "training": {"pairs": "focus"},
            "years": {"start": 2012, "end": 2018},
            "factors": factors,
        }
        made = make_plan(check_config(raw, "x"), "x", tmp_path)
        client = Client(tmp_path / "cache", environ=environ, sleep=lambda _: None)
        found = assemble(made, client, today=date(2024, 6, 1))
        matrix = found.matrix
        sources.update({(*focus, r["factor"]): r["source"] for r in found.coverage["factors"]})
        shown = explain_rows(matrix)
        table = pd.concat([matrix.rows[shown], matrix.X[shown]], axis=1)
        return table.set_index(["partner", "year"]).sort_index()

    mine, country = study({"institution": "I27837315"}), study({"focal": "TUR"})
    assert set(mine["focal"]) == {CODE} and set(mine.index) == set(country.index)
    same = [c for c in mine.columns if c in country.columns and not c.startswith("works")]
    same = [c for c in same if c not in ("focal", "country_a", "country_b", "articles_focal")]
    assert {"distance", "border", "gdp_focal", "gdp_partner"} <= set(same)
    pd.testing.assert_frame_equal(mine[same], country[same])
    share = mine["works"] / country["works"]
    for partner in ("DEU", "AZE", "USA"):
        # Rounded to whole works, so within half a work of the rule's share.
        rule = InstitutionService.share(iso2_of(partner))
        assert (share[partner] - rule).abs().max() <= (0.5 / country["works"][partner]).max()
    assert (mine["works_with_others_focal"] < country["works_with_others_focal"]).all()
    # Its articles are OpenAlex's, as its counts are; all others' are not.
    assert "NCSES" not in sources["institution", "articles_focal"]
    assert "NCSES" in sources["institution", "articles_partner"]
    assert "NCSES" in sources["focal", "articles_focal"]


def test_config_says_what_does_not_go_together() -> None:
    for more in (
        {"focus": {"institution": "I27837315", "focal": "TUR", "partners": "eu"}},
        {"focus": {"institution": "I27837315"}, "training": {"pairs": "all"}},
        {"focus": {"institution": "Harvard"}},
        {"focus": {"institution": "I27837315"}, "target": {"source": "csv", "path": "x.csv"}},
    ):
        with pytest.raises(ConfigError, match="institution"):
            check_config({"name": "x", **more}, "x")
    assert check_config({"name": "x", "focus": {"institution": "I27837315"}}, "x").training
    assert Filters().clauses(None)[0] == "is_paratext:false"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"international": 90}, "90 and 100 international works"),
        ({"all": 60}, "100 international of 60 works"),
        ({"DE": 130}, "130 works with a country of all its 100"),
    ],
)
def test_figures_that_do_not_fit_are_named(change: dict[str, int], says: str) -> None:
    world = {"international": 100, "all": 300, "DE": 80, "CN": 40, **change}

    class Service:
        def get_many(self, requests_: Any, **_: Any) -> list[Answer]:
            return [Answer(self.content(dict(r.params)), RECORD) for r in requests_]

        def content(self, query: dict[str, str]) -> bytes:
            if query["group_by"] == "publication_year":
                groups = [("2019", world["international" if ">1" in query["filter"] else "all"])]
            else:
                groups = [("TR", 100), ("DE", world["DE"]), ("CN", world["CN"])]
            listed = [{"key": k, "count": n} for k, n in groups]
            meta = {"count": 100 if len(groups) > 1 else groups[0][1], "page": 1}
            return json.dumps({"meta": meta, "group_by": listed}).encode()

    mine = unit.Institution("I27837315", "A university", "TUR")
    asked: Any = Service()
    got = unit.counts(asked, mine, [2019], (2019, 2019), Filters())
    assert says in got.warnings[0] and "A university" in got.warnings[0]
