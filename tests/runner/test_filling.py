"""What `${…}` stands for when a check runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import Poll
from prodwatch.model.environment import FunctionTarget, SecretReference, StackReference
from prodwatch.model.spec import Key
from prodwatch.model.status import Reason
from prodwatch.testing.check_runner import Bench, by_id
from prodwatch.testing.definitions import environment, flow, plain, step

STACK = StackReference(name="shop-prod")


def stack_answer(**outputs: str) -> Any:
    listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return lambda _params: {"Stacks": [{"StackName": "shop-prod", "Outputs": listed}]}


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.environment = environment(
        stacks={"shop": STACK},
        vars={"api": "${stack.shop.ApiUrl}", "table": "orders"},
        secrets={"token": SecretReference(env="SHOP_TOKEN")},
        functions=(FunctionTarget(name="shop-orders", alias="live"),),
    )
    bench.environ["SHOP_TOKEN"] = "tok-0123456789"
    bench.aws.answers["cloudformation:DescribeStacks"] = stack_answer(ApiUrl="https://api.shop/Prod/", Path="/x/{id}")
    bench.aws.answers["lambda:GetAlias"] = lambda _params: {
        "FunctionVersion": "41",
        "RoutingConfig": {"AdditionalVersionWeights": {"42": 0.1}},
    }
    bench.aws.answers["lambda:GetFunctionConfiguration"] = lambda _params: {
        "LastModified": "2026-01-15T11:50:00.000+0000"
    }
    return bench


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("${vars.api | join('inbox')}", "https://api.shop/Prod/inbox"),
        ("${stack.shop.Path}", "/x/{id}"),
        ("${stack.shop.Path | replace('{id}', '7')}", "/x/7"),
        ("$${literal} {id}", "${literal} {id}"),
        ("${release.version} after ${release.previous}, ${release.state}", "42 after 41, shifting"),
        ("${release.serving}", "42"),
        ("${release.started_at}", datetime(2026, 1, 15, 11, 50, tzinfo=UTC)),
        ("${account} ${region}", "123456789012 eu-west-1"),
        ("${matrix.origin}", "a"),
        ("${now}", datetime(2026, 1, 15, 12, 0, tzinfo=UTC)),
        ("${now | shift('-5m') | format_time('%H:%M')}", "11:55"),
        ("${secret.token}", "tok-0123456789"),
        ("${env.SHOP_TOKEN}", "tok-0123456789"),
        ("${vars.own}", {"deep": [1, "orders"]}),
        ("${vars.own.deep.1}", "orders"),
        ("${vars.nothing | default('x')}", "x"),
    ],
)
async def test_every_scope(shop: Any, written: Any, sent: Any) -> None:
    probe = shop.script("scripted", {"ok": True})
    check = {"matrix": {"origin": "a"}, "vars": {"own": {"deep": [1, "${vars.table}"]}}}
    result = await shop.one(plain(expect=["ok == true"], value=written, check=check))
    assert result.message is None
    assert probe.requests[0].params["value"] == sent


async def test_uid_run_id_and_trace_id(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": True})
    marks = {"id": "TEST-${vars.mine}", "again": "${uid}", "run": "${run.id}", "trace": "${trace_id}"}
    check = flow("f", step("one", **marks), step("two", **marks), vars={"mine": "${uid}"})
    other = flow("g", step("one", **marks), vars={"mine": "${uid}"})
    result = await bench.run(check, other, run_id="run-1")
    one, two, three = sorted((request.params for request in probe.requests), key=lambda each: each["id"])
    unique = {each["id"] for each in (one, two, three)}
    assert len(unique) == 2
    for request in probe.requests:
        assert request.params["id"] == f"TEST-{request.params['again']}"
        assert request.params["run"] == result.run.id == "run-1"
        assert request.params["trace"] == request.context.trace_id
        assert request.context.own_marks == (request.params["again"],)


async def test_a_stack_is_described_once_however_many_use_it(shop: Any) -> None:
    shop.script("scripted", {"ok": True})
    await shop.run(*(plain(f"c{n}", expect=["ok == true"], url="${vars.api}") for n in range(20)))
    assert shop.aws.count("cloudformation:DescribeStacks") == 1


async def test_what_cannot_be_had_is_an_error_that_lists_what_there_is(shop: Any) -> None:
    shop.script("scripted", {"ok": True})
    result = await shop.run(
        plain("bad", expect=["ok == true"], url="${stack.shop.Apiurl}"), plain("good", expect=["ok == true"])
    )
    bad, good = result.checks
    assert (bad.status, bad.reason_code) == ("error", "unresolved")
    missing = "stack shop-prod in eu-west-1 has no output Apiurl"
    assert bad.message == f'{missing} (did you mean "ApiUrl"?); it has ApiUrl, Path'
    assert good.status == "pass"
    assert result.verdict.exit_code == 3


async def test_an_unreadable_stack_is_an_error_with_its_reason(shop: Any) -> None:
    shop.script("scripted", {"ok": True})
    shop.aws.fail("cloudformation:DescribeStacks", Reason.ACCESS_DENIED)
    check = await shop.one(plain(expect=["ok == true"], url="${vars.api}"))
    assert (check.status, check.reason_code) == ("error", "access_denied")


@pytest.mark.parametrize(
    ("requires", "status", "reason"),
    [
        ("stack.shop.ApiUrl", "pass", None),
        ("stack.shop.TestTable", "skipped", "prerequisite"),
        ("env.NOT_SET", "skipped", "prerequisite"),
        ("env.SHOP_TOKEN", "pass", None),
        ("vars.nothing", "skipped", "prerequisite"),
        ("env.EMPTY", "skipped", "prerequisite"),
    ],
)
async def test_requires_skips_with_the_reason(shop: Any, requires: Any, status: Any, reason: Any) -> None:
    shop.environ["EMPTY"] = ""
    shop.script("scripted", {"ok": True})
    check = await shop.one(plain(expect=["ok == true"], check={"requires": (requires,)}))
    assert (check.status, check.reason_code) == (status, reason)
    assert reason is None or requires in (check.message or "")


async def test_requires_does_not_skip_what_nobody_could_look_up(shop: Any) -> None:
    shop.script("scripted", {"ok": True})
    shop.aws.fail("cloudformation:DescribeStacks", Reason.EXPIRED_CREDENTIALS)
    check = await shop.one(plain(expect=["ok == true"], check={"requires": ("stack.shop.ApiUrl",)}))
    assert (check.status, check.reason_code) == ("error", "expired_credentials")


async def test_a_hole_in_an_assertion_is_filled_and_never_parsed(bench: Bench) -> None:
    bench.script("scripted", {"text": "it's == 'x' or 1 == 1"})
    bench.environment = environment(vars={"text": "it's == 'x' or 1 == 1"})
    assert (await bench.one(plain(expect=["text == '${vars.text}'"]))).status == "pass"


async def test_filled_values_become_what_their_key_wants(bench: Bench) -> None:
    bench.environ["PORT"] = "5432"
    keys = (Key(name="port", kind="integer", doc="x"), Key(name="hosts", kind="list", doc="x"))
    probe = bench.script("typed", {"ok": True}, keys=keys)
    assert (await bench.one(plain(type="typed", expect=["ok == true"], port="${env.PORT}"))).status == "pass"
    assert probe.requests[0].params["port"] == 5432
    bench.environ["PORT"] = "many"
    check = await bench.one(plain(type="typed", expect=["ok == true"], port="${env.PORT}"))
    assert (check.status, check.reason_code) == ("error", "invalid")
    assert "port" in (check.message or "")


async def test_unresolved_checks_leave_the_rest_running(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    bench.environment = environment(vars={"loop": "${vars.loop}"})
    result = await bench.run(
        plain("circle", expect=["ok == true"], url="${vars.loop}"),
        plain("each", expect=["ok == true"], url="${each.x}"),
        plain("early", expect=["ok == true"], url="${captured.x}"),
        plain("fine", expect=["ok == true"]),
    )
    assert [each.status for each in result.checks] == ["error", "error", "error", "pass"]
    assert "refers to itself" in (by_id(result)["circle"].message or "")


async def test_a_default_is_for_what_is_missing_not_for_what_nobody_could_read(shop: Any) -> None:
    shop.script("scripted", {"ok": True})
    optional = plain(expect=["ok == true"], url="${stack.shop.Nope | default('http://elsewhere')}")
    assert (await shop.one(optional)).status == "pass"

    def denied(_params: Any) -> Any:
        raise AwsError(
            "denied",
            code="AccessDenied",
            reason=Reason.ACCESS_DENIED,
            service="cloudformation",
            operation="DescribeStacks",
        )

    shop.aws.answers["cloudformation:DescribeStacks"] = denied
    found = await shop.one(optional)
    assert found.status == "error"
    assert "denied" in found.message


async def test_E_now_is_the_time_at_which_a_step_begins_and_stays_so_in_its_attempts(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": False}, {"ok": False}, {"ok": True}, {"ok": True})
    poll = Poll(within_s=10, every_s=2)
    first = step("a", at="${now}", began="${vars.began}", poll=poll, expect=["ok == true"])
    second = step("b", at="${now}", began="${vars.began}", expect=["ok == true"])
    await bench.one(flow("f", first, second, vars={"began": "${now}"}))
    at = [request.params["at"] for request in probe.requests]
    assert at[0] == at[1] == at[2] < at[3]
    assert {request.params["began"] for request in probe.requests} == {at[0]}


async def test_E_all_steps_of_a_flow_share_one_trace(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": True})
    steps = [step(name, id="${trace_id}", expect=["ok == true"]) for name in ("a", "b")]
    await bench.one(flow("f", *steps))
    ids = {request.params["id"] for request in probe.requests} | {each.context.trace_id for each in probe.requests}
    assert len(ids) == 1
