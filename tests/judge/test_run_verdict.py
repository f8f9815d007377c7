"""Results of one run into one verdict and its exit code."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.judge.decide import decide
from prodwatch.judge.facts import Facts, check_fact
from prodwatch.model.result import Blocking, CheckResult, Verdict
from prodwatch.model.status import Reason, Status, worst
from prodwatch.testing.definitions import HERE

STATUSES = list(Status)


def result(status: str, *flags: str, id: str = "c", reason: Reason | None = None) -> CheckResult:  # noqa: A002 -- as in TOML
    return CheckResult(
        id=id,
        name=id,
        title=id,
        kind="smoke",
        type="http",
        status=Status(status),
        flags=flags,
        reason_code=reason,
        message=f"because {id}",
        source=HERE,
    )


def decided(results: Iterable[CheckResult], **options: Any) -> Verdict:
    return decide(Facts(mode="run", checks=tuple(check_fact(each) for each in results), **options)).verdict


@pytest.mark.parametrize(
    ("results", "options", "status", "exit_code"),
    [
        (["pass"], {}, "pass", 0),
        (["pass", "degraded"], {}, "degraded", 0),
        (["pass", "degraded"], {"strict": True}, "degraded", 1),
        (["pass", "fail"], {}, "fail", 1),
        (["pass", "error"], {}, "error", 3),
        (["pass", "inconclusive"], {}, "inconclusive", 4),
        (["inconclusive", "error", "fail"], {}, "fail", 1),
        (["inconclusive", "error"], {}, "error", 3),
        (["inconclusive", "degraded"], {"strict": True}, "inconclusive", 4),
        (["pass", "skipped"], {}, "pass", 0),
        (["skipped", "skipped"], {}, "inconclusive", 4),
        ([], {}, "empty", 5),
        ([], {"allow_empty": True}, "empty", 0),
        ([], {"shard": (2, 3)}, "empty", 0),
        (["pass"], {"interrupted": 130}, "aborted", 130),
        (["fail"], {"interrupted": 143}, "aborted", 143),
        ([], {"interrupted": 130}, "aborted", 130),
    ],
)
def test_the_contracts_mapping(results: Any, options: Any, status: Any, exit_code: Any) -> None:
    verdict = decided([result(each, id=f"c{n}") for n, each in enumerate(results)], **options)
    assert (verdict.status, verdict.exit_code) == (status, exit_code)
    assert verdict.reason
    if exit_code in {1, 3, 4} and status != "degraded":
        assert verdict.blocking


@pytest.mark.parametrize(
    ("results", "status", "exit_code"),
    [
        ([result("fail", "advisory")], "pass", 0),
        ([result("fail", "advisory"), result("pass")], "pass", 0),
        ([result("fail", "advisory"), result("skipped")], "inconclusive", 4),
        ([result("skipped", "advisory")], "inconclusive", 4),
        ([result("fail", "supporting"), result("pass")], "pass", 0),
        ([result("skipped", "critical"), result("pass")], "inconclusive", 4),
        ([result("skipped", "critical"), result("fail")], "fail", 1),
        ([result("skipped", "critical", "advisory"), result("pass")], "pass", 0),
    ],
    ids=[
        "advisory alone",
        "advisory",
        "only advisory measured",
        "advisory skipped",
        "supporting",
        "critical skipped",
        "critical skipped, another red",
        "critical and advisory",
    ],
)
def test_flags_weigh(results: Any, status: Any, exit_code: Any) -> None:
    verdict = decided(results)
    assert (verdict.status, verdict.exit_code) == (status, exit_code)


def test_the_heaviest_comes_first_and_gives_the_reason() -> None:
    verdict = decided(
        [
            result("inconclusive", id="a", reason=Reason.NO_DATA),
            result("fail", id="b", reason=Reason.TIMEOUT),
            result("error", id="c", reason=Reason.THROTTLED),
        ]
    )
    assert [each.id for each in verdict.blocking] == ["b", "c", "a"]
    assert verdict.reason_code == "timeout"
    assert verdict.reason == "1 of 3 checks failed, first b: because b"


def test_what_keeps_the_whole_run_from_measuring_weighs_like_a_check() -> None:
    problem = Blocking(kind="run", id="account", status=Status.ERROR, message="another account")
    assert decided([result("pass")], refused=problem).exit_code == 3
    assert decided([result("fail")], refused=problem).exit_code == 1
    assert decided([], refused=problem).exit_code == 3


@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.booleans()), max_size=8), st.booleans())
def test_zero_means_measured_and_nothing_red(drawn: Any, strict: Any) -> None:
    results = [result(status.value, *(["advisory"] if advisory else [])) for status, advisory in drawn]
    verdict = decided(results, strict=strict)
    gating = [status for status, advisory in drawn if not advisory]
    if verdict.exit_code == 0:
        assert any(status is not Status.SKIPPED for status, _ in drawn)
        assert not {Status.FAIL, Status.ERROR, Status.INCONCLUSIVE} & set(gating)
        assert not (strict and Status.DEGRADED in gating)
        assert not gating or any(status is not Status.SKIPPED for status in gating)


def test_order_never_matters() -> None:
    for statuses in itertools.permutations(["fail", "error", "inconclusive", "degraded", "pass", "skipped"], 3):
        found = decided([result(each, id=each) for each in statuses]).status
        heaviest = worst(Status(each) for each in statuses)
        assert found == heaviest
