"""The exception in the trace of a red check: one bounded reading that never fails a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import SourcePosition
from prodwatch.model.result import CheckResult, Correlation
from prodwatch.model.signal import Span, Trace
from prodwatch.model.status import Reason, Status
from prodwatch.session import trace_exceptions as module
from prodwatch.session.engine import Engine
from prodwatch.session.trace_exceptions import MAX_TRACES, exception_of, trace_exceptions
from prodwatch.testing.clock import FakeClock
from prodwatch.text.redact import Redactor

SPANS = (
    Span(id="a", name="api", start_s=0.0, end_s=2.0, exceptions=("outer",)),
    Span(id="b", parent_id="a", name="orders", start_s=0.1, end_s=1.9),
    Span(id="c", parent_id="b", name="Invocation", start_s=0.2, end_s=1.8, exceptions=("KeyError: 'c'",)),
)


def red(number: int, status: Status = Status.FAIL) -> CheckResult:
    return CheckResult(
        id=f"c{number}",
        name="c",
        title="c",
        kind="smoke",
        type="http",
        status=status,
        correlation=Correlation(trace_id=f"1-{number}"),
        source=SourcePosition("c.toml", 1, 1),
    )


class World:
    def __init__(self, calls: dict[str, int]) -> None:
        self.asked: list[list[str]] = []
        self.outcome: dict[str, Trace] | Exception = {}
        self.engine = cast(
            "Engine",
            SimpleNamespace(
                aws=SimpleNamespace(usage=lambda: SimpleNamespace(calls=calls)),
                redactor=Redactor(),
                clock=FakeClock(),
                environment=SimpleNamespace(trace_places=()),
            ),
        )

    async def fetch(self, _aws: object, ids: Any, *_: object, **__: object) -> dict[str, Trace]:
        self.asked.append(list(ids))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    here = World(getattr(request, "param", {"sts:GetCallerIdentity": 1}))
    monkeypatch.setattr(module, "fetch_traces", here.fetch)
    return here


async def test_only_red_checks_are_asked_for_and_at_most_one_call_of_them(world: World) -> None:
    world.outcome = {"1-1": Trace(id="1-1", spans=SPANS), "1-2": Trace(id="1-2", spans=SPANS[1:2])}
    checks = [red(0, Status.PASS), *map(red, range(1, 9))]
    assert await trace_exceptions(world.engine, checks) == {"c1": "KeyError: 'c' in orders → Invocation"}
    assert world.asked == [[f"1-{number}" for number in range(1, MAX_TRACES + 1)]]


DENIED = AwsError(
    "denied", code="AccessDeniedException", reason=Reason.ACCESS_DENIED, service="xray", operation="BatchGetTraces"
)


@pytest.mark.parametrize("outcome", [DENIED, TimeoutError()], ids=["denied", "late"])
async def test_traces_that_cannot_be_read_are_left_out(world: World, outcome: Exception) -> None:
    world.outcome = outcome
    assert await trace_exceptions(world.engine, [red(1)]) == {}


@pytest.mark.parametrize("world", [{}], indirect=True)
async def test_a_run_that_made_no_call_to_aws_makes_none_for_this(world: World) -> None:
    assert await trace_exceptions(world.engine, [red(1)]) == {}
    assert world.asked == []


def test_a_trace_without_an_exception_has_none() -> None:
    assert exception_of(Trace(id="1-a", spans=SPANS[1:2])) is None
    assert exception_of(Trace(id="1-a", spans=SPANS[:1])) == "outer in api"
