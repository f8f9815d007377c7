from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, Correlation, Exchange, StepResult
from prodwatch.model.status import Status
from prodwatch.views.check_detail import check_detail, compact, copy_text, pretty
from prodwatch.views.checks import check_grid
from prodwatch.views.status_style import RUNNING, STATES, WAITING, state_of
from prodwatch.views.verdict_facts import session_facts

HERE = SourcePosition("checks/a.toml", 1, 1)


def test_red_comes_first_and_what_was_never_measured_before_green(checks: Any, now: datetime) -> None:
    order = [Status.PASS, Status.SKIPPED, None, Status.DEGRADED, Status.INCONCLUSIVE, Status.ERROR, Status.FAIL]
    for status in order:
        name = str(status)
        checks.define(name)
        if status:
            checks.rounds(name, status)
    rows = check_grid(checks.store, now).rows
    assert [row.status for row in rows] == [
        Status.FAIL,
        Status.ERROR,
        Status.INCONCLUSIVE,
        None,
        Status.DEGRADED,
        Status.PASS,
        Status.SKIPPED,
    ]


def test_diagnostics_stand_below_smoke_checks_even_when_red(play: Any, now: datetime) -> None:
    kinds = [row.kind for row in check_grid(play("during"), now).rows]
    assert kinds == sorted(kinds, key=lambda kind: kind != "smoke")
    assert "diagnostic" in kinds


@pytest.mark.parametrize(
    ("status", "keys", "hint"),
    [
        (Status.INCONCLUSIVE, {"mutates": True, "every_s": None}, True),
        (Status.FAIL, {"mutates": True, "every_s": None}, True),
        (Status.DEGRADED, {"mutates": True, "every_s": None}, False),
        (Status.FAIL, {"mutates": True, "every_s": 60.0}, False),
        (Status.FAIL, {}, False),
    ],
)
def test_B10_a_red_check_that_no_round_repeats_says_how_it_is_run_again(
    checks: Any, now: datetime, status: Status, keys: Any, hint: bool
) -> None:
    checks.define("order", **keys)
    checks.rounds("order", status, message="no response within 10 s")
    expected = "no response within 10 s" + ("; it runs once per session: r runs it again" if hint else "")
    assert check_grid(checks.store, now).rows[0].message == expected
    assert session_facts(checks.store, now, every_s=30.0).checks[0].message == expected


def test_counts_are_of_smoke_checks(play: Any, now: datetime) -> None:
    grid = check_grid(play("during"), now)
    assert grid.counts == {Status.FAIL: 2, Status.DEGRADED: 1, Status.PASS: 12, Status.SKIPPED: 1}
    assert (grid.waiting, grid.every_s) == (0, 15.0)


@pytest.mark.parametrize(
    ("sort", "first"),
    [("status", "order in euros"), ("name", "an order is stored"), ("latency", "inbox → table")],
)
def test_sorts(play: Any, now: datetime, sort: Any, first: str) -> None:
    assert check_grid(play("during"), now, sort=sort).rows[0].title == first


def test_the_oldest_results_come_first_by_age(checks: Any, now: datetime) -> None:
    checks.define("fresh")
    checks.define("old")
    checks.rounds("fresh", Status.PASS, age_s=1)
    checks.rounds("old", Status.PASS, age_s=80)
    assert [row.id for row in check_grid(checks.store, now, sort="age").rows] == ["old", "fresh"]


@pytest.mark.parametrize(("age_s", "stale"), [(59, False), (91, True)], ids=["fresh", "old"])
def test_three_rounds_without_a_result_are_stale(checks: Any, now: datetime, age_s: float, stale: bool) -> None:
    checks.define("a", every_s=30.0)
    checks.rounds("a", Status.PASS, age_s=age_s)
    assert check_grid(checks.store, now).rows[0].stale is stale


def test_the_filter_looks_at_title_and_id(play: Any, now: datetime) -> None:
    assert [row.id for row in check_grid(play("during"), now, needle="EURO").rows] == ["orders/order-in-euros"]
    assert {row.id.split("/")[0] for row in check_grid(play("during"), now, needle="edge/").rows} == {"edge"}


def test_a_skipped_check_has_no_latency(play: Any, now: datetime) -> None:
    row = next(row for row in check_grid(play("during"), now).rows if row.status is Status.SKIPPED)
    assert row.latency_ms is None


def test_every_status_has_a_glyph_a_word_and_a_tone_of_its_own() -> None:
    states = [*STATES.values(), WAITING, RUNNING]
    for part in ("glyph", "ascii", "word"):
        assert len({getattr(state, part) for state in states}) >= len(states) - (part == "ascii")
    assert all(state.ascii.isascii() for state in states)
    assert (state_of(None), state_of(None, running=True)) == (WAITING, RUNNING)


