from __future__ import annotations

from typing import Any

import pytest

from prodwatch.model.check import CheckDefinition
from prodwatch.model.result import RunResult
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import HERE, plain
from prodwatch.testing.probes import denied, refused


def fixed(type_: str, reason: str | None = None) -> CheckDefinition:
    return plain(type_, type=type_, reason=reason) if reason else plain(type_, type=type_)


@pytest.mark.parametrize(
    ("type_", "status", "exit_code"),
    [("pass", "pass", 0), ("fail", "fail", 1), ("skip", "skipped", 4)],
)
async def test_fixed_checks_prove_that_reporting_works(bench: Bench, type_: Any, status: Any, exit_code: Any) -> None:
    result = await bench.run(fixed(type_, "because"))
    assert result.checks[0].status == status
    assert result.checks[0].message == "because"
    assert result.verdict.exit_code == exit_code


@pytest.mark.parametrize(
    ("answer", "status", "reason", "exit_code"),
    [
        ({"status": 200}, "pass", None, 0),
        ({"status": 503}, "fail", "assertion", 1),
        (refused(), "fail", "connect", 1),
        (denied(), "error", "access_denied", 3),
        (RuntimeError("boom"), "error", "internal", 3),
        ({}, "fail", "assertion", 1),
    ],
    ids=["true", "false", "refused", "denied", "broken probe", "nothing there"],
)
async def test_one_check_one_status(bench: Bench, answer: Any, status: Any, reason: Any, exit_code: Any) -> None:
    bench.script("scripted", answer)
    result = await bench.run(plain(expect=["status == 200"]))
    check = result.checks[0]
    assert (check.status, check.reason_code, result.verdict.exit_code) == (status, reason, exit_code)
    assert check.source == HERE
    assert isinstance(result, RunResult)


async def test_a_warning_degrades(bench: Bench) -> None:
    bench.script("scripted", {"status": 200, "n": 5})
    result = await bench.run(plain(expect=["status == 200"], warn=["n < 3"]))
    assert result.checks[0].status == "degraded"
    assert result.verdict.exit_code == 0
    strict = await bench.run(plain(expect=["status == 200"], warn=["n < 3"]), strict=True)
    assert strict.verdict.exit_code == 1


async def test_reports_come_in_the_order_asked_for(bench: Bench) -> None:
    bench.script("scripted", {"ok": True}, takes_s=1)
    ids = [f"c{n}" for n in range(20)]
    result = await bench.run(*(plain(id_, expect=["ok == true"]) for id_ in ids))
    assert [each.id for each in result.checks] == ids


async def test_one_hung_endpoint_costs_its_own_timeout_only(bench: Bench) -> None:
    slow = bench.script("slow", {"ok": True}, takes_s=1000)
    bench.script("scripted", {"ok": True})
    began = bench.clock.monotonic_s()
    result = await bench.run(
        plain("hung", type="slow", expect=["ok == true"], timeout_s=3.0),
        *(plain(f"c{n}", expect=["ok == true"]) for n in range(30)),
    )
    assert [each.status for each in result.checks] == ["fail", *["pass"] * 30]
    assert result.checks[0].reason_code == "timeout"
    assert bench.clock.monotonic_s() - began <= 3.2
    assert len(slow.requests) == 1


async def test_the_run_has_a_deadline_of_its_own(bench: Bench) -> None:
    bench.script("slow", {"ok": True}, takes_s=1000)
    bench.script("scripted", {"ok": True})
    result = await bench.run(
        plain("hung", type="slow", expect=["ok == true"], timeout_s=900.0),
        plain("fine", expect=["ok == true"]),
        deadline_s=10,
    )
    assert [each.status for each in result.checks] == ["inconclusive", "pass"]
    assert result.checks[0].reason_code == "deadline"
    assert result.verdict.exit_code == 4
