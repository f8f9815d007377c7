"""`--scenario` and `--at` select the staged release wherever a demo environment is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.cli.run_with_signals import demo_target
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import SCENARIOS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    demo = '[demo]\nscenario = "good"\nat = "before"\nseed = 7\n'
    (tmp_path / "config" / "demo.toml").write_text(f'title = "Demo"\n{demo}')
    (tmp_path / "config" / "prod.toml").write_text('title = "Prod"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("options", "scenario", "at"),
    [
        (Common(), "good", "before"),
        (Common(scenario="slow-burn"), "slow-burn", "before"),
        (Common(at="+90s"), "good", "+90s"),
        (Common(scenario="outage", at="during"), "outage", "during"),
    ],
)
def test_an_option_wins_over_the_file(root: Path, options: Common, scenario: str, at: str) -> None:
    common = options.over(Common(env="demo", root=root))
    target = demo_target(load(common, quiet=True), common)
    assert target is not None
    assert (target.scenario, target.at, target.seed) == (scenario, at, 7)


def test_an_unknown_scenario_is_a_configuration_error_that_lists_the_known_ones(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=f'unknown staged release "ugly"; known: {", ".join(SCENARIOS)}'):
        load(Common(env="demo", root=root, scenario="ugly"), quiet=True)


def test_an_unknown_scenario_in_the_file_lists_the_known_ones(root: Path) -> None:
    (root / "config" / "demo.toml").write_text('title = "Demo"\n[demo]\nscenario = "ugly"\n')
    with pytest.raises(ConfigurationError) as raised:
        load(Common(env="demo", root=root), quiet=True)
    assert all(name in str(raised.value) for name in SCENARIOS)


@pytest.mark.parametrize("options", [Common(scenario="outage"), Common(at="during")], ids=["scenario", "at"])
def test_an_environment_without_demo_takes_no_moment_and_no_scenario(root: Path, options: Common) -> None:
    with pytest.raises(ConfigurationError, match=r'--(scenario|at) needs a demo environment, and "prod" has no'):
        load(options.over(Common(env="prod", root=root)), quiet=True)


def test_the_option_after_the_command_wins_over_the_one_before_it() -> None:
    common = Common(scenario="bad").over(Common(scenario="good", at="after"))
    assert common.arguments() == ["--at=after", "--scenario=bad"]
