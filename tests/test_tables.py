"""Truths: founding treaties and accession lists that anyone can look up, named at each test."""

from __future__ import annotations

import itertools

import pandas as pd
import pycountry
import pytest

from mlcoop import tables
from mlcoop.countries import iso2_of
from mlcoop.errors import ConfigError
from mlcoop.features.integration_policy import trade_agreement


@pytest.mark.parametrize(
    ("year", "members"),
    [
        (1994, 12),
        (1995, 15),
        (2003, 15),
        (2004, 25),
        (2007, 27),
        (2012, 27),
        (2013, 28),
        (2020, 27),
    ],
)
def test_eu_enlargements(year: int, members: int) -> None:
    # european-union.europa.eu, "From 6 to 27 members"; the United Kingdom left in January 2020.
    assert len(tables.bloc_members("eu", year)) == members


@pytest.mark.parametrize(
    ("bloc", "members"),
    [
        # The organisations' own lists of members, end of 2025.
        ("apec", 21),
        ("arab-league", 22),
        ("brics", 10),
        ("caricom", 14),  # fifteen with Montserrat, which has no agreement of its own
        ("commonwealth", 56),
        ("comesa", 21),
        ("cptpp", 12),
        ("eaeu", 5),
        ("eea", 30),
        ("g20", 19),
        ("g7", 7),
        ("gcc", 6),
        ("oecd", 38),
        ("oic", 57),
        ("sadc", 16),
        ("sco", 10),
    ],
)
def test_members_today(bloc: str, members: int) -> None:
    assert len(tables.bloc_members(bloc)) == members


def test_asean_accessions() -> None:
    # asean.org, member states: Brunei 1984, Viet Nam 1995, Laos and Myanmar 1997, Cambodia 1999.
    blocs = tables.load("blocs")
    entered = blocs[blocs["bloc"] == "asean"].set_index("iso3")["entered"]
    assert entered[["BRN", "VNM", "LAO", "MMR", "KHM"]].tolist() == [1984, 1995, 1997, 1997, 1999]
    assert (entered[["IDN", "MYS", "PHL", "SGP", "THA"]] == 1967).all()


def test_rcep_in_force_2022() -> None:
    # Depositary's notice: in force 1 January 2022 for ten countries, Korea and Malaysia that year,
    # Indonesia and the Philippines in 2023.
    assert tables.bloc_members("rcep", 2021) == ()
    assert "CHN" in tables.bloc_members("rcep", 2022) and "PHL" not in tables.bloc_members(
        "rcep", 2022
    )
    assert "PHL" in tables.bloc_members("rcep", 2023)


def test_chinas_trade_agreements() -> None:
    # fta.mofcom.gov.cn, years of entry into force.
    table = tables.load("agreements")
    china = table[table["party_a"] == "CHN"].set_index("party_b")["in_force"]
    expected = {"CHL": 2006, "NZL": 2008, "PER": 2010, "CRI": 2011, "CHE": 2014, "KOR": 2015}
    assert china[list(expected)].to_dict() == expected


def in_force(a: str, b: str, years: range) -> list[int]:
    """Return the years in which a trade agreement is in force between two countries."""
    pair = {"country_a": min(a, b), "country_b": max(a, b)}
    table = pd.DataFrame([{**pair, "year": year} for year in years])
    return table.loc[trade_agreement(table) == 1, "year"].tolist()


def test_pacific_alliance_counts_from_its_protocol_on_goods() -> None:
    # WTO RTA database: the Additional Protocol of 2014 entered into force on 1 May 2016. Chile's
    # agreements with Peru (1 March 2009) and Colombia (8 May 2009) came before it.
    assert tables.bloc_members("pacific-alliance", 2015) == ()
    assert tables.bloc_members("pacific-alliance", 2016) == ("CHL", "COL", "MEX", "PER")
    for partner in ("COL", "PER"):
        assert in_force("CHL", partner, range(2008, 2018)) == list(range(2009, 2018))


def test_mongolia_in_the_asia_pacific_trade_agreement() -> None:
    # fta.mofcom.gov.cn, 4 January 2021: acceded on 29 September 2020, concessions from 1 January
    # 2021.
    assert in_force("CHN", "MNG", range(2018, 2024)) == [2021, 2022, 2023]


