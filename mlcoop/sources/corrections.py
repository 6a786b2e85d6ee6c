"""What the providers are known to have wrong, or to write otherwise than ISO 3166 does.

Each entry has its reason and what the source is expected to hold. A source that has been
repaired no longer holds it, and reading it then fails loudly, so that a correction cannot
outlive its error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlcoop.errors import SourceError


@dataclass(frozen=True)
class Recode:
    """A code of a source and the country it stands for.

    Attributes
    ----------
    code : str
        As the source writes it; expected in the source.
    iso3 : str or None
        ISO 3166 code in its place; None leaves the rows out.
    since : int or None
        Rows of earlier years are another state's and are left out.
    """

    source: str
    code: str
    iso3: str | None
    reason: str
    since: int | None = None


RECODES: tuple[Recode, ...] = (
    Recode("cepii", "ROM", "ROU", "Romania's code until 2002"),
    Recode("cepii", "ZAR", "COD", "Zaire's code; DR Congo since 1997"),
    Recode("cepii", "TMP", "TLS", "East Timor's code; Timor-Leste since 2002"),
    Recode("cepii", "PAL", "PSE", "CEPII's own code for Palestine; ISO 3166 has PSE"),
    Recode(
        "cepii",
        "YUG",
        "SRB",
        "Serbia and Montenegro together, measured at Belgrade; taken for Serbia. Montenegro has "
        "no rows of its own: see SUPPLEMENTS",
    ),
    Recode("cepii", "ANT", None, "Netherlands Antilles, dissolved in 2010; no country has it"),
    Recode("unvotes", "DDR", None, "East Germany, until 1990"),
    Recode("unvotes", "CSK", None, "Czechoslovakia, until 1992"),
    Recode("unvotes", "YAR", None, "North Yemen, until 1990; the united Yemen is YEM"),
    Recode(
        "unvotes",
        "YUG",
        "SRB",
        "Serbia and Montenegro's seat, then Serbia's, to this day; until 1992 the larger "
        "Yugoslavia's",
        since=1993,
    ),
)

# BACI's own numeric codes, where they are not ISO 3166's: customs territories of the United
# Nations' trade statistics, from BACI's table of countries. Belgium-Luxembourg (58), the Southern
# African Customs Union (711) and other states that are no more are left out and named.
BACI_CODES: dict[int, str] = {
    251: "FRA",  # with Monaco
    490: "TWN",  # "Other Asia, not elsewhere specified"
    579: "NOR",  # with Svalbard
    699: "IND",  # without Sikkim
    736: "SDN",  # with South Sudan, until 2011
    757: "CHE",  # with Liechtenstein
    842: "USA",  # with Puerto Rico
    891: "SRB",  # with Montenegro, until 2005; as CEPII's ties and the United Nations' YUG
}

# Countries that CEPII GeoDist does not have, with why. Their distances, borders and official
# languages are computed from GeoNames and CLDR instead (`geography.ties`); the ties that those do
# not know stay missing, but for FORMER_UNIONS. On the 25,000 pairs that both have, the median
# difference of distances is 0.1 % (99 % of them within 18 %), 12 of 308 borders differ (three of
# them are MOVED_BORDERS), and one pair in 25 on the official language.
SUPPLEMENTS: dict[str, str] = {
    "MNE": "Montenegro, independent since 2006; in CEPII a part of YUG, measured at Belgrade",
    "SSD": "South Sudan, independent since 2011; in CEPII a part of SDN",
    "XKX": "Kosovo, declared independent in 2008; in CEPII a part of YUG",
}

# Borders of CEPII GeoDist that went to a country of SUPPLEMENTS, with whose they are. Ties are the
# same in all years, and these countries are partners of their own in all years: their borders,
# which come from GeoNames, are not Sudan's or Serbia's as well. Sudan still borders the Central
# African Republic, Serbia still North Macedonia.
MOVED_BORDERS: dict[tuple[str, str], str] = {
    ("COD", "SDN"): "DR Congo borders South Sudan",
    ("KEN", "SDN"): "Kenya borders South Sudan",
    ("SDN", "UGA"): "Uganda borders South Sudan",
    ("ALB", "SRB"): "Albania borders Montenegro and Kosovo",
}

# States whose parts CEPII counts as once one country, where a part is in SUPPLEMENTS.
FORMER_UNIONS: dict[str, tuple[str, ...]] = {
    "Sudan, until 2011": ("SDN", "SSD"),
    "Yugoslavia, until 1992": ("BIH", "HRV", "MKD", "MNE", "SRB", "SVN", "XKX"),
}

# Codes that may appear in a release and stand for no country of ours. Not expected, so their
# absence is no repair; anything outside this list and ISO 3166 is named in a warning.
NO_COUNTRY: dict[str, dict[str, str]] = {
    "worldbank": {
        "CHI": "Channel Islands: ISO 3166 has Guernsey and Jersey apart",
    },
    "unvotes": {
        "YMD": "South Yemen, until 1990",
        "YPR": "South Yemen, until 1990",
        "VDR": "South Vietnam",
        "EAZ": "Zanzibar, 1963",
        "ZZB": "Zanzibar, 1963",
    },
}

# Old or non-ISO codes that the World Bank's own tables and its governance indicators have used.
WORLDBANK_ALIASES: dict[str, str] = {
    "ADO": "AND",
    "GBM": "IMN",
    "IMY": "IMN",
    "KSV": "XKX",
    "KOS": "XKX",
    "ROM": "ROU",
    "TMP": "TLS",
    "WBG": "PSE",
    "ZAR": "COD",
}

# Country groups that the World Bank mixes with countries, by their three-letter codes.
_GROUPS_ISO3 = """
AFE AFR AFW AFX ARB BEA BEC BHI BLA BMN BSS CAA CEA CEB CEU CLA CME CSA CSS DEA DEC DLA DMN DNS
DSA DSF DSS EAP EAR EAS ECA ECS EMU EUU FCS FXS HIC HPC IBB IBD IBT IDA IDB IDX INX LAC LCN LCR
LDC LIC LMC LMY LTE MDE MEA MIC MNA NAC NAF NRS NXS OED OSS PRE PSS PST RRS SAS SSA SSF SST SXZ
TEA TEC TLA TMN TSA TSS UMC WLD XZN
"""
# The same groups by two-letter code: their three-letter code is often left empty.
_GROUPS_ISO2 = """
1A 1W 4E 6F 6N 6X 7E 8S A1 A2 A3 A4 A5 A9 B1 B2 B3 B4 B6 B7 B8 C4 C5 C6 C7 C8 C9 D2 D3 D4 D5 D6 D7
D8 D9 EU F1 F6 M1 M2 N6 OE R6 S1 S2 S3 S4 T2 T3 T4 T5 T6 T7 V1 V2 V3 V4 V5 XC XD XE XF XG XH XI XJ
XL XM XN XO XP XQ XT XU XY Z4 Z7 ZB ZF ZG ZH ZI ZJ ZQ ZT
"""
WORLDBANK_AGGREGATES = frozenset(_GROUPS_ISO3.split())
WORLDBANK_AGGREGATES_ISO2 = frozenset(_GROUPS_ISO2.split())


def recodes(source: str, found: Iterable[str]) -> dict[str, Recode]:
    """Return the source's codes to put right, after making sure that they are still wrong.

    Parameters
    ----------
    found : iterable of str
        Every code that the source's answer holds.

    Raises
    ------
    SourceError
        When a code that is expected is gone: the source was repaired or changed.
    """
    codes = set(found)
    wanted = {r.code: r for r in RECODES if r.source == source}
    gone = sorted(set(wanted) - codes)
    if gone:
        raise SourceError(
            f"{source}: expected its code {gone[0]} ({wanted[gone[0]].reason}) and did not find "
            "it; the source has changed, so this correction must be looked at again "
            "(mlcoop/sources/corrections.py)"
        )
    repaired = sorted(r.iso3 for r in wanted.values() if r.iso3 and r.iso3 in codes)
    if repaired:
        raise SourceError(
            f"{source}: holds {repaired[0]} beside the old code for it; the source has changed, "
            "so this correction must be looked at again (mlcoop/sources/corrections.py)"
        )
    return wanted


def note(where: str, wanted: dict[str, Recode]) -> str:
    """Return one line that says which codes were put right and which left out."""
    right = ", ".join(
        f"{r.code} to {r.iso3}" + (f" from {r.since}" if r.since else "")
        for r in wanted.values()
        if r.iso3
    )
    out = ", ".join(sorted(r.code for r in wanted.values() if not r.iso3))
    return f"{where}: codes put right: {right}; left out: {out}"
