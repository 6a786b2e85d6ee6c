"""Counts from a snapshot. Truth: the obvious count, a work at a time, and hand calculation."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlcoop.countries import iso3_of
from mlcoop.errors import ConfigError, DataError
from mlcoop.features.build import build_features
from mlcoop.features.catalogue import FACTORS
from mlcoop.panel import build_panel, pairs_among
from mlcoop.sources import geography
from mlcoop.sources.openalex.api import DOMAINS, Filters

pytest.importorskip("duckdb", reason="needs the snapshot extra")
from mlcoop.sources.openalex import snapshot
from mlcoop.sources.openalex.snapshot import aggregate
from mlcoop.sources.openalex.snapshot_counts import highly_cited_shares, read_counts


def work(*authors: str, year: int = 2019, field: str | None = "3", **more: Any) -> dict:
    """A work of OpenAlex's shape; an author is their countries, such as "CN" or "CN DE"."""
    return {
        "id": "https://openalex.org/W1",
        "title": 'a "title"\twith, marks',
        "publication_year": year,
        "type": more.get("type", "article"),
        "is_retracted": more.get("retracted", False),
        "is_paratext": more.get("paratext", False),
        "is_xpac": more.get("xpac", False),
        "authorships": [
            {"author": {"id": "A1"}, "countries": a.split(), "institutions": []} for a in authors
        ],
        "primary_topic": field
        and {"id": "T1", "domain": {"id": f"https://openalex.org/domains/{field}"}},
        "citation_normalized_percentile": {
            "value": 0.5,
            "is_in_top_10_percent": more.get("top", False),
        },
    }


def write(root: Path, works: list[dict], name: str, ending: str = ".gz") -> Path:
    path = root / "updated_date=2026-01-01" / f"{name}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".parquet":
        pd.DataFrame(works).to_parquet(path)
    else:
        text = "".join(json.dumps(w) + "\n" for w in works).encode()
        path.write_bytes(gzip.compress(text) if ending == ".gz" else text)
    return path


def random_works(n: int, seed: int) -> list[dict]:
    draw = random.Random(seed)
    codes = ["CN", "US", "DE", "NA", "XK", "TW", "FR"]
    works = []
    for _ in range(n):
        authors = [
            " ".join(draw.sample(codes, draw.choice([0, 1, 1, 1, 2])))
            for _ in range(draw.choice([1, 2, 3, 6]))
        ]
        works.append(
            work(
                *authors,
                year=draw.choice([2018, 2019, 2020]),
                field=draw.choice(["1", "2", "3", "4", None]),
                type=draw.choice(["article", "article", "book"]),
                top=draw.random() < 0.2,
                retracted=draw.random() < 0.05,
                paratext=draw.random() < 0.05,
                xpac=draw.random() < 0.05,
            )
        )
    return works


def obvious(works: list[dict], filters: Filters, counting: str) -> dict[tuple, float]:
    """Count a work at a time, as one would explain it."""
    found: dict[tuple, float] = defaultdict(float)
    for w in works:
        if w["is_retracted"] or w["is_paratext"] or w["is_xpac"]:
            continue
        topic = w["primary_topic"]
        field = topic["domain"]["id"].rsplit("/", 1)[-1] if topic else None
        if filters.field != "all" and field != DOMAINS[filters.field]:
            continue
        if filters.types == "article" and w["type"] != "article":
            continue
        if filters.highly_cited and not w["citation_normalized_percentile"]["is_in_top_10_percent"]:
            continue
        countries = {iso3_of(c) for a in w["authorships"] for c in a["countries"]}
        for a, b in combinations(sorted(countries), 2):
            weight = 1.0 if counting == "full" else 1 / (len(countries) - 1)
            found[a, b, w["publication_year"]] += weight
    return dict(found)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict], Path]:
    root = tmp_path_factory.mktemp("works")
    works = random_works(900, seed=1)
    write(root, works[:300], "part_000")
    write(root, works[300:700], "part_001", ".jsonl")
    write(root, works[700:], "part_002", ".parquet")
    out = tmp_path_factory.mktemp("counts")
    aggregate(root, out)
    return works, out


@pytest.mark.parametrize("counting", ["full", "fractional"])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(field="physical"),
        Filters(field="health", types="article"),
        Filters(highly_cited=True),
    ],
)
def test_the_counts_are_the_obvious_ones(
    made: tuple[list[dict], Path], filters: Filters, counting: str
) -> None:
    works, out = made
    expected = obvious(works, filters, counting)
    table = read_counts(out, filters, counting=counting).table
    got = {(r.country_a, r.country_b, r.year): r.works for r in table.itertuples()}
    # Sums of at most 900 weights in another order: equal to far within 1e-9.
    assert got == pytest.approx(expected, abs=1e-9) and len(got) > 20


