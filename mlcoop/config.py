"""What an experiment file may hold: its sections, their defaults and what they refuse."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mlcoop.errors import MlcoopError, some
from mlcoop.sources.openalex.institution import parse_id

Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A section of the experiment file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        asked = cls.model_fields[str(info.field_name)].annotation
        # pydantic reads true as 1
        if isinstance(value, bool) and {int, float} & {asked, *getattr(asked, "__args__", ())}:
            raise ValueError(f"a number, not {str(value).lower()}")
        return value


class Focus(Section):
    """The pairs that the study is about."""

    focal: str | None = Field(None, description="one country: code or name", examples=["KOR"])
    institution: str | None = Field(
        None,
        description="instead of focal: an institution's identifier in OpenAlex or ROR",
        examples=["https://ror.org/0130frc33"],
    )
    partners: str | list[str] | None = Field(
        None,
        description="countries or groups of countries; without focal, all pairs among them",
        examples=["asean"],
    )
    pairs: Literal["all"] | None = Field(
        None, description="every pair of the training set", examples=["all"]
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Focus:
        if self.pairs == "all" and (self.focal or self.partners):
            raise ValueError("give either pairs: all, or focal and partners, not both")
        if self.institution is not None:
            if self.focal or self.pairs:
                raise ValueError("institution takes the place of focal and of pairs: all")
            try:
                parse_id(self.institution)
            except MlcoopError as error:
                raise ValueError(str(error)) from error
        if self.focal and not self.partners:
            raise ValueError("focal needs partners: a group such as belt-and-road, or a list")
        return self


class Training(Section):
    """The pairs that the models learn from."""

    pairs: Literal["all", "focus"] = "all"
    most_active: int = Field(126, ge=3, le=250, description="countries with the most works")
    countries: str | list[str] | None = Field(
        None, description="instead of the most active", examples=[["KOR", "JPN", "CHN"]]
    )


class Years(Section):
    """First and last year observed."""

    start: int = Field(2001, ge=1950, le=2200)
    end: int | Literal["latest"] = "latest"
    max_shortfall: Share = Field(
        0.10,
        description="how far a year's works may fall short of the largest of the three years "
        "before; `latest` is the last year within it, and later years are refused (of a csv file: "
        "the last that it holds, with a warning)",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Years:
        if isinstance(self.end, int) and self.end - self.start < 3:
            raise ValueError(f"end {self.end} leaves less than four years after start {self.start}")
        return self


class Target(Section):
    """What is counted."""

    source: Literal["openalex", "csv", "simulated"] = "openalex"
    path: str | None = Field(
        None,
        description="csv: columns year, country_a, country_b, works; or an aggregated snapshot",
        examples=["counts.csv"],
    )
    counting: Literal["full", "fractional"] = Field(
        "full", description="fractional: only from an aggregated snapshot; ranked, not forecast"
    )
    field: Literal["all", "physical", "life", "social", "health"] = "all"
    types: Literal["all", "article"] = "all"
    highly_cited: bool = False
    absent: Literal["zero", "missing"] = Field(
        "zero",
        description="csv: what a pair that the file does not list in a year means; in a file of "
        "one country's pairs, pairs of two others are missing in any case",
    )

    @model_validator(mode="after")
    def _path_goes_with_csv(self) -> Target:
        if self.source == "csv" and not self.path:
            raise ValueError("source csv needs path: the file with your counts")
        if self.counting == "fractional" and self.source != "csv":
            raise ValueError(
                "OpenAlex gives full counts; fractional counts come from a snapshot: "
                "mlcoop data aggregate, then source: csv with its folder as path"
            )
        if self.source != "csv" and self.path:
            raise ValueError(f"path goes with source: csv, not with source: {self.source}")
        return self


class Simulated(Section):
    """The planted truth of a study with source: simulated."""

    drivers: dict[str, Annotated[float, Field(strict=True)]] = Field(
        min_length=1,
        description="catalogue factor to change of log works per standard deviation",
        examples=[{"distance": -0.5}],
    )
    mean_works: float = Field(20.0, gt=0, le=1e5)
    pair_noise: float = Field(0.3, ge=0, le=3)
    dispersion: float = Field(0.05, ge=0, le=10)


class Factors(Section):
    """Which factors of the catalogue take part."""

    include: list[str] = Field(default_factory=lambda: ["default"])
    exclude: list[str] = Field(default_factory=list)
    min_coverage: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a country with data for a smaller share of variables is left out",
    )


class LearnerChoice(Section):
    """The factor model."""

    name: str = "linear_boosting"
    exposure: bool = Field(False, description="model intensity: works per product of totals")
    params: dict[str, Any] = Field(default_factory=dict, description="fixed, instead of tuned")
    missing: Literal["impute", "own", "complete"] = Field(
        "impute",
        description="missing values: imputed inside the training window, left to the learner, or "
        "complete rows only",
    )


class Tuning(Section):
    """Optuna search inside the training years."""

    enabled: bool = True
    trials: int = Field(30, ge=1, le=10_000)
    folds: int = Field(
        3,
        ge=2,
        le=20,
        description="parts of the pairs in the factor model's search; the forecast model's is "
        "scored on years and takes none",
    )


class Evaluation(Section):
    """Rolling-origin backtest and scores on held-out pairs."""

    enabled: bool = True
    origins: int = Field(10, ge=1, le=40)
    folds: int = Field(5, ge=2, le=20, description="parts of the pairs in held-out scores")


class Explain(Section):
    """Factor ranking with uncertainty."""

    enabled: bool = True
    resamples: int = Field(100, ge=20, le=10_000)
    level: float = Field(0.95, gt=0.5, lt=1)
    unit: Literal["auto", "pair", "country"] = "auto"
    witnesses: bool = True


class Forecast(Section):
    """Next-year forecast."""

    enabled: bool = True
    level: Share = 0.90
    horizon: int = Field(1, ge=1, le=5)


class Switch(Section):
    """A stage without settings."""

    enabled: bool = True


class ReadyPanel(Section):
    """A panel of the user's own, with its own factor columns."""

    path: str = Field(examples=["panel.csv"])
    pair: tuple[str, str] = Field(examples=[["i", "j"]])
    year: str | None = Field(None, examples=["year"])
    target: str = Field(examples=["y"])
    exposure: str | None = Field(None, examples=["exposure"])
    factors: list[str] = Field(min_length=1, examples=[["distance", "trade"]])
    groups: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _groups_hold_factors(self) -> ReadyPanel:
        for group, members in self.groups.items():
            for member in members:
                if member not in self.factors:
                    raise ValueError(f'groups.{group}: "{member}" is not among factors')
        grouped = [m for members in self.groups.values() for m in set(members)]
        for member in self.factors:
            if grouped.count(member) > 1:
                raise ValueError(f'groups: "{member}" is in two groups; leave it in one')
            # A factor in no group is a group of its own name.
            if member in self.groups and member not in grouped:
                raise ValueError(
                    f'groups.{member}: "{member}" is a factor in no group; list it there or '
                    "rename the group"
                )
        if len(set(self.factors)) < len(self.factors):
            raise ValueError("a factor is named twice")
        return self