def test_estonia_at_cern() -> None:
    # home.cern, 1 February 2021 (associate) and 30 August 2024 (member).
    programmes = tables.load("research_programmes").query("iso3 == 'EST'")
    spells = programmes.set_index("programme")[["entered", "left"]]
    assert spells.loc["cern-associate"].tolist() == [2021, 2024]
    assert spells.loc["cern", "entered"] == 2024


def test_korea_and_asean_came_together_country_by_country() -> None:
    # Yonhap, 31 October 2008: from 1 June 2007 with Singapore, Indonesia, Malaysia, Vietnam and
    # Myanmar, then the Philippines (1 January 2008), Brunei, Laos and, on 1 November, Cambodia.
    # Korea and Laos have been in the Asia-Pacific Trade Agreement since 1976.
    first = {"IDN": 2007, "MMR": 2007, "MYS": 2007, "VNM": 2007}
    first |= {"PHL": 2008, "BRN": 2008, "KHM": 2008, "THA": 2010}
    assert {c: min(in_force("KOR", c, range(2005, 2012))) for c in first} == first
    assert "LAO" not in tables.bloc_members("asean-korea", 2007)
    assert "LAO" in tables.bloc_members("asean-korea", 2008)


def test_who_left_comesa_the_commonwealth_and_dubna() -> None:
    # Angola left COMESA in 2007; it shares no other bloc with Kenya. Fiji's membership lapsed on 15
    # October 1987 and was renewed on 1 October 1997. Czechia left JINR on 31 December 2022.
    assert in_force("AGO", "KEN", range(2003, 2010)) == [2003, 2004, 2005, 2006]
    inside = [y for y in range(1985, 2000) if "FJI" in tables.bloc_members("commonwealth", y)]
    assert inside == [1985, 1986, 1997, 1998, 1999]
    dubna = tables.load("research_programmes").query("programme == 'jinr' and iso3 == 'CZE'")
    assert dubna["left"].tolist() == [2023]


def test_russia_and_belarus_left_the_experiments() -> None:
    # CERN's agreements with Belarus ended on 27 June, with Russia on 30 November 2024.
    rows = tables.load("research_programmes").query("kind == 'experiment'")
    left = rows[rows["iso3"].isin(["RUS", "BLR"])]
    assert left["left"].tolist() == [2024] * 5
    assert rows["left"].notna().sum() == 5


def test_associates_of_cern_and_of_horizon_europe() -> None:
    # CERN Courier, 22 January 2014 (Israel an associate from 2011); home.cern, 22 October 2025
    # (Ireland); European Commission, association of Egypt to Horizon Europe, 22 October 2025.
    spells = {
        (row.programme, row.iso3): (row.entered, row.left)
        for row in tables.load("research_programmes").itertuples()
    }
    assert spells["cern-associate", "ISR"] == (2011, 2014) and spells["cern", "ISR"][0] == 2014
    assert spells["cern-associate", "IRL"][0] == 2025 == spells["eu-framework", "EGY"][0]


def test_british_trade_agreements_through_the_transition() -> None:
    # Withdrawal Agreement, Article 129: bound by the Union's agreements until 31 December 2020.
    # gov.uk, "UK trade agreements with non-EU countries": in effect from 2021 with all partners of
    # 2020 but these three; Switzerland's agreement holds for Liechtenstein.
    rows = tables.load("agreements").query("party_a == 'eu' and in_force <= 2018 and ended.isna()")
    partners = set(rows["party_b"])
    assert len(partners) > 30
    years = range(2018, 2023)
    lapsed = {p for p in partners if in_force("GBR", p, years) == [2018, 2019, 2020]}
    assert lapsed == {"BIH", "DZA", "MNE"}
    for partner in partners - lapsed:
        assert in_force("GBR", partner, years) == list(years), partner
    # In force on 1 August 2020, within the transition.
    assert in_force("GBR", "VNM", years) == [2020, 2021, 2022]


FIRST_YEAR_WITH_THE_UNION = {
    # Trade parts of the Europe and association agreements, by their first year in force: interim
    # agreements of 1 March 1992, 1 May and 31 December 1993, free trade agreements of 1 January
    # 1995, interim agreements of 1 January 1997 and 1 March 2002; Malta 1 April 1971, Cyprus 1
    # June 1973 (WTO RTA database; the last two also European Commission, "European Union
    # enlargement: an historic opportunity", 2001, table on association agreements).
    **dict.fromkeys(["CZE", "HUN", "POL", "SVK"], 1992),
    **dict.fromkeys(["BGR", "ROU"], 1993),
    **dict.fromkeys(["EST", "LTU", "LVA"], 1995),
    "SVN": 1997,
    "HRV": 2002,
    "MLT": 1971,
    "CYP": 1973,
}


