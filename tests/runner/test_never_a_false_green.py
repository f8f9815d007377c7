"""One case per line of docs/guide/never-a-false-green.md, and the page lists exactly these."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import Capture, CheckDefinition, Poll
from prodwatch.model.environment import AwsTarget, FunctionTarget, Limits, ReleaseTarget, StackReference
from prodwatch.model.quantity import Headers
from prodwatch.model.result import RunResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import composite, environment, flow, plain, step
from prodwatch.testing.probes import denied, refused, throttled

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "never-a-false-green.md"

OK = ("ok == true",)


@dataclass
class Case:
    """Something that happens, and what must come of it."""

    line: str
    status: str
    exit_code: int
    checks: tuple[CheckDefinition, ...]
    answers: tuple[Any, ...] = ({"ok": True},)
    others: tuple[CheckDefinition, ...] = ()
    prepare: Callable[[Bench], None] = lambda _bench: None
    options: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] | None = None


def asks(*expect: str, check: dict[str, Any] | None = None, **keys: Any) -> tuple[CheckDefinition, ...]:
    return (plain("c", expect=expect or OK, check=check, **keys),)


def failing(status: Status, reason: Reason) -> Failure:
    return Failure(status=status, reason=reason, message="as scripted")


def under_release(bench: Bench) -> None:
    bench.environment = environment(
        functions=(FunctionTarget(name="shop", alias="live"),),
        release=ReleaseTarget(attest="header('x-version')", match="v{version}"),
    )
    bench.aws.answers["lambda:GetAlias"] = lambda _params: {"FunctionVersion": "42"}
    bench.script("http", Observation(document={"status": 200, "headers": Headers((("x-version", "v41"),))}))


def without_proof(bench: Bench) -> None:
    under_release(bench)
    bench.script("http", Observation(document={"status": 200, "headers": Headers()}))


def release_unreadable(bench: Bench) -> None:
    under_release(bench)
    bench.aws.fail("lambda:GetAlias", Reason.ACCESS_DENIED)


def status_500(bench: Bench) -> None:
    bench.script("http", {"status": 500, "json": {"ok": True}})


def no_journal(bench: Bench) -> None:
    bench.journal_dir.write_text("in the way")


def no_network(bench: Bench) -> None:
    bench.environment = environment(limits=Limits(self_check="https://neutral.example/"))
    bench.script("http", refused())


def another_account(bench: Bench) -> None:
    bench.environment = environment(aws=AwsTarget(account="111111111111"), stacks={"shop": StackReference(name="shop")})

    async def refuse(_account: str | None = None) -> str:
        raise AwsError("another account", code="x", reason=Reason.WRONG_ACCOUNT, service="sts", operation="x")

    bench.aws.account_id = refuse  # type: ignore[assignment,method-assign]


def protected(bench: Bench) -> None:
    bench.environment = environment(protected=True)


def unscripted(bench: Bench) -> None:
    def probe(_type: str) -> Any:
        raise KeyError(_type)

    bench._probe = probe  # type: ignore[assignment,method-assign]


def slow(bench: Bench) -> None:
    bench.script("scripted", {"ok": True}, takes_s=1000)


def no_cpu(bench: Bench) -> None:
    slow(bench)
    bench.lag.record(0.0, 100.0)


def stale(bench: Bench) -> None:
    bench.script("left", refused())


HTTP: dict[str, Any] = {"type": "http", "url": "https://shop.example/"}
RED = plain("red", type="fail")

CASES = [
    Case("the target refuses the connection", "fail", 1, asks(), (refused(),)),
    Case("the target does not answer in time", "fail", 1, asks(timeout_s=1.0), prepare=slow),
    Case("an assertion is false", "fail", 1, asks(), ({"ok": False},)),
    Case("the field of an assertion is not in the response", "fail", 1, asks(), ({"okay": True},)),
    Case("the value has another type than the one expected", "fail", 1, asks("n == 1"), ({"n": "1"},)),
    Case(
        "the response is wrong in a way that no assertion covers (status 500)",
        "fail",
        1,
        asks("json.ok == true", **HTTP),
        prepare=status_500,
    ),
    Case("the awaited state is never reached", "fail", 1, asks(poll=Poll(within_s=5)), ({},)),
    Case(
        "the awaited data appears but is wrong",
        "fail",
        1,
        asks("item.n == 1", poll=Poll(within_s=5, until=("item exists",))),
        ({}, {"item": {"n": 2}}),
    ),
    Case("an assertion that must stay true becomes false", "fail", 1, asks(hold_s=5.0), ({"ok": True}, {"ok": False})),
    Case("a value to be captured is not in the response", "fail", 1, asks(capture={"id": Capture(path="id")})),
    Case(
        "a member that must not pass passes",
        "fail",
        1,
        (composite("c", "none", "m"),),
        others=(plain("m", type="pass"),),
    ),
    Case("a warning is false, with `--strict`", "degraded", 1, asks(warn=["ok == false"]), options={"strict": True}),
    Case("AWS denies permission", "error", 3, asks(), (denied(),)),
    Case("AWS throttles the call, retries included", "error", 3, asks(), (throttled(),)),
    Case(
        "there are no credentials, or they have expired",
        "error",
        3,
        asks(),
        (failing(Status.ERROR, Reason.EXPIRED_CREDENTIALS),),
    ),
    Case(
        "the credentials belong to another account",
        "error",
        3,
        asks(url="${stack.shop.Url}"),
        prepare=another_account,
    ),
    Case("a stack output, secret or variable is not available", "error", 3, asks(url="${stack.nowhere.Url}")),
    Case("a mutation cannot be journalled", "error", 3, asks(mutates=True), prepare=no_journal),
    Case("a check type is broken or cannot be loaded", "error", 3, asks(), prepare=unscripted),
    Case("our own network is down too (self-check)", "error", 3, asks(), (refused(),), prepare=no_network),
    Case(
        "checks need each other in a cycle",
        "error",
        3,
        asks(check={"needs": ("d",)}),
        others=(plain("d", expect=OK, check={"needs": ("c",)}),),
    ),
    Case(
        "the list of `all`, `any` or `none` is empty",
        "inconclusive",
        4,
        asks("none items[].bad == true"),
        ({"items": []},),
    ),
    Case(
        "elements are selected or compared by a field that no element has",
        "inconclusive",
        4,
        asks("items[?stat == 'failed'] == []"),
        ({"items": [{"state": "failed"}]},),
    ),
    Case(
        "elements are selected by comparing values of different types",
        "inconclusive",
        4,
        asks("items[?code == '500'] == []"),
        ({"items": [{"code": 500}]},),
    ),
    Case(
        "something is absent from a source that could not be read to its end",
        "inconclusive",
        4,
        asks("item absent"),
        (Observation(document={"ok": True}, complete=False),),
    ),
    Case("the metric has no data", "inconclusive", 4, asks(), (failing(Status.INCONCLUSIVE, Reason.NO_DATA),)),
    Case(
        "another version than the one under test responded",
        "inconclusive",
        4,
        asks("status == 200", **HTTP),
        prepare=under_release,
    ),
    Case(
        "nothing proves which version responded, although proof is required",
        "inconclusive",
        4,
        asks("status == 200", **HTTP),
        prepare=without_proof,
    ),
    Case(
        "the version under test is unknown, although proof is required",
        "inconclusive",
        4,
        asks("status == 200", **HTTP),
        prepare=release_unreadable,
    ),
    Case("a check expects nothing", "inconclusive", 4, (plain("c"),)),
    Case("a flow has no steps", "inconclusive", 4, (flow("c"),)),
    Case(
        "a step is to run per element of an empty list",
        "inconclusive",
        4,
        (flow("c", step("find"), step("each", for_each="${steps.find.items}")),),
        ({"items": []},),
    ),
    Case("a composite has no members", "inconclusive", 4, (composite("c", "all"),)),
    Case(
        "a member of a composite was skipped",
        "inconclusive",
        4,
        (composite("c", "all", "m"),),
        others=(plain("m", type="skip"),),
    ),
    Case(
        "the run's deadline comes before a check is done",
        "inconclusive",
        4,
        (*asks(timeout_s=900.0), plain("fine", type="pass")),
        prepare=slow,
        options={"deadline_s": 5},
    ),
    Case("everything was skipped", "skipped", 4, (plain("c", type="skip"), plain("d", type="skip"))),
    Case(
        "a critical check was skipped",
        "skipped",
        4,
        (plain("c", type="skip", check={"critical": True}), plain("fine", type="pass")),
    ),
    Case("the only check is muted", "skipped", 4, asks(check={"muted_until": "2030-01-01"})),
    Case("the only check is disabled", "skipped", 4, asks(check={"enabled": False})),
    Case(
        "the only check is not for a protected environment",
        "skipped",
        4,
        asks(check={"mutates": True}),
        prepare=protected,
    ),
    Case("the only check is to run from another place", "skipped", 4, asks(check={"vantage": ("eu-office",)})),
    Case("a check that it needs did not pass", "skipped", 4, asks(check={"needs": ("red",)}), others=(RED,)),
    Case("a value that it requires is missing", "skipped", 4, asks(check={"requires": ("env.NOWHERE",)})),
    Case("a green result needed a second request", "pass", 0, asks(), (refused(), {"ok": True}), flags=("flaky",)),
    Case(
        "this machine has no CPU while the request times out",
        "inconclusive",
        4,
        asks(timeout_s=1.0),
        prepare=no_cpu,
        flags=("stalled",),
    ),
    Case(
        "cleanup left data behind",
        "degraded",
        3,
        (flow("c", step("a", expect=OK), cleanup=(step("z", "left"),)),),
        prepare=stale,
    ),
]


async def run(bench: Bench, case: Case) -> RunResult:
    bench.script("scripted", *case.answers)
    case.prepare(bench)
    return await bench.run(*case.checks, others=case.others, **case.options)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.line) for case in CASES])
async def test_never_a_false_green(bench: Bench, case: Case) -> None:
    result = await run(bench, case)
    check = result.checks[0]
    assert (check.status, result.verdict.exit_code) == (case.status, case.exit_code)
    assert check.status == "pass" or check.message
    assert check.status == "pass" or check.reason_code
    assert case.flags is None or check.flags == case.flags
    assert case.exit_code == 0 or result.verdict.status != "pass"


def rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_lists_exactly_these_lines() -> None:
    told = [(line, status.partition("`, ")[0].strip("`"), int(code)) for line, status, code in rows("While checks run")]
    assert told == [(case.line, case.status, case.exit_code) for case in CASES]


@pytest.mark.parametrize("row", [*rows("Around the checks"), *rows("In the dashboard")], ids=lambda row: row[0])
def test_what_is_proved_elsewhere_is(row: list[str]) -> None:
    found = re.fullmatch(r"`(tests/\S+\.py)::(test_\w+)`", row[2])
    assert found
    assert f"def {found[2]}(" in (ROOT / found[1]).read_text("utf-8")