class Config(Section):
    """A whole experiment, resolved and frozen."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", examples=["my-study"])
    title: str | None = Field(None, examples=["My study"])
    focus: Focus = Focus()
    training: Training = Training()
    years: Years = Years()
    target: Target = Target()
    simulated: Simulated | None = None
    factors: Factors = Factors()
    audit: Switch = Switch()
    learner: LearnerChoice = LearnerChoice()
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    explain: Explain = Explain()
    forecast: Forecast = Forecast()
    report: Switch = Switch()
    panel: ReadyPanel | None = None
    seed: int = Field(0, ge=0, lt=2**31)

    @field_validator("factors", mode="before")
    @classmethod
    def _list_of_factors(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"include": [value]}
        if isinstance(value, list):
            return {"include": value}
        return value

    @field_validator("learner", mode="before")
    @classmethod
    def _name_of_learner(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _institution_learns_from_its_own_pairs(cls, raw: Any) -> Any:
        focus = raw.get("focus") if isinstance(raw, dict) else None
        if not isinstance(focus, dict) or not focus.get("institution"):
            return raw
        training = raw.get("training") or {}
        if not isinstance(training, dict):
            return raw
        return {**raw, "training": {"pairs": "focus", **training}}

    @model_validator(mode="after")
    def _institution_is_counted_by_openalex(self) -> Config:
        if self.focus.institution is None:
            return self
        if self.target.source != "openalex":
            raise ValueError("focus.institution is counted by OpenAlex: drop target.source")
        if self.training.pairs == "all" or self.training.countries is not None:
            raise ValueError(
                "focus.institution trains on the institution's own pairs: its country's pairs "
                "hold the same works, so held-out pairs would leak into training; drop "
                "training.pairs and training.countries"
            )
        return self

    @model_validator(mode="after")
    def _simulated_goes_with_its_source(self) -> Config:
        if (self.target.source == "simulated") != (self.simulated is not None):
            raise ValueError("source: simulated and the section simulated go together")
        if self.simulated and (self.training.countries is None or self.years.end == "latest"):
            raise ValueError("source: simulated needs training.countries and a number as years.end")
        return self

    @model_validator(mode="after")
    def _panel_brings_its_own(self) -> Config:
        if self.panel is not None:
            given = self.model_fields_set & {
                "focus",
                "training",
                "target",
                "simulated",
                "factors",
                "years",
            }
            if given:
                raise ValueError(
                    "panel brings its own pairs, years, target and factors: drop "
                    + some(sorted(given))
                )
        return self
