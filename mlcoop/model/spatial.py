"""Effects that near countries share: a spatial random effect of low rank."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mlcoop.sources.geography import kilometres_between

RANGE_KM = 1500.0
"""Distance over which the correlation of two countries falls to 1/e."""
MOST_COLUMNS = 10
FEWEST_PLACES = 20  # of fewer countries a run by neighbourhood would hardly show


def countries_of(pair_names: Iterable[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the countries, shape (n,), and how often each is in each pair, shape (n_pairs, n).

    None where pairs are not all of two countries.

    >>> names, inside = countries_of(["CHN|FRA", "CHN|ITA"])
    >>> names.tolist(), inside.tolist()
    (['CHN', 'FRA', 'ITA'], [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    """
    ends = [str(name).split("|") for name in pair_names]
    if any(len(e) != 2 for e in ends):
        return None
    countries, code = np.unique(np.array(ends), return_inverse=True)
    inside = np.zeros((len(ends), len(countries)))
    for end in code.reshape(-1, 2).T:
        np.add.at(inside, (np.arange(len(ends)), end), 1.0)
    return countries, inside


def knows_places(pair_names: Iterable[str]) -> bool:
    """Whether pairs are of countries whose places are known, and of enough of them."""
    found = countries_of(pair_names)
    return found is not None and spatial_columns(*found).shape[1] > 0


def spatial_columns(countries: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return columns whose independent normal coefficients make effects that near pairs share.

    What the panel lacks often runs by region, and so do many factors. Were pairs independent but
    for their factors, such a factor would be credited with what neighbours share.

    Parameters
    ----------
    countries : array of shape (n_countries,)
        ISO 3166 alpha-3 codes; of any other name the place is not known.
    inside : array of shape (n_pairs, n_countries)
        As `countries_of` returns it.

    Returns
    -------
    array of shape (n_pairs, n_columns)
        Centred. Each country has an effect, their correlation being the exponential of minus the
        distance of main cities over `RANGE_KM`, and a pair that of both. The columns span its
        largest principal components, scaled so that all of them would have a mean variance of one.
        Without columns where fewer than `FEWEST_PLACES` places are known.

    References
    ----------
    Cressie and Johannesson 2008, Journal of the Royal Statistical Society B 70, 209-226,
    doi:10.1111/j.1467-9868.2007.00633.x.
    """
    alike = np.nan_to_num(np.exp(-kilometres_between(countries.tolist()) / RANGE_KM))
    if alike.diagonal().sum() < FEWEST_PLACES:
        return np.empty((len(inside), 0))
    values, vectors = np.linalg.eigh(alike)
    effects = inside @ (vectors * np.sqrt(np.clip(values, 0, None)))
    left, size, _ = np.linalg.svd(effects - effects.mean(axis=0), full_matrices=False)
    whole = np.sqrt(len(inside) / (size**2).sum())
    return np.asarray((left * size * whole)[:, :MOST_COLUMNS])
