"""Answers in the shapes of the real services, from tables in plain sight."""

from __future__ import annotations

import json


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