def test_fractional_counts_never_exceed_full_ones_and_sum_to_international_works(
    made: tuple[list[dict], Path],
) -> None:
    full, part = (read_counts(made[1], counting=c) for c in ("full", "fractional"))
    assert (part.table["works"] <= full.table["works"] + 1e-9).all()
    sums: dict[tuple, float] = defaultdict(float)
    for r in part.table.itertuples():
        sums[r.country_a, r.year] += r.works
        sums[r.country_b, r.year] += r.works
    for r in part.totals.itertuples():
        assert sums[r.iso3, r.year] == pytest.approx(r.value, abs=1e-9)


def test_by_hand(tmp_path: Path) -> None:
    works = [
        work("CN", "DE", "DE US"),  # three countries: full 1 each, fractional 1/2 each
        work("CN", "DE"),  # two: 1 and 1
        work("CN", "CN"),  # one: no pair
        work("CN", "DE", retracted=True),
        work("CN DE", paratext=True),
        work(),
    ]
    write(tmp_path / "in", works, "part_000")
    done = aggregate(tmp_path / "in", tmp_path / "out")
    assert done.links == 4
    full = read_counts(tmp_path / "out")
    key = full.table.set_index(["country_a", "country_b"])["works"].to_dict()
    assert key == {("CHN", "DEU"): 2, ("CHN", "USA"): 1, ("DEU", "USA"): 1}
    part = read_counts(tmp_path / "out", counting="fractional").table["works"].tolist()
    assert part == [1.5, 0.5, 0.5]
    assert full.totals.set_index("iso3")["value"].to_dict() == {"CHN": 2, "DEU": 2, "USA": 1}
    assert ("USA", 2019) in set(full.covered.itertuples(index=False, name=None))


def test_a_fractional_past_of_a_pair_does_not_enter_its_countries_works_with_others(
    tmp_path: Path,
) -> None:
    """By hand: the pair has a part in 3 of China's 5 international works, whatever they weigh."""
    works = [
        *[work("CN", "DE", "US", year=y) for y in (2018, 2019) for _ in range(2)],
        *[work("CN", "DE", year=y) for y in (2018, 2019)],
        *[work("CN", "US", year=y) for y in (2018, 2019) for _ in range(2)],
    ]
    write(tmp_path / "in", works, "part_000")
    aggregate(tmp_path / "in", tmp_path / "out")
    pairs = pairs_among(["CHN", "DEU", "USA"])
    for counting, weight in (("full", 3.0), ("fractional", 2.0)):
        counts = read_counts(tmp_path / "out", counting=counting)
        panel = build_panel(
            counts.table,
            counts.covered,
            counts.totals,
            geography.ties(["CHN", "DEU", "USA"]),
            pairs=pairs,
            focus=pairs,
            years=(2018, 2019),
        )
        factors = [FACTORS["works_with_others"]]
        built = build_features(panel.table, factors=factors, years=[2019], focal="CHN")
        at = built.rows["partner"].eq("DEU") & built.rows["focal"].eq("CHN")
        assert built.rows.loc[at, "works"].tolist() == [weight]  # 2 * 1/2 + 1
        own = built.X.loc[at, "works_with_others_focal"]
        assert np.expm1(own).tolist() == pytest.approx([2.0], abs=1e-5)


def test_a_country_without_a_work_in_a_year_has_no_international_ones(tmp_path: Path) -> None:
    works = [work("CN", "DE", year=2018), work("CN", "US", year=2019)]
    write(tmp_path / "in", works, "part_000")
    aggregate(tmp_path / "in", tmp_path / "out")
    totals = read_counts(tmp_path / "out").totals.set_index(["iso3", "year"])["value"]
    assert totals["USA", 2018] == totals["DEU", 2019] == 0 and len(totals) == 6


def test_works_of_centuries_that_no_study_has_stand_in_nobodys_way(tmp_path: Path) -> None:
    old = [work("GB", year=1665), work("GB", "FR", year=1790)]
    write(tmp_path / "in", [*old, work("GB", "FR")], "part_000")
    aggregate(tmp_path / "in", tmp_path / "out")
    counts = read_counts(tmp_path / "out")
    assert counts.table["year"].tolist() == [2019] and set(counts.covered["year"]) == {2019}
    assert set(highly_cited_shares(tmp_path / "out")["year"]) == {2019}


