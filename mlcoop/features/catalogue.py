"""The factor catalogue: every factor that a study can rank, by name."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mlcoop.errors import ConfigError, did_you_mean, some
from mlcoop.features import (
    culture_language,
    economy_market,
    integration_policy,
    political_relations,
    proximity,
    research_strength,
    technology_supply,
)
from mlcoop.features.factor import GROUPS, Factor
from mlcoop.schema import PAIR_VARIABLES, TIE_VARIABLES
from mlcoop.sources.imported.pair_files import how_to_get

_MODULES = (
    proximity,
    culture_language,
    political_relations,
    integration_policy,
    economy_market,
    technology_supply,
    research_strength,
)
FACTORS: dict[str, Factor] = {f.name: f for module in _MODULES for f in module.FACTORS}
assert len(FACTORS) == sum(len(m.FACTORS) for m in _MODULES), "two factors share a name"


def select_factors(
    names: Iterable[str] | str | None = None,
    exclude: Iterable[str] = (),
    *,
    where: str = "factors",
    also: Iterable[str] = (),
) -> list[Factor]:
    """Return catalogue entries by name or group, in catalogue order.

    Parameters
    ----------
    names : iterable of str, str or None
        Names of factors or groups. None or "default" takes the default factors, "all" the whole
        catalogue. A group stands for its default factors.
    exclude : iterable of str
        Names or groups to leave out.
    where : str
        Key to name in an error; empty for a name from the command line.
    also : iterable of str
        Names that are no factor's and that an unknown name may have been meant for.

    Raises
    ------
    ConfigError
        Naming every unknown name with its nearest known one, or if nothing is left.

    Examples
    --------
    >>> [f.name for f in select_factors(["border", "distance"])]
    ['distance', 'border']
    >>> select_factors(["gdp_gap"])
    Traceback (most recent call last):
    mlcoop.errors.ConfigError: factors[0]: unknown factor or group "gdp_gap". Did you mean "gdp"?
    """
    wanted = ["default"] if names is None else [names] if isinstance(names, str) else list(names)
    chosen = _resolve(wanted, where, also=also)
    unwanted = [exclude] if isinstance(exclude, str) else list(exclude)
    dropped = _resolve(unwanted, f"{where}.exclude", whole_groups=True)
    kept = [f for name, f in FACTORS.items() if name in chosen and name not in dropped]
    if not kept:
        why = f" after excluding {some(unwanted)}" if unwanted else ""
        raise ConfigError(f"{where}: no factor is left{why}; name one or more")
    return kept


def _resolve(
    names: list[str], where: str, whole_groups: bool = False, also: Iterable[str] = ()
) -> set[str]:
    found: set[str] = set()
    problems = []
    for i, name in enumerate(names):
        if name == "all":
            found |= set(FACTORS)
        elif name == "default":
            found |= {f.name for f in FACTORS.values() if f.default}
        elif name in GROUPS:
            found |= {
                f.name for f in FACTORS.values() if f.group == name and (f.default or whole_groups)
            }
        elif name in FACTORS:
            found.add(name)
        else:
            nearest = did_you_mean(name, [*FACTORS, *GROUPS, *also]).strip()
            place = f"{where}[{i}]: " if where else ""
            hint = nearest or "See `mlcoop factors`."
            problems.append(f'{place}unknown factor or group "{name}". {hint}')
    if problems:
        raise ConfigError(" ".join(problems))
    return found


def usable_factors(
    panel: pd.DataFrame, factors: Iterable[Factor]
) -> tuple[list[Factor], list[tuple[Factor, str]]]:
    """Return the factors that the panel can feed, and the others with the reason.

    A factor is left out when a column that it reads is absent or has no value at all, as for a
    planted world without colonial ties.

    Examples
    --------
    >>> import pandas as pd
    >>> panel = pd.DataFrame({"dist_km": [1.0], "contiguous": [None]})
    >>> kept, left_out = usable_factors(panel, select_factors(["distance", "border"]))
    >>> [f.name for f in kept], [(f.name, why) for f, why in left_out]
    (['distance'], [('border', 'no value of contiguous')])
    """
    kept, left_out = [], []
    has_values = panel.notna().any()
    for factor in factors:
        needed = input_columns(factor)
        absent = [c for c in needed if c not in panel.columns]
        empty = [c for c in needed if c in panel.columns and not has_values[c]]
        to_import = [c for c in (*absent, *empty) if c in PAIR_VARIABLES]
        if to_import:
            left_out.append((factor, f"{to_import[0]} {how_to_get(to_import[0])}"))
        elif any(c.startswith("international_works") for c in absent):
            left_out.append((factor, "the counts come without each country's international works"))
        elif absent:
            left_out.append((factor, f"the panel has no column {some(absent)}"))
        elif empty:
            left_out.append((factor, f"no value of {some(empty)}"))
        else:
            kept.append(factor)
    return kept, left_out


PAIR_INPUTS = ("works", *TIE_VARIABLES, *PAIR_VARIABLES)


def split_input(name: str) -> tuple[str, int]:
    """Return the panel variable and the years before the observed one that an input asks for.

    Examples
    --------
    >>> split_input("un_ideal_point[-3]"), split_input("works")
    (('un_ideal_point', 3), ('works', 0))
    """
    if not name.endswith("]"):
        return name, 0
    variable, back = name[:-1].split("[-")
    return variable, int(back)


def input_columns(factor: Factor) -> list[str]:
    """Return the panel columns that a factor reads, with both ends of country variables.

    Examples
    --------
    >>> input_columns(FACTORS["gdp"])
    ['gdp_usd2015_a', 'gdp_usd2015_b']
    """
    columns: list[str] = []
    for name in factor.inputs:
        variable, _ = split_input(name)
        ends = [variable] if variable in PAIR_INPUTS else [f"{variable}_a", f"{variable}_b"]
        columns.extend(ends)
    return list(dict.fromkeys(columns))
