"""Any damage to an answer is refused, named, or without effect: never a wrong panel in silence.

Truth: the undamaged answer of a tiny world. A digit changed to another in a well-formed answer
cannot be told from a revision of the index by one answer alone, so such a change is drawn for a
pair that both ends' rows count, where symmetry shows it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources_tools import archive, cepii_table, openalex_answer

from mlcoop.errors import DataError, SourceError
from mlcoop.sources import cepii, unvotes, worldbank
from mlcoop.sources.openalex import collaboration
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.own import own_counts
from mlcoop.sources.service.asking import Answer, Progress, Request
from mlcoop.sources.service.cache import Record

PAIRS = {("CN", "DE"): 40, ("CN", "NA"): 30, ("CN", "US"): 90, ("DE", "US"): 60, ("NA", "US"): 25}
OWN = {"CN": 120, "DE": 95, "NA": 50, "US": 140}
NAMES = ["USA", "CHN", "DEU", "NAM"]


class Memory:
    """A client without network: checks each answer as the real one does, then gives it."""

    def __init__(self, answer: Callable[[Request], bytes]) -> None:
        self.answer = answer

    def get(self, request: Request) -> Answer:
        content = self.answer(request)
        try:
            request.check(content)
        except ValueError as error:
            raise SourceError(f"bad answer: {error}") from error
        return Answer(content, Record(request.source, "x", "", "", 0, "", "", dict(request.about)))

    def get_many(
        self,
        requests_: Sequence[Request],
        *,
        workers: int = 1,
        progress: Progress | None = None,
        what: str = "",
    ) -> list[Answer]:
        return [self.get(request) for request in requests_]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.floats(allow_nan=True),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
)


def places(node: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON document that can be damaged."""
    found = [path] if path else []
    if isinstance(node, dict):
        for key in node:
            found += places(node[key], (*path, key))
    elif isinstance(node, list):
        for i in range(len(node)):
            found += places(node[i], (*path, i))
    return found


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a damaged version of a JSON answer: cut, noise in the bytes, or another structure."""
    kind = draw(st.sampled_from(["cut", "noise", "structure", "structure", "structure"]))
    if kind == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    if kind == "noise":
        at = draw(st.integers(0, len(content) - 1))
        return content[:at] + draw(st.binary(min_size=1, max_size=3)) + content[at + 1 :]
    body = copy.deepcopy(json.loads(content))
    path = draw(st.sampled_from(places(body)))
    parent = body
    for step in path[:-1]:
        parent = parent[step]
    change = draw(st.sampled_from(["junk", "drop", "double"]))
    if change == "junk":
        parent[path[-1]] = draw(JUNK)
    elif change == "drop" or isinstance(parent, dict):
        del parent[path[-1]]
    else:
        parent.append(parent[path[-1]])
    return json.dumps(body).encode()


def row(request: Request) -> bytes:
    return openalex_answer(PAIRS, OWN, dict(request.params))


def counted(answer: Callable[[Request], bytes]) -> collaboration.Counts:
    return collaboration.counts(Memory(answer), NAMES, [2019], Filters(), focal=NAMES)


CLEAN = counted(row)


def test_the_undamaged_world_is_neither_empty_nor_suspicious() -> None:
    assert len(CLEAN.table) == len(PAIRS) and CLEAN.warnings == []


@given(st.data())
def test_a_damaged_row_never_makes_wrong_counts_in_silence(data: st.DataObject) -> None:
    def answer(request: Request) -> bytes:
        content = row(request)
        hit = request.about["country"] == "CHN"
        return data.draw(damaged(content)) if hit else content

    try:
        got = counted(answer)
    except (SourceError, DataError) as error:
        assert "\n" not in str(error)
        return
    if got.warnings:
        return
    pd.testing.assert_frame_equal(got.table, CLEAN.table)
    pd.testing.assert_frame_equal(got.covered, CLEAN.covered)
    # The country's own total stands in no other row; gather compares it with the year's list.


def page(number: Any) -> bytes:
    values = [
        {
            "indicator": {"id": "NY.GDP.MKTP.KD"},
            "country": {"id": iso2},
            "countryiso3code": iso3,
            "date": str(year),
            "value": number + year,
        }
        for iso3, iso2 in (("CHN", "CN"), ("NAM", "NA"), ("WLD", "1W"))
        for year in (2018, 2019)
    ]
    return json.dumps([{"page": 1, "pages": 1, "total": len(values)}, values]).encode()


@given(st.data())
def test_a_damaged_indicator_page_is_refused_or_well_formed(data: st.DataObject) -> None:
    content = data.draw(damaged(page(0.5)))
    client = Memory(lambda request: content)
    try:
        (answer,) = client.get_many(
            [worldbank.requests_for("NY.GDP.MKTP.KD", "gdp_usd2015", 2018, 2019)]
        )
        table, warnings = worldbank.tidy([answer.content], "gdp_usd2015")
    except (SourceError, DataError) as error:
        assert "\n" not in str(error)
        return
    # Whatever came through is at most the six values, of countries only, each a finite number.
    assert set(table["iso3"]) <= {"CHN", "NAM"} or warnings
    assert len(table) <= 4 and table["value"].notna().all()


@given(st.data())
def test_a_damaged_file_of_ideal_points_is_refused_or_well_formed(data: st.DataObject) -> None:
    codes = ["CHN", "USA", "YUG", "DDR", "CSK", "YAR"] + ["DEU", "NAM", "FRA"] * 1
    lines = [f"{c}\t{y}\t0.5" for c in codes for y in range(1890 + 56, 2024 + 40)]
    content = ("iso3c\tyear\tidealpointall\n" + "\n".join(lines)).encode()
    at = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["cut", "noise"]))
    noise = data.draw(st.binary(min_size=1, max_size=3))
    content = content[:at] if kind == "cut" else content[:at] + noise + content[at + 1 :]
    try:
        Memory(lambda request: content).get(unvotes.file_request("1"))
        table, _ = unvotes.tidy(content)
    except (SourceError, DataError) as error:
        assert "\n" not in str(error)
        return
    assert table["value"].abs().max() <= 10
    assert not table.duplicated(["iso3", "year"]).any()


@pytest.mark.parametrize("change", [-1, 1])
def test_a_changed_digit_is_named_where_both_ends_count(change: int) -> None:
    def answer(request: Request) -> bytes:
        pairs = PAIRS | {("CN", "DE"): 40 + change * (request.about["country"] == "CHN")}
        return openalex_answer(pairs, OWN, dict(request.params))

    assert any("CHN-DEU 2019" in line for line in counted(answer).warnings)


LONG = "year,country_a,country_b,works\n2019,CN,Germany,40\n2019,NA,US,25\n2020,Germany,CN,44\n"
KNOWN = {"CN": "CHN", "Germany": "DEU", "NA": "NAM", "US": "USA"}
CELLS = ["", " ", "-1", "1e99", "0", "7", "x", "NA", "CN", "US", "2019", "nan", "\t", '"', "\u0000"]


@given(st.data())
def test_a_users_damaged_table_is_refused_or_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Truth: the damaged text read by the plainest means."""
    rows = [line.split(",") for line in LONG.splitlines()]
    for _ in range(data.draw(st.integers(1, 2))):
        i = data.draw(st.integers(0, len(rows) - 1))
        kind = data.draw(st.sampled_from(["cell", "drop cell", "drop row", "double row", "column"]))
        if kind == "cell" and rows[i]:
            rows[i][data.draw(st.integers(0, len(rows[i]) - 1))] = data.draw(st.sampled_from(CELLS))
        elif kind == "drop cell" and rows[i]:
            rows[i].pop()
        elif kind == "column":
            rows = [[*row, "9"] for row in rows]
        elif kind == "double row":
            rows.append(list(rows[i]))
        elif len(rows) > 1:
            rows.pop(i)
    path = tmp_path_factory.mktemp("own") / "counts.csv"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    try:
        table = own_counts.read(path).table
    except DataError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
        return
    plainly = []
    for year, a, b, works in rows[1:]:
        ends = sorted(KNOWN[end.strip()] for end in (a, b))
        plainly.append((*ends, int(float(year)), float(works)))
    assert sorted(plainly) == list(table.itertuples(index=False, name=None))


DISTANCES = cepii_table()
CLEAN_TIES, CLEAN_NOTES = cepii.tidy(archive(DISTANCES))


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_a_damaged_table_of_distances_is_refused_named_or_without_effect(
    data: st.DataObject,
) -> None:
    raw = DISTANCES.astype(object)
    row = data.draw(st.integers(0, len(raw) - 1))
    column = data.draw(st.sampled_from(list(raw.columns)))
    kind = data.draw(st.sampled_from(["cell", "column", "row", "bytes"]))
    if kind == "column":
        raw = raw.drop(columns=column)
    elif kind == "row":
        raw = raw.drop(index=row)
    elif kind == "cell":
        junk = st.sampled_from(["", "x", -5, 1e12, "CHN", 0, 1, ".", None])
        raw.loc[row, column] = data.draw(junk)
    content = archive(raw)
    if kind == "bytes":
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
    try:
        cepii.read(content)
        ties, notes = cepii.tidy(content)
    except (ValueError, SourceError, DataError) as error:
        assert "\n" not in str(error) or isinstance(error, ValueError)
        return
    if notes == CLEAN_NOTES:
        pd.testing.assert_frame_equal(ties, CLEAN_TIES)