def test_later_members_had_agreements_with_the_union_before() -> None:
    later = set(tables.bloc_members("eu")) - set(tables.bloc_members("eu", 1995))
    assert later == set(FIRST_YEAR_WITH_THE_UNION)
    for country, first in FIRST_YEAR_WITH_THE_UNION.items():
        assert in_force("DEU", country, range(1965, 2022)) == list(range(first, 2022)), country


@pytest.mark.parametrize(
    ("a", "b", "first"),
    [
        # WTO RTA database, agreements that accession ended: EFTA with Hungary on 1 October 1993,
        # with Slovenia on 1 July 1995; Turkey with Romania on 1 February 1998, with Poland on 1 May
        # 2000; the Baltic Free Trade Area on 1 April 1994.
        ("CHE", "HUN", 1993),
        ("NOR", "SVN", 1995),
        ("ROU", "TUR", 1998),
        ("POL", "TUR", 2000),
        ("EST", "LVA", 1994),
        # And of the CIS, where the treaty of 2011 takes their place: 25 March 1993, 24 April 1993,
        # 21 February 1994, 10 May 1994, 10 July 1996, 21 November 1996, 19 October 1998,
        # 25 December 2001.
        ("ARM", "RUS", 1993),
        ("KGZ", "RUS", 1993),
        ("RUS", "UKR", 1994),
        ("GEO", "RUS", 1994),
        ("AZE", "GEO", 1996),
        ("KGZ", "MDA", 1996),
        ("KAZ", "UKR", 1998),
        ("ARM", "KAZ", 2001),
    ],
)
def test_agreements_that_others_took_the_place_of_leave_no_gap(a: str, b: str, first: int) -> None:
    assert in_force(a, b, range(1990, 2022)) == list(range(first, 2022))


def test_no_pair_of_europe_loses_its_agreement_by_an_accession() -> None:
    # Members take over the Union's agreements, and the customs union is one of them.
    around = {*FIRST_YEAR_WITH_THE_UNION, "CHE", "ISL", "LIE", "NOR", "TUR", "DEU", "SWE"}
    for a, b in itertools.combinations(sorted(around), 2):
        years = in_force(a, b, range(1996, 2022))  # from the customs union with Turkey on
        assert years == list(range(min(years, default=2022), 2022)), (a, b)


def test_agreement_of_japan_and_the_united_states() -> None:
    # ustr.gov, U.S.-Japan Trade Agreement: in force on 1 January 2020.
    assert in_force("JPN", "USA", range(2017, 2023)) == [2020, 2021, 2022]


@pytest.mark.parametrize(
    ("partner", "first"),
    [
        # fta.mofcom.gov.cn and, for RCEP, the depositary's notices. ASEAN: Agreement on Trade in
        # Goods, July 2005. Countries of the list along the routes, with or without an agreement.
        *((p, 2005) for p in tables.bloc_members("asean", 2005) if p != "LAO"),
        ("PAK", 2007),
        ("GEO", 2018),
        ("SRB", 2024),
        ("MDV", 2025),
        # Asia-Pacific Trade Agreement (China acceded in 2001, tariffs from January 2002).
        *((p, 2002) for p in ("BGD", "IND", "LKA", "LAO")),
        *((p, None) for p in ("KAZ", "RUS", "MNE", "POL", "IRN", "SAU", "TUR", "NPL", "TLS")),
    ],
)
def test_chinas_agreements_along_the_belt_and_road(partner: str, first: int | None) -> None:
    expected = [] if first is None else list(range(first, 2027))
    assert in_force("CHN", partner, range(1999, 2027)) == expected


def test_routes_list_has_its_published_regions() -> None:
    # The list printed from 2015: 11 countries of East Asia (Mongolia and ASEAN), 18 of West Asia,
    # 8 of South Asia, 5 of Central Asia, 7 of the CIS, 16 of Central and Eastern Europe: 65. With
    # Timor-Leste, from Chin and He (2016), 66.
    along = tables.load("belt_and_road").query("along == 1")
    regions = along[along["iso3"] != "TLS"]["region"].value_counts()
    assert regions.to_dict() == {
        "west": 18,
        "cee": 16,
        "east": 11,
        "south": 8,
        "cis": 7,
        "central": 5,
    }
    assert len(tables.belt_and_road()) == 66


