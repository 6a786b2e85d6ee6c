"""Truth: DESIGN's rules for the experiment file, each broken on purpose."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlcoop.config import Config
from mlcoop.config_file import check_config, dump_config, load_config, set_key, settable
from mlcoop.errors import ConfigError
from mlcoop.family.file import load_family
from mlcoop.plan import make_plan


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), overrides)
    return [line.split("study.yaml", 1)[-1] for line in str(caught.value).splitlines()]


def test_the_shortest_useful_config_is_six_lines(tmp_path: Path) -> None:
    lines = "name: mine\nfocus:\n  focal: CHN\n  partners: asean\nyears:\n  start: 2005\n"
    assert len(lines.splitlines()) == 6
    config = load_config(write(tmp_path, lines))
    assert config.years.end == "latest" and config.tuning.trials == 30


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: x\nfocuss: {}", ', focuss: unknown key. Did you mean "focus"?'),
        (
            "name: x\npairs: all",
            ', pairs: unknown key. Did you mean "focus.pairs" or "training.pairs"?',
        ),
        ("name: x\ntuning: {trails: 3}", ', tuning.trails: unknown key. Did you mean "trials"?'),
        ("focus: {pairs: all}", ", name: missing; add it"),
        ("name: x\nfocus: {institution: UNC}", ', focus: "UNC" is no number'),
        (
            "name: x\ntuning: 3",
            ", tuning: a section with keys of its own, not 3; write for example",
        ),
        ("name: x\nreport: false", ", report: a section with keys of its own, not False"),
        ("name: x\nname: y", ', line 2: key "name" stands twice; correct the YAML'),
        ("name: x\nfocus: {focal: CHN}", ", focus: focal needs partners"),
        ("name: x\ntarget: {source: csv}", ", target: source csv needs path"),
        ("name: x\nyears: {start: 2010, end: 2011}", ", years: end 2011 leaves less"),
        ("name: x\nexplain: {level: 0.4}", ", explain.level: input should be greater than 0.5"),
        ("name: x\nforecast: {level: 90}", ", forecast.level: input should be less than 1"),
        # Each of these takes one of two forms, of which pydantic tells apart.
        (
            "name: x\nyears: {end: abc}",
            ", years.end: input should be a whole number or 'latest' (got 'abc')",
        ),
        (
            "name: x\ntraining: {countries: 7}",
            ", training.countries: input should be a text or a list (got 7)",
        ),
        ("name: x\nfocus: {partners: [KOR, 2]}", ", focus.partners[1]: input should be a valid"),
        ("name: x\nseed: true", ", seed: a number, not true"),
        ("name: x\nyears: {end: false}", ", years.end: a number, not false"),
        ("name: x\nfactors: {min_coverage: true}", ", factors.min_coverage: a number, not true"),
        (
            "name: x\nsimulated: {drivers: {distance: true}}",
            ", simulated.drivers.distance: input should be a valid number (got True)",
        ),
        ("name: x\nfactors: [gdp, {a: 1}]", ", factors[1]: input should be a valid string"),
        ("- a\n- b", ": holds no keys"),
        ("name: x\nfocus: {pairs: all", ", line 2: "),
    ],
)
def test_a_slip_gets_one_line_that_names_the_key(tmp_path: Path, text: str, line: str) -> None:
    lines = refusal(tmp_path, text)
    assert len(lines) == 1 and lines[0].startswith(line)


def test_all_bad_keys_are_reported_together(tmp_path: Path) -> None:
    lines = refusal(tmp_path, "name: x\nseeed: 1\ntuning: {trials: 0}\nexplain: {unit: cat}")
    assert {line.split(":")[0] for line in lines} == {
        ", seeed",
        ", tuning.trials",
        ", explain.unit",
    }


def test_country_codes_that_yaml_reads_as_booleans_survive(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "name: x\nfocus: {focal: NO, partners: [NA, ON, Y]}"))
    assert config.focus.focal == "NO" and config.focus.partners == ["NA", "ON", "Y"]


def test_overrides_reach_any_key_and_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nlearner: ppml\nfactors: [gdp]")
    config = load_config(
        path, ["years.end=2019", "learner.exposure=true", "factors.exclude=[dist]"]
    )
    assert config.years.end == 2019
    assert (config.learner.name, config.learner.exposure) == ("ppml", True)
    assert (config.factors.include, config.factors.exclude) == (["gdp"], ["dist"])
    assert "unknown key" in refusal(tmp_path, "name: x", "years.stop=2019")[0]


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("tuning.trials", "tuning.trials"),
        ("tuning.trials:5", "tuning.trials"),
        ("tunign.trials 5", "tuning.trials"),
        ("Years.Start", "years.start"),
        ("trials", "tuning.trials"),
        ("pairs", "focus.pairs"),
        ("explain", "explain.enabled"),
        ("title", "title"),
        ("learner.name=[", "learner.name"),
        ("=5", None),
    ],
)
def test_an_override_of_another_form_is_answered_with_an_example_that_works(
    typed: str, key: str | None, tmp_path: Path
) -> None:
    """Truth: the example is taken as it stands."""
    (line,) = refusal(tmp_path, "name: x", typed)
    assert line.startswith(f'--set "{typed}": ')
    (example,) = shlex.split(line.rpartition("for example ")[2])
    assert key is None or example.partition("=")[0] == key
    load_config(write(tmp_path, "name: x"), [example])


@pytest.mark.parametrize(("key", "value"), settable().items(), ids=str)
def test_every_key_has_an_example_that_it_takes(key: str, value: object) -> None:
    """Truth: the checks of a config, which may find other keys missing, but nothing at this one."""
    assert value is not None
    try:
        check_config(set_key({"name": "x"}, key, value, "x"), "x")
    except ConfigError as error:
        lines = str(error).splitlines()
        assert [line for line in lines if line.startswith((f"x, {key}:", f"x, {key}["))] == []


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_parameter_of_a_learner_is_of_its_kind(tmp_path: Path) -> None:
    text = "name: x\nfocus: {pairs: all}\nlearner: {params: {smooth: %s, trees: %s, depth: %s, %s}}"
    good = text % ("false", "0", "3", "reg_lambda: 0")
    assert make_plan(load_config(write(tmp_path, good)), "x", tmp_path).config.learner.params
    # 1e-3 without a point is text in YAML
    bad = text % ("1", "true", "0", "learning_rate: 1e-3, reg_lambda: .inf, subsample: .nan")
    with pytest.raises(ConfigError) as caught:
        make_plan(load_config(write(tmp_path, bad)), "x", tmp_path)
    assert [line.removeprefix("x, learner.params.") for line in str(caught.value).splitlines()] == [
        "smooth: true or false, not 1",
        "trees: a whole number of 0 or more, not True",
        "depth: a whole number of 1 or more, not 0",
        "learning_rate: a number of 0 or more, not '1e-3'",
        "reg_lambda: a number of 0 or more, not inf",
        "subsample: a number of 0 or more, not nan",
    ]


def test_a_pipe_is_refused_since_it_is_read_more_than_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe: a pipe, which can be read once only"):
        load_config(tmp_path / "pipe")


def test_keys_merged_in_yaml_give_way_to_those_that_stand_there(tmp_path: Path) -> None:
    text = (
        "name: x\nfocus: {pairs: all}\nvary:\n  members:\n    a: &a {seed: 3, learner: ppml}\n"
        "    b: &b {<<: *a, seed: 4}\n    c: {<<: *b, years: {start: 2005}}\n"
    )
    family = load_family(write(tmp_path, text))
    assert family is not None
    told = [(m.config.seed, m.config.learner.name, m.config.years.start) for m in family.members]
    assert told == [(3, "ppml", 2001), (4, "ppml", 2001), (4, "ppml", 2005)]
    # A key that stands twice is a slip still, beside a merged one too.
    twice = text.replace("{<<: *a, seed: 4}", "{<<: *a, seed: 4, seed: 5}")
    with pytest.raises(ConfigError, match='key "seed" stands twice'):
        load_family(write(tmp_path, twice))


def test_the_resolved_config_reads_back_as_itself(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "name: x\nfocus: {focal: NO, partners: [NA]}\nseed: 3"))
    again = load_config(write(tmp_path, dump_config(config)))
    assert again == config
    ready = "name: x\npanel: {path: p.csv, pair: [i, j], target: y, factors: [a, b]}"
    config = load_config(write(tmp_path, ready))
    assert load_config(write(tmp_path, dump_config(config))) == config


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"one": ["a"], "two": ["a", "b"]}, '"a" is in two groups'),
        ({"b": ["a"]}, '"b" is a factor in no group'),
        ({"one": ["c"]}, '"c" is not among factors'),
    ],
)
def test_every_factor_of_a_panel_is_in_one_group(groups: dict, said: str) -> None:
    # The last of two groups took it; a group of its own name took in a factor of none.
    panel = {"path": "p.csv", "pair": ["i", "j"], "target": "y", "factors": ["a", "b"]}
    with pytest.raises(ConfigError, match=said):
        check_config({"name": "x", "panel": {**panel, "groups": groups}}, "c.yaml")
    check_config({"name": "x", "panel": {**panel, "groups": {"b": ["a", "b"]}}}, "c.yaml")


TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Config.model_fields, "trials", "focal", "odd"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*Config.model_fields, "odd"]), TREE, max_size=5))
def test_any_tree_is_a_config_or_a_config_error(tree: dict) -> None:
    try:
        config = check_config(tree, "tree")
    except ConfigError as error:
        assert all(line.startswith("tree") for line in str(error).splitlines())
    else:
        assert isinstance(config, Config)
        assert yaml.safe_load(dump_config(config))["name"] == config.name


def test_a_focal_country_is_not_its_own_only_partner(tmp_path: Path) -> None:
    text = "name: x\nfocus: {focal: South Korea, partners: [KOR]}"
    with pytest.raises(ConfigError, match=r"focus\.partners: only KOR, the focal country itself"):
        make_plan(load_config(write(tmp_path, text)), "x", tmp_path)


@pytest.mark.parametrize("partners", ["[Germany, asean, fr]", "Germany", "belt and road"])
def test_names_are_kept_as_codes_for_what_reads_the_folder_later(
    partners: str, tmp_path: Path
) -> None:
    """Truth: ISO 3166; two spellings are one study."""
    text = "name: x\nfocus: {focal: South Korea, partners: %s}"
    plan = make_plan(load_config(write(tmp_path, text % partners)), "x", tmp_path)
    focus = plan.config.focus
    assert focus.focal == plan.focal == "KOR"
    codes = {"[Germany, asean, fr]": ["DEU", "asean", "FRA"], "Germany": "DEU"}
    assert focus.partners == codes.get(partners, "belt-and-road")
    again = make_plan(load_config(write(tmp_path, dump_config(plan.config))), "x", tmp_path)
    assert again == plan
