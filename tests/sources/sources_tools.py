"""Answers in the shapes of the real services, from tables in plain sight."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Callable

import pandas as pd
import pycountry

from mlcoop.sources.cepii import NAMES
from mlcoop.sources.corrections import MOVED_BORDERS, RECODES, SUPPLEMENTS


def openalex_answer(
    pairs: dict[tuple[str, str], int],
    own: dict[str, int],
    query: dict[str, str],
    *,
    page: int = 200,
    years: dict[str, int] | None = None,
) -> bytes:
    """Answer as OpenAlex does from a small matrix of ISO2 codes, the same in every year."""
    clauses = dict(c.split(":", 1) for c in query["filter"].split(","))
    if query["group_by"] == "publication_year":
        lo, hi = (int(y) for y in clauses["publication_year"].split("-"))
        me = clauses.get("authorships.countries")
        held = years if years is not None else {str(y): 1000 for y in range(lo, hi + 1)}
        if me:
            held = dict.fromkeys(held, own.get(me, 0)) if own.get(me) else {}
        groups = {y: n for y, n in held.items() if lo <= int(y) <= hi}
        works = sum(groups.values())
    elif "authorships.countries" in clauses:
        me = clauses["authorships.countries"]
        works = own.get(me, 0)
        groups = {me: works} if works else {}
        groups |= {(b if a == me else a): n for (a, b), n in pairs.items() if me in (a, b) and n}
    else:
        groups, works = {c: n for c, n in own.items() if n}, sum(own.values())
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    cursor = query.get("cursor")
    start = 0 if cursor in (None, "*") else int(cursor)
    shown = ordered[start : start + page]
    more = cursor is not None and start + page < len(ordered)
    is_year = query["group_by"] == "publication_year"
    key = "{}" if is_year else "https://openalex.org/countries/{}"
    body = {
        "meta": {
            "count": works,
            "page": None if cursor else 1,
            "per_page": page,
            "groups_count": len(shown),
            "next_cursor": str(start + page) if more else None,
        },
        "results": [],
        "group_by": [{"key": key.format(k), "key_display_name": k, "count": n} for k, n in shown],
    }
    return json.dumps(body).encode()


INSTITUTION = {
    "id": "https://openalex.org/I27837315",
    "ror": "https://ror.org/0130frc33",
    "display_name": "Middle <b>East</b> University, Ankara",
    "country_code": "TR",
}
KNOWN_AS = ("I27837315", "I11111", "ror:0130frc33")


class InstitutionService:
    """OpenAlex with one institution: its works are a share of its country's, by a rule.

    With partner p it has `share(p)` of the works that its country has with p, rounded; its
    international works are three fifths of the sum, and all its works four times those. All other
    questions go on to `behind`, an OpenAlex that answers for countries.
    """

    def __init__(self, behind: Callable[[str], bytes]) -> None:
        self.behind = behind

    @staticmethod
    def share(iso2: str) -> float:
        return 0.02 + 0.1 * (sum(map(ord, iso2)) % 7) / 7

    def row(self, year: str) -> dict[str, int]:
        """Works by partner, ISO2, without its own country."""
        country = INSTITUTION["country_code"]
        query = f"filter=authorships.countries:{country},publication_year:{year}"
        body = json.loads(self.behind(f"{query}&group_by=authorships.countries&cursor=*"))
        keys = ((g["key"].rsplit("/", 1)[-1], g["count"]) for g in body["group_by"])
        row = {k: round(n * self.share(k)) for k, n in keys if k != country}
        return {k: n for k, n in row.items() if n}

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/institutions/"):
            if path.removeprefix("/institutions/") not in KNOWN_AS:
                return 404, {}, b'{"error": "not found"}'
            return 200, {}, json.dumps(INSTITUTION).encode()
        clauses = dict(c.split(":", 1) for c in query["filter"].split(","))
        if "authorships.institutions.lineage" not in clauses:
            return 200, {}, self.behind("&".join(f"{k}={v}" for k, v in query.items()))
        assert clauses["authorships.institutions.lineage"] == "I27837315"
        assert clauses["is_paratext"] == clauses["is_retracted"] == "false"
        if query["group_by"] == "publication_year":
            lo, hi = map(int, clauses["publication_year"].split("-"))
            times = 1 if clauses.get("countries_distinct_count") == ">1" else 4
            series = {y: times * self.works(str(y)) for y in range(lo, hi + 1)}
            groups = [(str(y), n) for y, n in series.items() if n]
            return 200, {}, _grouped(sum(series.values()), groups)
        year = clauses["publication_year"]
        row = {"TR": self.works(year), **self.row(year)} if self.works(year) else {}
        groups = [(f"https://openalex.org/countries/{k}", n) for k, n in row.items()]
        return 200, {}, _grouped(self.works(year), groups)

    def works(self, year: str) -> int:
        """Its international works in a year."""
        return round(0.6 * sum(self.row(year).values()))


def _grouped(works: int, groups: list[tuple[str, int]]) -> bytes:
    meta = {"count": works, "page": 1, "per_page": 200, "groups_count": len(groups)}
    listed = [{"key": k, "key_display_name": k, "count": n} for k, n in groups]
    return json.dumps({"meta": meta, "results": [], "group_by": listed}).encode()


CEPII_OLD = {r.iso3: r.code for r in RECODES if r.source == "cepii" and r.iso3}


def cepii_table() -> pd.DataFrame:
    """A file in CEPII's shape: its old codes and borders, and distances by position in the list."""
    absent = set(CEPII_OLD) | set(SUPPLEMENTS) | {"ATA", "BVT", "HMD", "IOT", "UMI", "TKL"}
    codes = sorted({c.alpha_3 for c in pycountry.countries} - absent) + [*CEPII_OLD.values(), "ANT"]
    place = {code: i for i, code in enumerate(codes)}
    pairs = list(itertools.product(codes, codes))
    out = pd.DataFrame(pairs, columns=["iso_o", "iso_d"])
    apart = (out["iso_o"].map(place) - out["iso_d"].map(place)).abs()
    for column in NAMES:
        out[column] = 10.0 * apart if column.startswith("dist") else 0
    touching = {tuple(CEPII_OLD.get(c, c) for c in pair) for pair in MOVED_BORDERS}
    touching |= {(b, a) for a, b in touching}
    out["contig"] = [int(pair in touching) for pair in pairs]
    out["distwces"] = 1.0
    return out


def archive(raw: pd.DataFrame, name: str = "dist_cepii.csv") -> bytes:
    """Pack a table as CEPII does."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as zipped:
        zipped.writestr(name, raw.to_csv(index=False))
    return target.getvalue()
