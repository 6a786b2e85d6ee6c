"""What a study asks, in a sentence made from its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcoop.countries import is_iso3
from mlcoop.report.names import country_name, listing, number

# Words of the groups' names that are initials.
ACRONYMS = {
    "apec", "apta", "asean", "brics", "caricom", "cefta", "cemac", "ceec", "cis", "comesa",
    "cptpp", "dr", "eac", "eaeu", "ecowas", "eea", "efta", "eu", "eu15", "eu28", "g20", "g7",
    "gafta", "gcc", "oecd", "oic", "p4", "rcep", "saarc", "sacu", "sadc", "safta", "sco", "usmca",
    "waemu",
}  # fmt: skip


def about(config: Mapping[str, Any]) -> str:
    """Return the focus set in words.

    >>> about({"focus": {"focal": "CHN", "partners": "belt-and-road"}})
    'China and the Belt and Road countries'
    >>> about({"focus": {"partners": ["asean", "KOR"]}})
    'the ASEAN countries and South Korea'
    """
    focus = config.get("focus") or {}
    focal, partners = focus.get("focal"), focus.get("partners")
    if config.get("panel"):
        return "the pairs of the panel"
    if not focal:
        return "all pairs of the training set" if not partners else _partners(partners)
    return f"{country_name(str(focal))} and {_partners(partners)}"


def _cased(word: str) -> str:
    if word == "and":
        return word
    return word.upper() if word in ACRONYMS else word.capitalize()


def _partners(partners: Any) -> str:
    given = [partners] if isinstance(partners, str) else partners or []
    return listing([_partner(str(p)) for p in given]) or "its partners"


def _partner(name: str) -> str:
    """Return a country, or a group of countries, in words; plans spell them in codes and keys."""
    if is_iso3(name):
        return country_name(name)
    return f"the {' '.join(_cased(w) for w in name.split('-'))} countries"


def asked(
    config: Mapping[str, Any], coverage: Mapping[str, Any], simulated: bool, forecast: bool
) -> str:
    """Return the study's question with its years, pairs and what is counted."""
    years = coverage.get("years") or []
    when = f", {years[0]}–{years[1]}" if len(years) == 2 else ""
    target = config.get("target") or {}
    field = target.get("field") or "all"
    of = "" if field == "all" else f" in {field} sciences" if field != "health" else " in health"
    cited = "highly cited " if target.get("highly_cited") else ""
    works = f"{cited}co-authored works"
    what = f"simulated {works}" if simulated else f"{works}{of}"
    counting = f", {target['counting']} counting" if target.get("counting") else ""
    pairs, focus = coverage.get("pairs"), coverage.get("focus_pairs")
    ahead = ", and how many works are expected next year" if forecast else ""
    size = f" The panel holds {number(pairs)} pairs" if pairs else ""
    if size and focus and focus != pairs:
        size += f", of which {number(focus)} are the focus pairs that the question is about"
    return (
        f"Which factors are associated with the number of {what} of {about(config)}{when}"
        f"{counting}{ahead}?{size}{'.' if size else ''}"
    )
