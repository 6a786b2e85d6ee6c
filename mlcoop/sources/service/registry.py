"""The providers: who holds what, under which licence, and where they are asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A provider of figures.

    Attributes
    ----------
    name : str
        Key in `SOURCES`, and the folder of the cache that holds its records.
    base, url_env : str
        Address of the service, and the environment variable that puts a mirror in its place.
    key_env, key_param : str or None
        Environment variable and request parameter of its key, where it has one.
    release : str
        What a cached answer is an answer of, as far as the service names it.
    per_second : float
        Requests a second that we allow ourselves (never applied to a loopback address).
    daily_keyed, daily_keyless : int or None
        Requests a day that the service allows with a free key and without, as documented; what
        it says in its answers goes before this. None: no limit known.
    """

    name: str
    label: str
    licence: str
    base: str
    url_env: str
    citation: str
    holds: str
    release: str
    key_env: str | None = None
    key_param: str | None = None
    per_second: float = 10.0
    daily_keyed: int | None = None
    daily_keyless: int | None = None


SOURCES: dict[str, Source] = {
    "openalex": Source(
        name="openalex",
        label="OpenAlex",
        licence="CC0-1.0",
        base="https://api.openalex.org",
        url_env="MLCOOP_OPENALEX_URL",
        citation=(
            "Priem, J., Piwowar, H., Orr, R. (2022). OpenAlex: A fully-open index of scholarly "
            "works, authors, venues, institutions, and concepts. arXiv:2205.01833."
        ),
        holds="works co-authored by each pair of countries, full counting, by year",
        release="live index on the day of the request",
        key_env="OPENALEX_API_KEY",
        key_param="api_key",
        # developers.openalex.org, authentication and pricing: $0.0001 a list request, $1 a day with
        # a free key and $0.10 without; without it was $0.01 in February 2026.
        daily_keyed=10_000,
        daily_keyless=1_000,
    ),
    "worldbank": Source(
        name="worldbank",
        label="World Bank Indicators",
        licence="CC-BY-4.0",
        base="https://api.worldbank.org/v2",
        url_env="MLCOOP_WORLDBANK_URL",
        citation=(
            "World Bank, World Development Indicators and Worldwide Governance Indicators. "
            "https://databank.worldbank.org"
        ),
        holds="economy, science inputs and outputs, trade, governance of each country, by year",
        release="live",
    ),
    "cepii": Source(
        name="cepii",
        label="CEPII GeoDist",
        licence="Etalab-2.0",
        base="https://www.cepii.fr",
        url_env="MLCOOP_CEPII_URL",
        citation=(
            "Mayer, T., Zignago, S. (2011). Notes on CEPII's distances measures: The GeoDist "
            "database. CEPII Working Paper 2011-25."
        ),
        holds="distances, borders, shared languages and colonial ties of each pair",
        release="dist_cepii, 2011",
    ),
    "unvotes": Source(
        name="unvotes",
        label="UN General Assembly ideal points",
        licence="CC0-1.0",
        base="https://dataverse.harvard.edu",
        url_env="MLCOOP_UNVOTES_URL",
        citation=(
            "Bailey, M. A., Strezhnev, A., Voeten, E. (2017). Estimating dynamic state "
            "preferences from United Nations voting data. Journal of Conflict Resolution 61(2), "
            "430-456. Data: doi:10.7910/DVN/LEJUQZ."
        ),
        holds="ideal point of each country in General Assembly votes, by year",
        release="doi:10.7910/DVN/LEJUQZ, latest version",
    ),
}