def test_shares_of_highly_cited_works_by_hand(tmp_path: Path) -> None:
    works = [
        *[work("CN", "DE", top=i < 3) for i in range(4)],  # international: 3 of 4
        *[work("CN", top=i < 1) for i in range(5)],  # China alone: 1 of 5
    ]
    write(tmp_path / "in", works, "part_000")
    aggregate(tmp_path / "in", tmp_path / "out")
    table = highly_cited_shares(tmp_path / "out").set_index("iso3")
    china, germany = table.loc["CHN"], table.loc["DEU"]
    assert china["share_international"] == 0.75 and china["share_domestic"] == 0.2
    assert germany["share_international"] == 0.75 and pd.isna(germany["share_domestic"])
    # Other types and fields: a review and a work of another domain, both highly cited.
    more = [work("CN", "DE", top=True, type="review"), work("CN", "DE", top=True, field="1")]
    write(tmp_path / "in", more, "part_001")
    aggregate(tmp_path / "in", tmp_path / "out")
    for filters, of in (
        (Filters(), (6, 5)),
        (Filters(types="article"), (5, 4)),
        (Filters(field="physical"), (5, 4)),
        (Filters(types="article", field="physical"), (4, 3)),
    ):
        china = highly_cited_shares(tmp_path / "out", filters).set_index("iso3").loc["CHN"]
        assert (china["international"], china["share_international"]) == (of[0], of[1] / of[0])


def test_a_run_that_was_cut_off_goes_on_and_reads_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    works = random_works(200, seed=2)
    for i in range(4):
        write(root, works[50 * i : 50 * i + 50], f"part_{i:03}")
    read: list[str] = []
    count_file = snapshot._count_file

    def killed(connection: Any, file: Path, part: Path) -> None:
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(file.name)
        count_file(connection, file, part)

    monkeypatch.setattr(snapshot, "_count_file", killed)
    with pytest.raises(KeyboardInterrupt):
        aggregate(root, out)
    assert not (out / "pairs.parquet").exists()
    monkeypatch.undo()
    done = aggregate(root, out)
    assert (done.files, done.read) == (4, 2)
    expected = obvious(works, Filters(), "full")
    got = read_counts(out).table
    assert got["works"].sum() == sum(expected.values())
    assert aggregate(root, out).read == 0
    # A file that changed is counted again, and no longer as it was.
    write(root, works[:10], "part_000")
    assert aggregate(root, out).read == 1
    shorter = obvious(works[:10] + works[50:], Filters(), "full")
    assert read_counts(out).table["works"].sum() == sum(shorter.values())


