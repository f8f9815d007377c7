from __future__ import annotations

import pytest

from prodwatch.demo.shop import scenario
from prodwatch.demo.shop.scenario import SCENARIOS, load, names, parse
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import SCENARIOS as SCENARIO_NAMES


def test_the_scenarios_that_options_accept_are_shipped() -> None:
    assert tuple(names()) == SCENARIO_NAMES


@pytest.mark.parametrize("name", names())
def test_every_scenario_loads(name: str) -> None:
    scenario = load(name)
    assert scenario.release.version == "42"
    assert {"live", "before", "during", "after"} <= set(scenario.moments)


@pytest.mark.parametrize(
    ("at", "expected_s"),
    [(None, 45), ("before", -120), ("during", 192), ("after", 1500), ("+90s", 90), ("-30s", -30), ("+2m30s", 150)],
)
def test_moments(at: str | None, expected_s: float) -> None:
    assert load("bad").moment_s(at) == expected_s


@pytest.mark.parametrize("at", ["later", "90s", "+", "+soon", ""])
def test_unknown_moment_names_the_known_ones(at: str) -> None:
    with pytest.raises(ConfigurationError, match=r"before, during, after, or a time such as \+90s"):
        load("bad").moment_s(at)


def test_unknown_scenario_names_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError,
        match='unknown staged release "ugly"; known: bad, config-only, good, no-traffic, outage, slow-burn',
    ):
        load("ugly")


def _changed(old: str, new: str) -> str:
    text = (SCENARIOS / "bad.toml").read_text("utf-8")
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("seed = 42", "seed =", "staged release", id="broken TOML"),
        pytest.param("seed = 42", 'seed = "x"', "seed", id="wrong type"),
        pytest.param("seed = 42", "seed = 42\nsed = 1", "sed", id="unknown key"),
        pytest.param('during = "3m12s"', "", "lacks during", id="missing moment"),
        pytest.param('during = "3m12s"', 'during = "soon"', "not a duration", id="moment that is not a time"),
        pytest.param("[behaviour.default]", "[behaviour.41]", "behaviour.default", id="no default behaviour"),
        pytest.param("orders_per_s = 45.8", "orders_per_s = 90", "between 0 and 58", id="too busy"),
        pytest.param('at = "4m03s"', 'at = "1s"', "in the order of their time", id="script out of order"),
        pytest.param(
            "strict_currency = true",
            'error_rise = { to = 2, over = "1m" }',
            "error_rise must lead to a share between 0 and 1",
            id="rise above 1",
        ),
        pytest.param(
            "strict_currency = true",
            'error_rise = { to = 0.1, over = "0s" }',
            "error_rise must lead to a share between 0 and 1",
            id="rise in no time",
        ),
        pytest.param("[[0, 43]", "[[0.1, 43]", "must rise from share 0 to share 1", id="quantiles without a start"),
    ],
)
def test_the_mistake_in_a_scenario_is_named(old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(_changed(old, new), "mine")


def test_seconds_reads_signs() -> None:
    assert scenario.seconds("+1m5s") == 65
    assert scenario.seconds("-5s") == -5


def test_the_errors_of_a_slow_burn_rise_from_the_first_request_on_until_the_end_of_the_rise() -> None:
    behaviour = load("slow-burn").of("42")
    shares = [behaviour.error_share_at(at_s) for at_s in (-60, 0, 600, 1200, 6000)]
    assert shares == pytest.approx([0.001, 0.001, 0.0205, 0.04, 0.04])
    assert load("bad").of("42").error_share_at(600) == 0.061
