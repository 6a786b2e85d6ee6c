"""Intervals and joint draws of a forecast, for pairs and for sums, from what `calibrate` found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlcoop.forecast.by_size import chance_of_zero, expected_works
from mlcoop.forecast.history import FloatArray, sum_by_country

FOCUS = "focus"

RESTLESS_POWER, RESTLESS_SIZE = 1.0, 8.0


@dataclass(frozen=True)
class Bin:
    """Calibrated residuals of one bin.

    Attributes
    ----------
    own : float array of shape (200,)
        Quantiles of the residuals less their year's shock, in units of noise.
    shock : float
        Standard deviation of the yearly shock, in log units.
    years : int
        Years that the shock rests on, those of its prior among them.
    width : float
        Factor of the yearly adaptation.
    """

    own: FloatArray
    shock: float
    years: int
    width: float = 1.0

    def reach(self, noise: FloatArray, level: float) -> FloatArray:
        """Return the half-widths at `level` of pairs with this noise, in log units."""
        shared = self.shock * float(stats.t.ppf((1 + level) / 2, max(self.years - 1, 3)))
        # `own` are the middles of 200 cells of equal probability, which is Hazen's rule
        own = float(np.quantile(np.abs(self.own), level, method="hazen"))
        return self.width * np.hypot(own * noise, shared)


@dataclass(frozen=True)
class Calibration:
    """What earlier origins say about the errors of a forecast.

    Attributes
    ----------
    sizes, spreads : float arrays
        Log of predicted works plus one, rising, and the log of the spread of log residuals there,
        never rising; between them the noise is a power of size.
    edges : tuple of float
        Predicted works that part the size bins.
    bins : dict
        By name: `size0` (smallest) to `size3`, and `focus` where it is calibrated by itself.
    world_shock, focus_shock : float
        Standard deviations, in log units, of the yearly shock of all pairs, and of what the focus
        set's total moves beyond it.
    country_sizes, country_shocks : float arrays
        Log of a country's total, rising, and the standard deviation of its yearly shock there,
        never rising: the largest countries' totals move by 2 %, the smallest ones' by 15 %.
    zero_sizes, zero_shares, mean_sizes, mean_logs : float arrays
        See `mlcoop.forecast.by_size`.
    origins : int
        Origins calibrated on.
    """

    sizes: FloatArray
    spreads: FloatArray
    edges: tuple[float, ...]
    bins: dict[str, Bin]
    world_shock: float
    focus_shock: float
    country_sizes: FloatArray
    country_shocks: FloatArray
    zero_sizes: FloatArray
    zero_shares: FloatArray
    mean_sizes: FloatArray
    mean_logs: FloatArray
    origins: int

    def noise(self, predicted: FloatArray, restless: FloatArray) -> FloatArray:
        """Return the log noise of counts of this predicted size and restlessness.

        Among small pairs chance hides who is restless, so its power rises with size, to one.
        """
        size = np.log1p(predicted)
        power = np.minimum(size / RESTLESS_SIZE, RESTLESS_POWER)
        return np.exp(np.interp(size, self.sizes, self.spreads)) * restless**power

    def bin_names(self, predicted: FloatArray, in_focus: NDArray[np.bool_]) -> NDArray[np.str_]:
        """Return the bin of each pair."""
        names = np.array([f"size{i}" for i in range(len(self.edges) + 1)])[
            np.searchsorted(self.edges, predicted, side="right")
        ]
        return np.where(in_focus & (FOCUS in self.bins), FOCUS, names)

    def interval(
        self,
        predicted: FloatArray,
        restless: FloatArray,
        in_focus: NDArray[np.bool_],
        level: float,
    ) -> tuple[FloatArray, FloatArray]:
        """Return whole-number bounds, never below zero, that hold `level` of outcomes.

        Parameters
        ----------
        predicted, restless : float arrays of shape (n_pairs,)
            Works, and `mlcoop.forecast.growth.restlessness`.
        in_focus : bool array of shape (n_pairs,)
        level : float in (0, 1)

        Returns
        -------
        lower, upper : float arrays of whole numbers
        """
        names, noise = self.bin_names(predicted, in_focus), self.noise(predicted, restless)
        reach = np.empty(len(predicted))
        for name in np.unique(names):
            reach[names == name] = self.bins[name].reach(noise[names == name], level)
        low = (predicted + 1) * np.exp(-reach) - 1
        high = (predicted + 1) * np.exp(reach) - 1
        return np.maximum(np.round(low), 0.0), np.maximum(np.round(high), 0.0)

    def chance_of_zero(self, predicted: FloatArray) -> FloatArray:
        """Return the probability that a pair has no work, by the size of its forecast."""
        return chance_of_zero(self.zero_sizes, self.zero_shares, predicted)

    def expected(self, predicted: FloatArray) -> FloatArray:
        """Return the works to be expected on average; `predicted` lies near their median."""
        return expected_works(self.mean_sizes, self.mean_logs, predicted)

    def draw(
        self,
        predicted: FloatArray,
        restless: FloatArray,
        in_focus: NDArray[np.bool_],
        ends: NDArray[np.int64],
        *,
        draws: int,
        seed: int,
    ) -> FloatArray:
        """Return `draws` joint outcomes of all pairs, shape (draws, n_pairs).

        Pairs move together through the shock of the year and of their two countries; what is
        left is their own.
        """
        rng = np.random.default_rng(seed)
        names = self.bin_names(predicted, in_focus)
        noise = self.noise(predicted, restless)
        own = np.empty((draws, len(predicted)))
        for name in np.unique(names):
            at = np.flatnonzero(names == name)
            picks = rng.integers(0, len(self.bins[name].own), size=(draws, len(at)))
            own[:, at] = self.bins[name].own[picks] * self.bins[name].width
        # Ten years hardly show a shock like 2017's or 2020's: heavy tails stand for the unseen.
        df = max((self.origins - 1) / 2, 3)
        world = self.world_shock * rng.standard_t(df, size=(draws, 1))
        n = int(ends.max()) + 1
        totals = sum_by_country(predicted, ends, n)
        shocks = np.interp(np.log1p(totals), self.country_sizes, self.country_shocks)
        country = shocks * rng.standard_t(df, size=(draws, n))
        # The pair's own part holds the countries' shocks too; take their share out of it.
        spread = np.array([np.std(self.bins[name].own) for name in names]) * noise
        shared = shocks[ends[:, 0]] ** 2 + shocks[ends[:, 1]] ** 2
        rest = np.sqrt(np.clip(1 - shared / np.maximum(spread, 1e-9) ** 2, 0.1, 1))
        focus = self.focus_shock * rng.standard_t(df, size=(draws, 1)) * in_focus
        both = country[:, ends[:, 0]] + country[:, ends[:, 1]]
        move = world + focus + both + own * noise * rest
        return np.maximum((predicted + 1) * np.exp(move) - 1, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return {
            "sizes": self.sizes.tolist(),
            "spreads": self.spreads.tolist(),
            "edges": list(self.edges),
            "bins": {n: {**vars(b), "own": b.own.tolist()} for n, b in self.bins.items()},
            "world_shock": self.world_shock,
            "focus_shock": self.focus_shock,
            "country_sizes": self.country_sizes.tolist(),
            "country_shocks": self.country_shocks.tolist(),
            "zero_sizes": self.zero_sizes.tolist(),
            "zero_shares": self.zero_shares.tolist(),
            "mean_sizes": self.mean_sizes.tolist(),
            "mean_logs": self.mean_logs.tolist(),
            "origins": self.origins,
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> Calibration:
        """Return what `to_json` wrote."""
        bins = {
            n: Bin(
                np.array(b["own"]),
                float(b["shock"]),
                int(b["years"]),
                float(b["width"]),
            )
            for n, b in state["bins"].items()
        }
        return Calibration(
            sizes=np.array(state["sizes"]),
            spreads=np.array(state["spreads"]),
            edges=tuple(state["edges"]),
            bins=bins,
            world_shock=float(state["world_shock"]),
            focus_shock=float(state["focus_shock"]),
            country_sizes=np.array(state["country_sizes"]),
            country_shocks=np.array(state["country_shocks"]),
            zero_sizes=np.array(state["zero_sizes"]),
            zero_shares=np.array(state["zero_shares"]),
            mean_sizes=np.array(state["mean_sizes"]),
            mean_logs=np.array(state["mean_logs"]),
            origins=int(state["origins"]),
        )