def test_an_opened_check_shows_red_assertions_first(play: Any) -> None:
    detail = check_detail(play("during"), "orders/order-in-euros")
    assert detail is not None
    assert [(each.expression, each.ok) for each in detail.assertions][:2] == [
        ("status == 201", False),
        ("json.currency == 'EUR'", False),
    ]
    assert detail.assertions[1].diff == ('- "EUR"', "+ (missing)")
    assert list(detail.exchanges[0][1].phases_ms) == ["dns", "connect", "tls", "ttfb", "download"]
    assert (len(detail.trace_ids), len(detail.request_ids), detail.version) == (1, 1, "42")
    assert [each.id for each in detail.diagnostics] == ["orders/table-reachable", "orders/recent-errors"]


def test_a_flow_shows_what_its_steps_did(play: Any) -> None:
    detail = check_detail(play("during"), "orders/inbox-to-table")
    assert detail is not None
    assert {each.step for each in detail.attempts} == {"stored"}


def test_a_check_that_never_ran_opens_empty(checks: Any) -> None:
    checks.define("a")
    detail = check_detail(checks.store, "a")
    assert detail is not None
    assert (detail.status, detail.assertions, detail.history) == (None, (), ())
    assert copy_text(detail, "json") is None


def test_request_ids_name_the_service_that_issued_them(checks: Any) -> None:
    def step(name: str, request: dict[str, Any]) -> StepResult:
        return StepResult(
            name=name,
            type="x",
            status=Status.PASS,
            exchange=Exchange(request=request),
            correlation=Correlation(request_ids=(name,)),
        )

    steps = (
        step("api", {"url": "https://x"}),
        step("table", {"service": "dynamodb"}),
        step("queue", {"service": "sqs"}),
        step("other", {"command": "ls"}),
    )
    checks.define("a")
    checks.store.apply_event(
        CheckFinished(
            result=CheckResult(
                id="a",
                name="a",
                title="a",
                kind="smoke",
                type="flow",
                status=Status.PASS,
                source=HERE,
                steps=steps,
                correlation=Correlation(request_ids=tuple(each.name for each in steps)),
            )
        )
    )
    detail = check_detail(checks.store, "a")
    assert detail is not None
    assert detail.request_sources == {"api": "API", "table": "DynamoDB", "queue": "SQS"}


def test_an_unknown_check_is_none(checks: Any) -> None:
    assert check_detail(checks.store, "nope") is None


def test_copies(play: Any) -> None:
    detail = check_detail(play("during"), "orders/order-in-euros")
    assert detail is not None
    curl, document = copy_text(detail, "curl"), copy_text(detail, "json")
    assert curl is not None
    assert curl.startswith("curl -X POST https://")
    assert document is not None
    assert '"status": "fail"' in document
    assert copy_text(detail, "aws") is None


def test_an_aws_call_is_copied_as_the_aws_command_of_every_step(checks: Any) -> None:
    checks.define("a")
    commands = [f"aws lambda get-function --function-name {name}" for name in ("f", "g")]
    steps = tuple(
        StepResult(name=command[-1], type="aws", status=Status.FAIL, exchange=Exchange(aws_cli=command))
        for command in commands
    )
    outcome = CheckResult(
        id="a", name="a", title="a", kind="smoke", type="flow", status=Status.FAIL, steps=steps, source=HERE
    )
    checks.store.apply_event(CheckFinished(result=outcome))
    detail = check_detail(checks.store, "a")
    assert detail is not None
    assert copy_text(detail, "aws") == "\n".join(commands)
    assert copy_text(detail, "curl") is None


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("x", "x"), (5, "5"), ({"a": [1]}, '{"a": [1]}'), (True, "true")]
)
def test_compact(value: Any, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ('{"a": 1}', ["{", '  "a": 1', "}"]),
        ("not json\nsecond", ["not json", "second"]),
        ("", [""]),
        ('"quoted"', ["quoted"]),
        ([1], ["[", "  1", "]"]),
    ],
)
def test_pretty(value: Any, lines: list[str]) -> None:
    assert pretty(value) == lines


@pytest.mark.parametrize(
    ("request_", "trace_id", "logged"),
    [
        ({"url": "https://h"}, None, True),
        ({"service": "lambda", "operation": "Invoke"}, None, True),
        ({"service": "lambda", "operation": "GetAlias"}, None, False),
        ({"service": "cloudformation", "operation": "DescribeStacks"}, None, False),
        ({"service": "events", "operation": "PutEvents"}, "1-a", True),
    ],
    ids=["http", "invoked", "alias", "api", "traced"],
)
def test_log_lines_are_expected_of_programs_only(
    checks: Any, request_: dict[str, Any], trace_id: str | None, logged: bool
) -> None:
    outcome = CheckResult(
        id="a",
        name="a",
        title="a",
        kind="smoke",
        type="t",
        status=Status.PASS,
        exchange=Exchange(request=request_),
        correlation=Correlation(trace_id=trace_id, request_ids=("r",)),
        source=HERE,
    )
    checks.store.apply_event(CheckFinished(result=outcome))
    detail = check_detail(checks.store, "a")
    assert detail is not None
    assert detail.logged is logged
