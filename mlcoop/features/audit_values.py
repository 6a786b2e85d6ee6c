"""Columns that know too much: each against the target, its neighbours in time, its statistics.

The yardstick is the noise of counts. Whatever is known beforehand, a count still scatters about
its expectation with at least Poisson variance; a column that leaves less than `MOST_DISPERSION`
of it was made from the count. Strong but honest factors stay above, however strong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from mlcoop.features.build import FeatureMatrix
from mlcoop.features.unit_series import UnitSeries
from mlcoop.schema import PAIR

MOST_ROWS = 1500
MOST_ROWS_LINEAR = 20_000
LEAST_ROWS = 40
LEAST_VALUES = 8
# Rank correlation from which the dispersion test is worth its time, and from which a column with
# a sign (a growth, a difference) is taken for a copy; honest columns of real panels reach 0.93.
NEAR_COPY = 0.94
COPY = 0.999
MOST_DISPERSION = 0.3
# Share of the innovation that one column may explain. On real panels honest ones stay below 0.1,
# in planted worlds with one strong moving driver below 0.5.
MOST_OF_INNOVATION = 0.8
MOST_OF_NEXT = 0.5


class Finding(NamedTuple):
    """A leak: its kind, the column it sits in, and one line about it.

    Of values: `target` (a copy of the target, or derived from it), `future` (knows works of the
    target year or later), `fitted_over_years` (a statistic over all years), `pair_past` (the pair's
    own past works), `missing_when_zero`, `too_good` (predicts the residual of persistence too well
    to be true). Of a rebuilt catalogue factor: `lag` (known before it can be), `not_as_declared`
    (differs from what its entry gives), `asymmetric` (changes when a pair's ends are swapped), and
    `future`, `fitted_over_years` and `pair_past`, as above.
    """

    kind: str
    column: str
    message: str


@dataclass(frozen=True)
class _Secret:
    """A series that no column may carry, on the rows of one unit and year."""

    kind: str
    what: str
    values: np.ndarray
    counts: np.ndarray | None = None  # the count behind it, when Poisson noise is its floor
    per: np.ndarray | float = 1.0  # values = counts / per


def value_leaks(matrix: FeatureMatrix, *, seed: int = 0) -> list[Finding]:
    """Return columns whose values give away the target, at most one leak for a column.

    Parameters
    ----------
    matrix : FeatureMatrix
        Needs `works` in at least 40 rows; with fewer nothing can be told and nothing is reported.
    seed : int
        Of the sample of rows that large matrices are looked at through.

    Returns
    -------
    list of Finding
        In column order; `exposure` and `weight` are looked at like columns.
    """
    rng = np.random.default_rng(seed)
    first = ~matrix.rows.duplicated([*PAIR, "year"]).to_numpy()
    rows = matrix.rows[first]
    X = matrix.X[first].astype(float)
    for extra in ("exposure", "weight"):
        if rows[extra].nunique() > 1:
            X[extra] = rows[extra].astype(float)
    rows, X = rows.reset_index(drop=True), X.reset_index(drop=True)
    if rows["works"].notna().sum() < LEAST_ROWS:
        return []
    found: dict[str, Finding] = {}
    for leak in (*_pair_leaks(rows, X, rng), *_country_leaks(rows, X, rng), *_plain_leaks(rows, X)):
        found.setdefault(leak.column, leak)
    return [found[name] for name in X.columns if name in found]


# --- series of pairs ---------------------------------------------------------------------------


def _pair_leaks(rows: pd.DataFrame, X: pd.DataFrame, rng: np.random.Generator) -> Iterator[Finding]:
    series = UnitSeries(rows.groupby(PAIR, sort=False).ngroup(), rows["year"], rows["works"])
    totals = [_total(rows, end) for end in ("country_a", "country_b")]
    secrets = list(_pair_secrets(series, rows, totals))
    yield from _leaks_of_series(X, series, secrets, "the pair's works", rng)


def _pair_secrets(
    series: UnitSeries, rows: pd.DataFrame, totals: list[np.ndarray]
) -> Iterator[_Secret]:
    now = series.shifted(0)
    product = np.where(totals[0] * totals[1] > 0, totals[0] * totals[1], np.nan)
    rates = [
        (1.0, "works"),
        (rows["exposure"].to_numpy(float), "works over exposure"),
        (np.sqrt(product), "Salton's cosine of the same year"),
        (product, "association strength of the same year"),
        (np.where(totals[0] > 0, totals[0], np.nan), "share of the first country's works"),
        (np.where(totals[1] > 0, totals[1], np.nan), "share of the second country's works"),
    ]
    for per, what in rates:
        yield _Secret("target", what, now / per, now, per)
    for shift, kind in ((1, "future"), (2, "future"), (-1, "pair_past"), (-2, "pair_past")):
        when = (
            f"{abs(shift)} year{'s' if abs(shift) > 1 else ''} {'later' if shift > 0 else 'before'}"
        )
        then = series.shifted(shift)
        yield _Secret(kind, f"works {when}", then, then)
    before, after = series.shifted(-1), series.shifted(1)
    for what, kind, sums in (
        (
            "mean works of the year, the one before and the one after",
            "future",
            before + now + after,
        ),
        ("mean works of the year and the one before", "target", before + now),
        ("works up to the year, the year among them", "target", series.up_to_now()),
        ("works up to the year before", "pair_past", series.up_to_now() - now),
        ("works after the year", "future", series.sums() - series.up_to_now()),
        ("mean works of all other years", "fitted_over_years", series.sums() - now),
    ):
        yield _Secret(kind, what, sums, sums)
    log_now, log_before, log_after = (np.log(v + 1) for v in (now, before, after))
    mean = series.sums() / series.counts()
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (now - mean) / series.deviations()
    for what, kind, values in (
        ("growth of works to the year", "target", log_now - log_before),
        ("change of works to the year", "target", now - before),
        ("growth of works to the next year", "future", log_after - log_now),
        ("change of works to the next year", "future", after - now),
        ("works of the year standardised within the pair", "fitted_over_years", z),
        ("works of the year less the pair's mean", "fitted_over_years", now - mean),
        ("rank of works within the year", "target", _rank_within(rows["year"], now)),
    ):
        yield _Secret(kind, what, values)


def _country_leaks(
    rows: pd.DataFrame, X: pd.DataFrame, rng: np.random.Generator
) -> Iterator[Finding]:
    """Look at columns that belong to one country, against totals over the rows' pairs."""
    for end in ("country_a", "country_b", "focal", "partner"):
        if rows.groupby(end)["year"].count().max() <= rows["year"].nunique():
            continue  # each country in one pair: its total is the pair's works, looked at already
        keys = [rows[end].rename("country"), rows["year"]]
        grouped = X.groupby(keys)
        low, high = grouped.min(), grouped.max()
        same = np.isclose(low, high, equal_nan=True).all(axis=0)
        names = list(X.columns[same & (low.nunique() >= LEAST_VALUES).to_numpy()])
        if not names:
            continue
        table = X.groupby(keys)[names].first().reset_index()
        total = _totals(rows).reindex(pd.MultiIndex.from_frame(table[["country", "year"]]))
        series = UnitSeries(
            table.groupby("country", sort=False).ngroup(),
            table["year"],
            total.reset_index(drop=True),
        )
        then = {shift: series.shifted(shift) for shift in (0, 1)}
        secrets = [
            _Secret("future", "the country's works of the same year", then[0], then[0]),
            _Secret("future", "the country's works of the next year", then[1], then[1]),
        ]
        yield from _leaks_of_series(table[names], series, secrets, "the country's works", rng)


def _leaks_of_series(
    X: pd.DataFrame, series: UnitSeries, secrets: list[_Secret], what: str, rng: np.random.Generator
) -> Iterator[Finding]:
    """Look at each column against series that it may not carry, and against `what` they are of."""
    sample, more = _sample(len(X), rng), _sample(len(X), rng, MOST_ROWS_LINEAR)
    for name in X.columns:
        x = X[name].to_numpy()
        leak = (
            _first_copy(name, x, secrets, sample)
            or _constant_copy(name, x, series, f"{what} over all years")
            or _innovation(name, x, series, more, what)
        )
        if leak:
            yield leak


def _plain_leaks(rows: pd.DataFrame, X: pd.DataFrame) -> Iterator[Finding]:
    known = rows["works"].notna()
    zero = (rows.loc[known, "works"] == 0).to_numpy()
    for name in X.columns:
        hole = X.loc[known, name].isna().to_numpy()
        # Overlap, not agreement: of rare holes and rare zeros most rows are neither.
        overlap = (hole & zero).sum() / max((hole | zero).sum(), 1)
        if min(hole.sum(), zero.sum(), (~zero).sum()) >= 20 and overlap > 0.95:
            yield Finding(
                "missing_when_zero",
                name,
                f"{name}: missing exactly where works are zero; fill it from its source or "
                "leave it out",
            )
        value = _imputed(X[name].to_numpy())
        if value is not None:
            yield Finding(
                "fitted_over_years",
                name,
                f"{name}: {value:.6g} stands in many rows and is the mean of all others: filled in "
                "before the split; leave it missing",
            )


def _imputed(x: np.ndarray) -> float | None:
    """Return a value that fills at least 1 % of the rows and is the mean of the others."""
    x = x[np.isfinite(x)]
    values, counts = np.unique(x, return_counts=True)
    if len(values) < 50:
        return None
    atom = values[counts.argmax()]
    filled = x == atom
    others = x[~filled]
    if filled.sum() < max(10, 0.01 * len(x)) or others.std() == 0:
        return None
    close = abs(others.mean() - atom) < 1e-5 * others.std()
    return float(atom) if close else None


# --- tests of one column -----------------------------------------------------------------------


def _first_copy(
    name: str, x: np.ndarray, secrets: list[_Secret], sample: np.ndarray
) -> Finding | None:
    best: tuple[float, Finding] | None = None
    for secret in secrets:
        if name == "exposure" and secret.what == "works over exposure":
            continue
        both = sample[np.isfinite(x[sample]) & np.isfinite(secret.values[sample])]
        if not _enough(x[both], secret.values[both]):
            continue
        rho = _rank_correlation(x[both], secret.values[both])
        if secret.counts is None:
            if abs(rho) < COPY:
                continue
        elif abs(rho) < NEAR_COPY or not _below_noise(x[both], secret, both, rho):
            continue
        text = f"{name}: a copy of {secret.what} (rank correlation {rho:.4f}); leave it out"
        if best is None or abs(rho) > best[0] + 1e-9:
            best = (abs(rho), Finding(secret.kind, name, text))
    return best[1] if best else None


def _constant_copy(name: str, x: np.ndarray, series: UnitSeries, what: str) -> Finding | None:
    """Look at a column without years against the sums over all years."""
    if not series.constant(x):
        return None
    firsts = series.firsts()
    sums = series.sums()[firsts]
    values = x[firsts]
    keep = np.isfinite(values) & np.isfinite(sums)
    if not _enough(values[keep], sums[keep]):
        return None
    secret = _Secret("fitted_over_years", what, sums, sums)
    rho = _rank_correlation(values[keep], sums[keep])
    if abs(rho) < NEAR_COPY or not _below_noise(values[keep], secret, np.flatnonzero(keep), rho):
        return None
    text = f"{name}: a statistic of {what} (rank correlation {rho:.4f}), scored years among them"
    return Finding("fitted_over_years", name, text)


def _innovation(
    name: str, x: np.ndarray, series: UnitSeries, sample: np.ndarray, what: str
) -> Finding | None:
    """Look whether a column explains what two earlier years leave unexplained."""
    log = {shift: series.logs(shift)[sample] for shift in (-2, -1, 0, 1)}
    for target, lags, most, kind, when in (
        (0, (-1, -2), MOST_OF_INNOVATION, "too_good", "the year"),
        (1, (0, -1), MOST_OF_NEXT, "future", "the next year"),
    ):
        for form in _forms(x[sample]):
            share = _partial_share(log[target], form, [log[k] for k in lags], series.year[sample])
            if share > most:
                return Finding(
                    kind,
                    name,
                    f"{name}: explains {share:.0%} of what the two years before leave unexplained "
                    f"of {what} in {when}; factors without a leak stay far below {most:.0%}",
                )
    return None


def _forms(x: np.ndarray) -> Iterator[np.ndarray]:
    yield x
    finite = x[np.isfinite(x)]
    if len(finite) and finite.min() >= 0:
        yield np.log1p(x)


def _partial_share(
    y: np.ndarray, x: np.ndarray, given: list[np.ndarray], year: np.ndarray
) -> float:
    keep = np.isfinite(y) & np.isfinite(x)
    for column in given:
        keep &= np.isfinite(column)
    if keep.sum() < LEAST_ROWS or np.ptp(x[keep]) == 0:
        return 0.0
    _, when = np.unique(year[keep], return_inverse=True)
    size = np.bincount(when)

    def within(v: np.ndarray) -> np.ndarray:
        return v - (np.bincount(when, weights=v) / size)[when]

    base = np.column_stack([within(column[keep]) for column in given])
    left = [within(v[keep]) for v in (y, x)]
    coefficients = np.linalg.lstsq(base, np.column_stack(left), rcond=None)[0]
    r, s = (v - base @ c for v, c in zip(left, coefficients.T, strict=True))
    # A column that its own base explains wholly, as a time-constant one nearly is, tells nothing.
    if (s**2).sum() <= 1e-8 * (left[1] ** 2).sum() or (r**2).sum() == 0:
        return 0.0
    return float((r @ s) ** 2 / ((r @ r) * (s @ s)))


def _below_noise(x: np.ndarray, secret: _Secret, rows: np.ndarray, rho: float) -> bool:
    """Return whether counts scatter less about a monotone function of x than counts can."""
    assert secret.counts is not None
    counts = secret.counts[rows]
    per = np.broadcast_to(np.asarray(secret.per, float), secret.counts.shape)[rows]
    fit = IsotonicRegression(increasing=bool(rho > 0)).fit_transform(
        x, counts / per, sample_weight=per
    )
    return _dispersion(counts, per * fit) < MOST_DISPERSION


def _dispersion(counts: np.ndarray, mean: np.ndarray) -> float:
    some = mean > 1e-9
    return float(np.mean((counts[some] - mean[some]) ** 2 / mean[some])) if some.any() else np.inf


def _enough(x: np.ndarray, y: np.ndarray) -> bool:
    return (
        len(x) >= LEAST_ROWS
        and len(np.unique(x)) >= LEAST_VALUES
        and len(np.unique(y)) >= LEAST_VALUES
    )


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    a, b = _ranks(x), _ranks(y)
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _sample(size: int, rng: np.random.Generator, most: int = MOST_ROWS) -> np.ndarray:
    if size <= most:
        return np.arange(size)
    return np.sort(rng.choice(size, most, replace=False))


def _rank_within(year: pd.Series, values: np.ndarray) -> np.ndarray:
    return pd.Series(values).groupby(year.to_numpy()).rank(pct=True).to_numpy()


def _totals(rows: pd.DataFrame) -> pd.Series:
    ends = [rows[[c, "year", "works"]].set_axis(["country", "year", "works"], axis=1) for c in PAIR]
    return pd.concat(ends).groupby(["country", "year"])["works"].sum(min_count=1)


def _total(rows: pd.DataFrame, end: str) -> np.ndarray:
    """Return the works of an end over all its pairs; NaN where it has no other pair than the row's.

    Where all pairs share one country a partner's total is the pair's own count, and a count over
    itself, or over the shared country's total, is a constant of the year that tells of no pair.
    """
    keys = pd.MultiIndex.from_frame(rows[[end, "year"]])
    pairs = rows[PAIR].drop_duplicates()
    of = pd.concat([pairs[c] for c in PAIR]).value_counts()
    alone = rows[end].map(of).to_numpy() < 2
    return np.where(alone, np.nan, _totals(rows).reindex(keys).to_numpy(float))