def test_route_countries_without_agreement() -> None:
    # India, Bhutan and Israel have signed no document on the initiative (official list); Jordan
    # and Turkmenistan signed in 2023, after all others of the list.
    along = set(tables.belt_and_road())
    assert along - set(tables.belt_and_road(2022)) == {"BTN", "IND", "ISR", "JOR", "TKM"}
    assert along - set(tables.belt_and_road(2023)) == {"BTN", "IND", "ISR"}


def test_italy_in_and_out() -> None:
    # Signed 23 March 2019, the first of the G7; withdrew in December 2023.
    members = [y for y in range(2017, 2026) if "ITA" in tables.belt_and_road(y, list="signatories")]
    assert members == [2019, 2020, 2021, 2022]


def test_second_forum_signatories() -> None:
    # List of deliverables of the Second Belt and Road Forum, April 2019, item on memoranda.
    table = tables.load("belt_and_road").set_index("iso3")["joined"]
    signed = ["GNQ", "LBR", "LUX", "JAM", "PER", "ITA", "BRB", "CYP", "YEM"]
    assert (table[signed] == 2019).all()


def test_number_of_signatories_is_the_official_one() -> None:
    # National Development and Reform Commission: 147 countries in January 2022, more than 150 in
    # 2023 (152 countries of the list of that year, Italy among them until December).
    # Malawi, Argentina and Palestine followed in 2022.
    assert len(tables.belt_and_road(2022, list="signatories")) == 147 + 3
    assert 150 <= len(tables.belt_and_road(2023, list="signatories")) <= 153


DATED = (
    "belt_and_road",
    "blocs",
    "agreements",
    "research_programmes",
    "rail_corridors",
    "strategic_partnerships",
)


@pytest.mark.parametrize("name", DATED)
def test_codes_years_and_sources_hold_together(name: str) -> None:
    table = tables.load(name)
    known = {country.alpha_3 for country in pycountry.countries} | {"XKX"}
    codes = {"agreements": ["party_a", "party_b"], "rail_corridors": ["country_a", "country_b"]}
    blocs = set(tables.load("blocs")["bloc"])
    for column in codes.get(name, ["iso3"]):
        assert set(table[column]) <= known | (blocs if name == "agreements" else set())
    assert table["source"].notna().all()
    for start, end in (("entered", "left"), ("in_force", "ended"), ("joined", "left")):
        if start in table and end in table:
            assert not (table[end] <= table[start]).any()
    if name in ("blocs", "research_programmes"):
        # One spell at a time: a country does not enter what it has not left.
        spells = table.sort_values("entered").groupby([table.columns[0], "iso3"])
        for _, rows in spells:
            assert (rows["left"].iloc[:-1].to_numpy() <= rows["entered"].iloc[1:].to_numpy()).all()


def test_no_row_twice() -> None:
    for name, keys in (
        ("belt_and_road", ["iso3"]),
        ("blocs", ["bloc", "iso3", "entered"]),
        ("agreements", ["party_a", "party_b"]),
        ("research_programmes", ["programme", "iso3", "entered"]),
    ):
        assert not tables.load(name).duplicated(keys).any(), name


@pytest.mark.parametrize("group", tables.group_names())
def test_every_member_of_a_group_is_a_country_that_the_sources_can_be_asked_for(group: str) -> None:
    # OpenAlex is asked by ISO2 code, which `iso2_of` refuses for anything outside ISO 3166.
    assert all(iso2_of(member) for member in tables.group_members(group))


def test_successors_take_the_place_of_states_that_are_no_more() -> None:
    # ISO 3166-3: SCG into SRB and MNE in 2006, ANT into BES, CUW and SXM in 2010.
    assert {"SRB", "MNE"} <= set(tables.group_members("europe"))
    assert {"BES", "CUW", "SXM"} <= set(tables.group_members("north-america"))


def test_unknown_group_names_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError, match='Did you mean "belt-and-road"') as error:
        tables.group_members("beltandroad")
    assert "central-asia" in str(error.value)
    assert tables.group_members("Belt and Road") == tables.belt_and_road()


def test_tables_cannot_be_changed_through_what_is_returned() -> None:
    table = tables.load("blocs")
    table.loc[0, "iso3"] = "XXX"
    assert "XXX" not in set(tables.load("blocs")["iso3"])
