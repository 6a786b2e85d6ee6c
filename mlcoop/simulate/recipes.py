"""Kinds of planted worlds: what each is made of, and their settings checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mlcoop.errors import ConfigError, did_you_mean, lower_first

Shape = Literal["linear", "saturating", "threshold", "hump"]
SHAPES = get_args(Shape)
FEWEST_COUNTRIES = 6
Noise = Annotated[float, Field(ge=0, le=3)]


@dataclass(frozen=True)
class Recipe:
    """What a kind of world is made of; sizes are on the log scale of expected works.

    Attributes
    ----------
    label : str
    pairs, years, factors : int
        Size of the panel: partners of one focal country. `countries` > 0 makes all pairs of that
        many countries instead.
    lifelike : bool
        National figures that move together as real ones do; see `world_covariates`.
    logged : bool
        Whether the panel holds distance, people, output and their like in logs, on which effects
        are, or as they are.
    drivers : int
        Factors with a true effect; the others are null.
    largest, smallest : float
        Range of the drivers' true importance (mean absolute centred effect); rare ties have less,
        since drawn ones multiply works by exp(2) at most, other drivers by exp(4) over their range.
    shapes : tuple of str
        Drawn from for each driver; see `SHAPES`.
    interactions : int
        Products of two drivers, each half to either.
    collinear : float
        Correlation of a null twin with its driver (0: no twins).
    twins : int
    pair_noise, country_noise, year_noise : float
        Standard deviations of lasting log effects of a pair, of a country, of a year.
    regional : float
        Share of the variance of drawn lasting figures that near countries share.
    regional_noise : float
        Standard deviation of a country's lasting log effect that near countries share.
    dispersion : float
        Variance of the negative binomial is mu + dispersion * mu**2.
    mean_works : float
        Typical expected count; below 1 most cells are zeros.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    label: str
    pairs: Annotated[int, Field(ge=10)] = 59
    years: Annotated[int, Field(ge=2, le=60)] = 14
    factors: Annotated[int, Field(ge=2, le=200)] = 15
    countries: Annotated[int, Field(ge=0)] = 0
    lifelike: bool = False
    logged: bool = True
    drivers: Annotated[int, Field(ge=0)] = 7
    largest: Annotated[float, Field(gt=0, le=3)] = 0.6
    smallest: Annotated[float, Field(gt=0, le=3)] = 0.08
    shapes: Annotated[tuple[Shape, ...], Field(min_length=1)] = ("linear",)
    interactions: Annotated[int, Field(ge=0)] = 0
    collinear: Annotated[float, Field(ge=0, lt=1)] = 0.0
    twins: Annotated[int, Field(ge=0)] = 0
    pair_noise: Noise = 0.3
    country_noise: Noise = 0.0
    year_noise: Noise = 0.0
    regional: Annotated[float, Field(ge=0, le=1)] = 0.0
    regional_noise: Noise = 0.0
    dispersion: Annotated[float, Field(ge=0, le=10)] = 0.05
    mean_works: Annotated[float, Field(gt=0, le=1e5)] = 60.0


ALL_SHAPES: tuple[Shape, ...] = ("linear", "saturating", "threshold")
RECIPES: dict[str, Recipe] = {
    "linear": Recipe("log-linear effects"),
    "saturating": Recipe("effects that level off", shapes=("saturating", "linear")),
    "threshold": Recipe("effects that set in at a point", shapes=("threshold", "linear")),
    "interaction": Recipe("two products of drivers", interactions=2),
    "collinear": Recipe(
        "factors without effect that copy drivers, r = 0.9", collinear=0.9, twins=4
    ),
    "noisy": Recipe("strong persistent pair effects", pair_noise=0.8),
    "dispersed": Recipe("strong over-dispersion", dispersion=0.8),
    "sparse": Recipe("few works, many zeros", mean_works=0.8),
    "rare": Recipe("hardly any works: one in five pairs and years", mean_works=0.2),
    "country": Recipe(
        "all pairs of 16 countries, country effects on both sides",
        countries=16,
        country_noise=0.4,
        year_noise=0.05,
    ),
    "regional": Recipe(
        "figures, and causes that the panel lacks, that run by region",
        regional=0.5,
        regional_noise=0.5,
    ),
    "wide": Recipe("158 pairs, every shape", pairs=158, shapes=ALL_SHAPES, interactions=1),
    "shocks": Recipe("year shocks and few drivers", year_noise=0.15, drivers=4),
    "mixed": Recipe(
        "everything at once",
        shapes=ALL_SHAPES,
        interactions=1,
        collinear=0.8,
        twins=3,
        pair_noise=0.5,
        dispersion=0.3,
        mean_works=20.0,
    ),
    "lifelike": Recipe(
        "national indicators as correlated as real ones, every shape",
        lifelike=True,
        shapes=ALL_SHAPES,
    ),
    "unlogged": Recipe(
        "the same with linear effects of logs, indicators given without logs",
        lifelike=True,
        logged=False,
    ),
    "null": Recipe("no factor has an effect", drivers=0, pair_noise=0.5, dispersion=0.2),
}


def recipe_with(kind: str, changes: dict[str, object]) -> Recipe:
    """Return the recipe of a kind with settings changed, every one of them checked."""
    if kind not in RECIPES:
        raise ConfigError(
            f"simulate: unknown kind {kind!r}. {did_you_mean(kind, RECIPES)}"
            f"There are: {', '.join(RECIPES)}"
        )
    if isinstance(shapes := changes.get("shapes"), str):
        changes["shapes"] = shapes.split(",")
    known = [name for name in Recipe.__dataclass_fields__ if name != "label"]
    lines = [
        f"simulate, {name}: unknown setting. {did_you_mean(name, known)}"
        f"There are: {', '.join(known)}"
        for name in changes
        if name not in known
    ]
    if lines:
        raise ConfigError("\n".join(lines))
    try:
        recipe = TypeAdapter(Recipe).validate_python({**asdict(RECIPES[kind]), **changes})
    except ValidationError as error:
        first = {item["loc"][0]: _line(item) for item in reversed(error.errors())}
        raise ConfigError("\n".join(first.values())) from error
    if recipe.drivers > recipe.factors:
        raise ConfigError(
            f"simulate, drivers: {recipe.drivers} of {recipe.factors} factors cannot matter"
        )
    if 0 < recipe.countries < FEWEST_COUNTRIES:
        raise ConfigError(
            f"simulate, countries: all pairs of {recipe.countries} are too few; give "
            f"{FEWEST_COUNTRIES} or more, or 0 for the pairs of one country"
        )
    if bool(recipe.collinear) != bool(recipe.twins):
        raise ConfigError(
            f"simulate, collinear: {recipe.collinear:g} with {recipe.twins} twins changes nothing; "
            "set both, or neither"
        )
    if recipe.smallest > recipe.largest:
        raise ConfigError(
            f"simulate, smallest: {recipe.smallest:g} lies above largest ({recipe.largest:g})"
        )
    return recipe


def _line(item: Any) -> str:
    message = str(item["msg"])
    return f"simulate, {item['loc'][0]}: {lower_first(message)} (got {item['input']!r})"
