"""The statistical power of a study of a given size, on the terminal."""

from __future__ import annotations

import math

from mlcoop.power import Power
from mlcoop.report.names import number, percent, span
from mlcoop.terminal.tables import say, stdout, text_table


def print_power(power: Power) -> None:
    """Print which effects and orders of factors a study of a given size would establish."""
    console = stdout()
    size, assumed = power.size, power.surroundings
    say(
        console,
        f"A study of {number(size['focus_pairs'])} focus pairs "
        f"({number(size['training_pairs'])} for training), {size['years']} years and "
        f"{size['factors']} factors; {size['worlds']} simulated worlds with planted drivers",
        "bold",
    )
    say(
        console,
        f"Assumptions: {number(assumed.mean_works, 1)} works in an average pair and year; "
        f"persistent random effects with s.d. {assumed.pair_noise:g} (pairs) and "
        f"{assumed.country_noise:g} (countries); dispersion {assumed.dispersion:g}; log-linear "
        "factor effects.",
    )
    rows = []
    for found, order in zip(
        power.found.to_dict("records"), power.order.to_dict("records"), strict=True
    ):
        chances = [
            f"{percent(r['probability'])} ({span(r['low'], r['high'], percent)})"
            for r in (found, order)
        ]
        rows.append([f"{found['per_sd']:g}", f"{found['percent']:+.0f} %", *chances])
    headings = ["log works per s.d.", "collaboration", "effect detected", "order established"]
    console.print(
        text_table(
            "Power: probability for an effect, or a difference of two, of this size",
            headings,
            rows,
        )
    )
    for what, smallest in (
        ("effect detected", power.smallest_found),
        ("difference between two factors established", power.smallest_order),
    ):
        size_ = (
            "larger than all of these"
            if smallest is None
            else f"{smallest:.2f} log works per s.d. ({100 * math.expm1(smallest):+.0f} %)"
        )
        say(console, f"Smallest {what} in 80 % of studies: {size_}.")
    say(
        console,
        f"Of the factors detected, {percent(power.false_found)} had no effect. Of the orders "
        f"established, {percent(power.wrong_orders, 1)} were wrong.",
    )
    for note in power.notes:
        say(console, f"- {note}")
