"""What the terminal prints when piped: plain, whole lines with the tables' numbers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from test_comparison import IMPORTANCE, REVERSED, study

from mlcoop.comparison import compare
from mlcoop.features.catalogue import FACTORS
from mlcoop.schema import FORECAST_CSV, Experiment
from mlcoop.terminal.comparison import _change, print_comparison
from mlcoop.terminal.factors import print_factors
from mlcoop.terminal.forecast import print_surprises, print_totals
from mlcoop.terminal.study import print_experiment, print_forecast, print_list
from mlcoop.terminal.tables import print_table


def finished() -> Experiment:
    base = study("planted", IMPORTANCE, simulated=True, warnings=[])
    forecast = pd.DataFrame(
        [
            ("CHN", "RUS", 2022, 2021, 1000.0, 1234.5, 1100.0, 1400.0, 0.9),
            ("BRN", "CHN", 2022, 2021, 0.0, 3.2, 0.0, 9.0, 0.9),
        ],
        columns=FORECAST_CSV,
    )
    planted = [
        {"factor": k, "rank": i + 1, "importance": v} for i, (k, v) in enumerate(IMPORTANCE.items())
    ]
    metrics = {
        "forecast": {
            "level": 0.9,
            "sets": {"focus": {"model": {"wape": 0.10}, "persistence": {"wape": 0.20}}},
            "skill": {"focus": {"against": "persistence", "value": 0.5, "low": 0.4, "high": 0.6}},
        }
    }
    factors = base.factors.assign(direction="+", effect_low_to_high=25.0, effect_unit="percent")
    return Experiment(
        **{
            **base.__dict__,
            "factors": factors,
            "forecast": forecast,
            "metrics": metrics,
            "coverage": {**base.coverage, "planted": planted},
            "config": {**base.config, "focus": {"focal": "CHN", "partners": "all"}},
        }
    )


def test_a_finished_study(capsys: pytest.CaptureFixture[str]) -> None:
    """Truth: the tables above; skill 1 - 0.10/0.20 = 50 %."""
    print_experiment(finished())
    text = capsys.readouterr().out
    assert "\x1b" not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["China–Russia", "2022", "1,000", "1,234", "1,100–1,400", "+23", "%"] in lines
    assert ["last", "year's", "count", "20.0", "%", "+50.0", "%"] in lines
    assert "planted (simulated)" in text and "Planted order" in text
    assert "Report: planted/report.html" in text
    for heading in ("Factors", "Groups of factors", "Forecasts", "Error one year ahead"):
        found = [line for line in text.splitlines() if line.startswith(heading)]
        assert found and all("(simulated)" in line for line in found)


def test_a_focus_set_without_works_has_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Truth: no share of nothing; the table is left out and the reason said."""
    base = finished()
    nothing = {"model": {"wape": None}, "persistence": {"wape": None}}
    forecast = {**base.metrics["forecast"], "sets": {"focus": nothing}, "skill": {"focus": {}}}
    print_experiment(replace(base, metrics={"forecast": forecast}))
    text = capsys.readouterr().out
    assert "Focus pairs had no works in any year tested" in text
    assert "Error one year ahead" not in text


def test_columns_are_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Truth: numbers of a column end at one place; a long name stays whole."""
    long = "a-name-" * 20
    table = pd.DataFrame({"name": [long, "b"], "value": [1.0, 12345.678], "none": [None, None]})
    print_table(table)
    head, first, second = capsys.readouterr().out.splitlines()
    assert long in first
    assert first.rstrip().endswith("–") and second.rstrip().endswith("–")
    assert first.index("1 ", len(long)) == second.index("1.235e+04") + len("1.235e+04") - 1
    assert head.split() == ["name", "value", "none"]


def test_a_missing_whole_number_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))
    assert capsys.readouterr().out.split() == ["n", "1", "–"]


def test_square_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(pd.DataFrame({"[bold]x": ["[red]y[/red]"]}))
    out = capsys.readouterr().out
    assert "[bold]x" in out and "[red]y[/red]" in out


def test_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    """Truth: reversed ranks; `a` falls from 1 to 8."""
    print_comparison(compare([study("one", IMPORTANCE), study("two", REVERSED)]))
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("A "))
    assert "+7" in row and row.rstrip().endswith("*")
    assert "-1.00" in text.replace("−", "-")


def test_many_experiments_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Truth: by hand. Seven alike and one reversed: `a` and `h` move by 7 there alone."""
    alike = [study(f"same{i}", IMPORTANCE) for i in range(7)]
    print_comparison(compare([*alike, study("turned", REVERSED)]))
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if "turned" in line and line.rstrip().endswith("*")]
    assert told[0].startswith("A ") and "+7" in told[0]
    assert told[1].startswith("H ") and "−7" in told[1]
    least = next(line for line in lines if "Kendall’s tau-b" in line)
    assert "−1.00 (same0, turned)" in least and "1.00 (same0, same1)" in least
    assert max(len(line) for line in lines) < 200


