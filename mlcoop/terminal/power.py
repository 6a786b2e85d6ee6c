"""What a study of some size could tell, on the terminal."""

from __future__ import annotations

import math

from mlcoop.power import Power
from mlcoop.report.names import number, percent, span
from mlcoop.terminal.tables import say, stdout, text_table


def print_power(power: Power) -> None:
    """Print what a study of some size could tell."""
    console = stdout()
    size, assumed = power.size, power.surroundings
    say(
        console,
        f"A study of {number(size['focus_pairs'])} focus pairs "
        f"({number(size['training_pairs'])} trained on), {size['years']} years and "
        f"{size['factors']} factors; {size['worlds']} planted worlds",
        "bold",
    )
    say(
        console,
        f"Taken for granted: {number(assumed.mean_works, 1)} works in an average pair and year, "
        f"lasting effects of their own with s.d. {assumed.pair_noise:g} of pairs and "
        f"{assumed.country_noise:g} of countries, dispersion {assumed.dispersion:g}; log-linear "
        "effects.",
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
    headings = ["log works per s.d.", "collaboration", "found", "order told"]
    console.print(
        text_table("Chance that an effect, or a difference, of this size is told", headings, rows)
    )
    for what, smallest in (
        ("effect found", power.smallest_found),
        ("difference of two factors told", power.smallest_order),
    ):
        size_ = (
            "beyond all of these"
            if smallest is None
            else f"{smallest:.2f} log works per s.d. ({100 * math.expm1(smallest):+.0f} %)"
        )
        say(console, f"Smallest {what} in 80 % of studies: {size_}.")
    say(
        console,
        f"Of factors found, {percent(power.false_found)} had no effect; of orders told, "
        f"{percent(power.wrong_orders, 1)} were wrong.",
    )
    for note in power.notes:
        say(console, f"- {note}")
