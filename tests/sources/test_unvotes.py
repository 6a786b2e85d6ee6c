"""UN ideal points. Truth: the data set's own format by release; the reference data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pycountry
import pytest

from mlcoop.errors import SourceError
from mlcoop.sources.unvotes import fetch, pick_file, read, tidy

FORMER = ["DDR", "CSK", "YAR"]


def text(extra: list[tuple] = (), *, drop: tuple[str, ...] = (), heading: str = "") -> str:
    """A file in the shape of the July 2025 release: 32 countries by 40 years, and former states."""
    codes = sorted(c.alpha_3 for c in pycountry.countries)[:30] + ["CHN", "NAM"]
    rows = [(c, y, 0.01 * i) for i, c in enumerate(codes) for y in range(1985, 2025)]
    rows += [(c, y, -1.0) for c in FORMER for y in range(1985, 1989)]
    rows += [("YUG", y, -0.5) for y in (1990, 2005)]
    rows = [r for r in rows if r[0] not in drop] + list(extra)
    lines = [f"{c}\t{y}\t{'' if v is None else v}" for c, y, v in rows]
    return "\n".join([heading or "iso3c\tyear\tidealpointall", *lines]) + "\n"


def test_former_states_go_and_serbia_holds_its_seat() -> None:
    extra = [("TUV", 2024, None), ("QQQ", 2001, 0.5)]
    table, warnings = tidy(text(extra).encode())
    assert not set(FORMER) & set(table["iso3"]) and "NAM" in set(table["iso3"])
    # Under YUG: 2005 is Serbia and Montenegro, 1990 the larger Yugoslavia.
    assert table[table["iso3"] == "SRB"]["year"].tolist() == [2005]
    assert "TUV" not in set(table["iso3"]), "a missing ideal point is no row"
    assert any("QQQ" in line for line in warnings)


def test_releases_by_session_are_put_to_years() -> None:
    by_year = text()
    lines = by_year.splitlines()
    moved = ["iso3c,session,IdealPointAll"]
    moved += [f"{c},{int(y) - 1945},{v}" for c, y, v in (line.split("\t") for line in lines[1:])]
    a, b = tidy(by_year.encode())[0], tidy("\n".join(moved).encode())[0]
    pd.testing.assert_frame_equal(a, b)


def test_a_release_over_final_votes_alone_is_read_and_named() -> None:
    # Columns of the data set's version 39, of July 2026.
    moved = ["ccode,iso3c,Countryname,year,NVotesFP,IdealPointFP"]
    rows = [line.split("\t") for line in text().splitlines()[1:]]
    moved += [f"1,{c},x,{y},50,{v}" for c, y, v in rows]
    over_all, quiet = tidy(text().encode())
    table, warnings = tidy("\n".join(moved).encode())
    pd.testing.assert_frame_equal(table, over_all)
    assert [w for w in warnings if "final votes alone" in w] and quiet == warnings[:1]
    # Never in place of the series over all votes, also where that has no value.
    both = text([("TUV", 2024, None)], heading="iso3c\tyear\tidealpointall\tidealpointfp")
    assert "TUV" not in set(tidy(both.replace("\t\n", "\t\t0.5\n").encode())[0]["iso3"])


def test_a_changed_release_fails_loudly() -> None:
    with pytest.raises(SourceError, match="YUG.*corrections"):
        tidy(text(drop=("YUG",)).encode())
    with pytest.raises(SourceError, match="SRB beside"):
        tidy(text([("SRB", 2005, 0.1)]).encode())
    with pytest.raises(SourceError, match="two ideal points of CHN in 2001"):
        tidy(text([("CHN", 2001, 0.1)]).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>gateway</body></html>",
        b"iso3c\tyear\tidealpointall\nCHN\t2001\t0.5\n",
        text([("CHN", 2001, "high")]).encode(),
        text([("CHN", 2001, 99.0)]).encode(),
        text([("CHN", 1, 0.5)]).encode(),
        text(heading="country\tyear\tvalue").encode(),
    ],
)
def test_what_is_no_such_table_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read(content)


def listing(*names: str) -> bytes:
    files = [{"dataFile": {"id": i, "filename": n}} for i, n in enumerate(names, 100)]
    return json.dumps({"data": {"latestVersion": {"files": files}}}).encode()


def test_the_newest_country_file_of_the_data_set_is_taken(serve: Any, quick_client: Any) -> None:
    names = [
        "AgreementScoresAll_Jun2024.csv",
        "IdealpointestimatesAll_Jun2024.csv",
        "IdealpointsJuly2025.tab",
        "IdealPointDyads1946-2025.csv",
        "UNVotes.RData",
    ]
    assert pick_file(listing(*names)) == "102"
    final = "IdealpointestimatesFP_Jul2026.csv"
    assert pick_file(listing(final, *names)) == "103"
    assert pick_file(listing("AgreementScores.csv", final)) == "101"
    with pytest.raises(ValueError, match="no file of ideal points"):
        pick_file(listing("readme.txt"))

    def answer(path: str, query: dict[str, str]) -> Any:
        body = listing(*names) if "persistentId" in path else text().encode()
        return 200, {}, body

    service = serve(answer)
    client = quick_client({"MLCOOP_UNVOTES_URL": service.base})
    fetch(client)
    assert service.paths[-1] == "/api/access/datafile/102"
    fetch(client)
    assert len(service.paths) == 2


def test_a_mirror_without_the_listing_serves_the_file_alone(
    standin: Any, quick_client: Callable, shared_data: Path
) -> None:
    client = quick_client(standin.environ())
    table, _ = tidy(fetch(client)[0].content)
    raw = pd.read_csv(shared_data / "un_ideal_points.csv.gz", keep_default_na=False)
    raw = raw[~raw["iso3"].isin(FORMER)]
    raw = raw[(raw["iso3"] != "YUG") | (raw["year"] >= 1993)]
    raw["iso3"] = raw["iso3"].replace("YUG", "SRB")
    expected = raw.sort_values(["iso3", "year"])["ideal_point"].tolist()
    assert table["value"].tolist() == expected
    again = quick_client(standin.environ())
    fetch(again)
    assert again.sent == 0