def test_catalogue_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_factors(list(FACTORS.values()))
    text = capsys.readouterr().out
    assert all(name in text for name in FACTORS)
    one = next(iter(FACTORS.values()))
    print_factors([one], whole=True)
    assert one.reference in capsys.readouterr().out
    print_list([{"name": "x", "simulated": True, "years": [2001, 2021], "skill": 0.05}])
    text = capsys.readouterr().out
    assert "x (simulated)" in text and "2001–2021" in text and "+5.0 %" in text


def test_forecasts_of_several_years_stand_year_by_year(capsys: pytest.CaptureFixture[str]) -> None:
    """Truth: of twelve pairs in two years the ten first rows are of the first year, whatever is
    expected of the second."""
    base = finished()
    rows = [
        ("CHN", b, year, 2021, 10.0, 20.0 - i + 100 * (year - 2022), 1.0, 200.0, 0.9)
        for year in (2022, 2023)
        for i, b in enumerate(["DEU", "FRA", "GBR", "IDN", "IND", "ITA", "JPN", "KOR", "MYS",
                               "PAK", "RUS", "USA"])
    ]  # fmt: skip
    print_experiment(replace(base, forecast=pd.DataFrame(rows, columns=FORECAST_CSV)))
    text = capsys.readouterr().out
    assert "Forecasts, the first 10 of 24" in text and "10 largest of 24" not in text


def test_a_sum_of_pairs_likely_to_have_no_work_is_wider_than_their_bounds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Truth: sixty pairs of 0.02 works have bounds of 0; at 90 % Poisson's law of 1.2 has 0 to 3,
    so it is not told that no sum is wider."""
    row = ("all", 2022, 1.2, 0.0, 3.0, 0.9, 0.0, 0.0)
    heads = ["total", "year", "predicted", "lower", "upper", "level", "naive_lower", "naive_upper"]
    print_totals(finished(), pd.DataFrame([row], columns=heads))
    text = capsys.readouterr().out
    assert "0–3" in text and "never wider" not in text and "Poisson variation" in text


def test_no_surprise_is_said_of_the_year_that_was_tested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # By hand: the study has counts of 2019 and 2021, so 2021 has no forecast from the year before.
    quiet = replace(
        finished(),
        surprises=pd.DataFrame({"in_focus": []}),
        backtest=pd.DataFrame({"year": [2018, 2019]}),
    )
    print_surprises(quiet)
    assert "No focus pair's count of 2019 fell outside" in capsys.readouterr().out


def test_forecasts_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    print_forecast(finished())
    text = capsys.readouterr().out
    assert "China–Brunei" in text and "50.0 % less error, better than the baseline" in text


def test_the_bounds_of_a_told_change_of_rank_hold_no_zero() -> None:
    """By hand: between -1.95 and -0.05 the only whole change is -1; -0.4 to 1.6 holds 0 and 1."""
    row = pd.Series({"change": -1.0, "low": -1.95, "high": -0.05, "told": True})
    assert _change(row).strip() == "−1 (−1) *"
    row = pd.Series({"change": 1.0, "low": -0.4, "high": 1.6, "told": False})
    assert _change(row).strip() == "+1 (0 to 1)"


def test_sums_stand_year_by_year_the_largest_first(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: what grows from year to year does not stand before another country's first year."""
    sums = [("KOR", 2013, 5.0), ("KOR", 2014, 9.0), ("JPN", 2013, 6.0), ("JPN", 2014, 7.0)]
    rows = [(country, year, n, n, n, 0.9) for country, year, n in sums]
    heads = ["total", "year", "predicted", "lower", "upper", "level"]
    print_totals(finished(), pd.DataFrame(rows, columns=heads))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "20" in line]
    assert [(line[-4], line[-3]) for line in lines] == [
        ("Japan", "2013"), ("Korea", "2013"), ("Korea", "2014"), ("Japan", "2014"),
    ]  # fmt: skip
