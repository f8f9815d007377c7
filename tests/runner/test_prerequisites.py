"""Reasons not to run a check, each decided before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.model.check import CheckDefinition
from prodwatch.runner.check.prerequisites import dependency_cycle
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import composite, environment, plain


@pytest.mark.parametrize(
    ("until", "status"),
    [
        ("2026-01-15T12:30:00+01:00", "pass"),
        ("2026-01-15T13:00:00+01:00", "pass"),
        ("2026-01-15T13:00:01+01:00", "skipped"),
        ("2026-01-15T11:30:00-01:00", "skipped"),
    ],
)
async def test_the_end_of_a_mute_is_in_its_own_time_zone(bench: Bench, until: str, status: str) -> None:
    probe = bench.script("scripted", {"ok": True})
    assert (await bench.one(plain(expect=["ok == true"], check={"muted_until": until}))).status == status
    assert len(probe.requests) == (status == "pass")


@pytest.mark.parametrize(
    ("names", "status"), [((), "pass"), (("other", "test"), "pass"), (("other", "production"), "skipped")]
)
async def test_a_check_runs_only_in_the_environments_that_it_names(
    bench: Bench, names: tuple[str, ...], status: str
) -> None:
    probe = bench.script("scripted", {"ok": True})
    bench.environment = environment(name="test")
    assert (await bench.one(plain(expect=["ok == true"], check={"environments": names}))).status == status
    assert len(probe.requests) == (status == "pass")


@pytest.mark.parametrize(
    ("value", "status"), [("null", "skipped"), ('""', "skipped"), ("0", "pass"), ("false", "pass")]
)
async def test_a_requirement_is_met_by_any_value_but_null_and_the_empty_text(
    bench: Bench, value: str, status: str
) -> None:
    probe = bench.script("scripted", {"ok": True})
    bench.environ["READY"] = value
    bench.environment = environment(vars={"ready": "${env.READY | parse_json}"})
    result = await bench.one(plain(expect=["ok == true"], check={"requires": ("vars.ready",)}))
    assert result.status == status
    assert len(probe.requests) == (status == "pass")


def needs(id_: str, *others: str) -> CheckDefinition:
    return plain(id_, check={"needs": others})


@pytest.mark.parametrize(
    ("checks", "refused"),
    [
        ([needs("a", "b"), needs("b")], ""),
        ([needs("a", "a")], "a"),
        ([needs("a", "b"), needs("b", "a")], "ab"),
        ([needs("a", "b"), needs("b", "c"), needs("c", "b")], "bc"),
        ([composite("a", "all", "a")], "a"),
        ([composite("a", "all", "b"), composite("b", "any", "a")], "ab"),
        ([composite("a", "all", "b"), needs("b", "a")], "ab"),
        ([needs("a", "b"), composite("b", "all", "c"), needs("c", "a")], "abc"),
        ([composite("a", "all", "b", "missing"), needs("b", "missing")], ""),
    ],
)
def test_a_check_is_refused_when_it_waits_for_itself(checks: Any, refused: str) -> None:
    definitions = {each.id: each for each in checks}
    assert "".join(each.id for each in checks if dependency_cycle(each, definitions) is not None) == refused