def test_worker_count_changes_no_number(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / "in", random_works(60, 10 + i), f"part_{i:03}")
    for workers in (1, 2):
        aggregate(tmp_path / "in", tmp_path / str(workers), workers=workers)
    one, two = (pd.read_parquet(tmp_path / str(n) / "pairs.parquet") for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_codes_of_no_country_are_named(tmp_path: Path) -> None:
    write(tmp_path / "in", [work("CN", "AN"), work("AN")], "part_000")
    done = aggregate(tmp_path / "in", tmp_path / "out")
    assert done.warnings == ["snapshot: left out, since no country has this code: AN (2 works)"]
    assert read_counts(tmp_path / "out").table.empty


def test_a_damaged_file_is_named_and_the_others_stay_counted(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    write(root, random_works(50, 3), "part_000")
    bad = write(root, random_works(50, 4), "part_001")
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="part_001.gz: cannot be read") as caught:
        aggregate(root, out)
    assert "\n" not in str(caught.value)
    assert len(list((out / "parts").glob("*.parquet"))) == 1
    assert not list(out.rglob("*.part"))
    bad.write_bytes(whole)
    assert aggregate(root, out).read == 1


def test_files_from_before_the_expansion_pack_are_read(tmp_path: Path) -> None:
    old = work("CN", "DE")
    del old["is_xpac"]
    write(tmp_path / "in", [old], "part_000")
    write(tmp_path / "in", [old, old], "part_001", ".parquet")
    assert aggregate(tmp_path / "in", tmp_path / "out").links == 3


def test_a_part_in_two_formats_is_refused(tmp_path: Path) -> None:
    # The layout of the bucket since 2026: each format holds all works.
    write(tmp_path / "data" / "jsonl" / "works", [work("CN", "DE")], "part_0000")
    write(tmp_path / "data" / "parquet" / "works", [work("CN", "DE")], "part_0000", ".parquet")
    with pytest.raises(ConfigError, match="the same works twice"):
        aggregate(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert aggregate(tmp_path / "data" / "parquet", tmp_path / "out").links == 1


def test_counts_inside_the_snapshots_folder_are_not_read_as_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [work("CN", "DE")], "part_0000")
    monkeypatch.chdir(tmp_path)
    assert [aggregate(tmp_path, "counts").read for _ in range(2)] == [1, 0]


def test_only_files_that_the_manifest_lists_are_read(tmp_path: Path) -> None:
    # Form of the manifest: OpenAlex's documentation of the snapshot, "The manifest files".
    root = tmp_path / "works"
    place = "s3://openalex/data/jsonl/works/updated_date=2026-01-01"
    write(root, [work("CN", "DE")], "part_0000")
    write(root, [work("CN", "DE")], "part_0007")  # of the snapshot before
    listed = [{"url": f"{place}/part_000{i}.gz", "meta": {"record_count": 1}} for i in (0, 1)]
    manifest = {"date": "2026-06-25", "format": "jsonl", "entity": "works", "files": listed}
    (root / "manifest.json").write_text(json.dumps(manifest, indent=2))
    done = aggregate(root, tmp_path / "out")
    assert (done.files, done.links) == (1, 1)
    assert "part_0007.gz" in done.warnings[0] and "1 of 2 files" in done.warnings[1]
    (root / "manifest.json").write_text(json.dumps({**manifest, "files": listed[1:]}))
    with pytest.raises(ConfigError, match="holds no file that its manifest.json lists"):
        aggregate(root, tmp_path / "out")


def test_another_kind_of_record_is_not_taken_for_works_without_authors(tmp_path: Path) -> None:
    path = tmp_path / "in" / "authors.jsonl"
    path.parent.mkdir()
    path.write_text('{"id": "A1", "display_name": "Somebody"}\n')
    with pytest.raises(DataError, match="none of its 1 lines is a work"):
        aggregate(tmp_path / "in", tmp_path / "out")
    # Nothing was counted, so nothing is left; a folder that was there stays.
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError):
        aggregate(tmp_path / "in", tmp_path / "mine")
    assert (tmp_path / "mine").is_dir() and not list((tmp_path / "mine").iterdir())


def test_nothing_to_read_and_unknown_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data/works"):
        aggregate(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="mlcoop data aggregate"):
        read_counts(tmp_path)
    with pytest.raises(ConfigError, match="neither full nor fractional"):
        read_counts(tmp_path, counting="half")


def test_a_line_longer_than_the_usual_buffer_is_read(tmp_path: Path) -> None:
    long = {**work("CN", "DE"), "title": "x" * (snapshot.LONGEST_LINES[0] + 1)}
    write(tmp_path / "in", [work("CN", "DE"), long, work("DE", "US")], "part_000")
    assert aggregate(tmp_path / "in", tmp_path / "out").links == 3


def test_authors_without_countries_and_null_ones_leave_the_others(tmp_path: Path) -> None:
    odd = work("CN", "DE CN")
    odd["authorships"] += [None, {"countries": None}, {"countries": ["US", None]}, {}]
    write(tmp_path / "in", [odd, {**work("CN"), "authorships": []}], "part_000")
    assert aggregate(tmp_path / "in", tmp_path / "out").links == 3
    table = read_counts(tmp_path / "out").table
    pairs = [("CHN", "DEU"), ("CHN", "USA"), ("DEU", "USA")]
    assert list(zip(table["country_a"], table["country_b"], strict=True)) == pairs


def test_without_duckdb_no_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "works").mkdir()
    (tmp_path / "works" / "part_000.gz").write_bytes(gzip.compress(b"{}"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"pip install -e .\.\[snapshot\]"):
        aggregate(tmp_path / "works", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_not_called_one_without_works(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="works: no such folder; give the snapshot's"):
        aggregate(tmp_path / "works", tmp_path / "out")
    (tmp_path / "works").mkdir()
    with pytest.raises(ConfigError, match="works: no works in it"):
        aggregate(tmp_path / "works", tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "works").mkdir()
    (tmp_path / "works" / "part_000.gz").write_bytes(gzip.compress(b"{}"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="file/out: cannot be written \\(Not a directory\\)"):
        aggregate(tmp_path / "works", tmp_path / "file" / "out")
