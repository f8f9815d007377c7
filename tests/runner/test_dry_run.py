"""Every call that would be made, and nothing sent."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.check import Poll
from prodwatch.model.environment import AlarmTarget, MetricTarget, SecretReference, StackReference
from prodwatch.runner import RunOptions
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import composite, environment, flow, plain, step


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.environment = environment(
        protected=True,
        vars={"api": "https://api.example", "late": "${stack.shop.Url}"},
        stacks={"shop": StackReference(name="shop")},
        secrets={"token": SecretReference(env="TOKEN")},
    )
    bench.environ["TOKEN"] = "s3cr3t-value"
    return bench


def test_calls_are_listed_filled_as_far_as_nobody_has_to_be_asked(shop: Any) -> None:
    probe = shop.script("scripted", {"ok": True})
    check = plain(
        "a", url="${vars.api | join('x')}", late="${vars.late}", auth="Bearer ${secret.token}", id="TEST-${uid}"
    )
    (call,) = shop.runner([check]).plan([check], RunOptions())
    assert call.params == {
        "url": "https://api.example/x",
        "late": "${stack.shop.Url}",
        "auth": "Bearer ${secret.token}",
        "id": "TEST-${uid}",
    }
    assert (call.check, call.step, call.type, call.when, call.skipped) == ("a", None, "scripted", "always", None)
    assert probe.requests == []
    assert shop.aws.calls == []


def test_a_text_is_filled_part_by_part_and_what_only_the_run_knows_is_a_named_hole(shop: Any) -> None:
    shop.environ["TOKEN_NAME"] = "blue"
    check = plain(
        "a",
        url="${vars.api}/orders/${uid}?from=${vars.late}",
        fixed="${vars.both | join('x')}",
        joined="${vars.late | join('x')} of ${env.TOKEN_NAME | upper}",
        secret="${env.TOKEN} and ${env.NOWHERE}",
        headers={"x-${matrix.size}": "${matrix.size}", "x-run": ["${run.id}", "${matrix.size}"]},
        default="${env.NOWHERE | default('none')}-${vars.api | length}",
        broken="${vars.api | arn('region')}",
        table="${vars.table}",
        number="${matrix.number}",
        check={
            "vars": {"both": "${vars.late}${uid}", "table": {"a": "${matrix.size}", "b": "${now}"}},
            "matrix": {"size": "small", "number": 7},
        },
    )
    (call,) = shop.runner([check]).plan([check], RunOptions())
    assert call.params == {
        "url": "https://api.example/orders/${uid}?from=${stack.shop.Url}",
        "fixed": "${vars.both | join('x')}",
        "joined": "${stack.shop.Url | join('x')} of BLUE",
        "secret": "${env.TOKEN} and ${env.NOWHERE}",
        "headers": {"x-small": "small", "x-run": ["${run.id}", "small"]},
        "default": "none-19",
        "broken": "${vars.api | arn('region')}",
        "table": {"a": "small", "b": "${now}"},
        "number": 7,
    }


def test_a_flow_lists_its_steps_and_its_cleanup_last_one_first(shop: Any) -> None:
    check = flow(
        "f",
        step("one", mutates=True),
        step("two", poll=Poll(within_s=10), hold_s=3.0),
        cleanup=(step("x"), step("y", for_each="${steps.one.items}")),
        mutates=True,
    )
    calls = shop.runner([check]).plan([check], RunOptions())
    assert [(each.step, each.when, each.mutates) for each in calls] == [
        ("one", "always", True),
        ("two", "always", False),
        ("y", "cleanup", False),
        ("x", "cleanup", False),
    ]
    assert calls[1].repeats == "until it holds, for at most 10 s; for 3 s"
    assert calls[2].repeats == "for each of ${steps.one.items}"


def test_what_would_be_skipped_says_so(shop: Any) -> None:
    check = plain("a", check={"mutates": True})
    (call,) = shop.runner([check]).plan([check], RunOptions())
    assert "--allow-writes" in (call.skipped or "")
    (call,) = shop.runner([check]).plan([check], RunOptions(allow_writes=True))
    assert call.skipped is None


def test_a_check_for_another_place_is_not_sent_from_here(shop: Any) -> None:
    check = plain("a", check={"vantage": ("eu-office",)})
    (call,) = shop.runner([check]).plan([check], RunOptions())
    assert call.skipped == (
        "not run: it is to be run from eu-office only, and this place has no name: set PRODWATCH_VANTAGE"
    )
    shop.environ["PRODWATCH_VANTAGE"] = "eu-office"
    (call,) = shop.runner([check]).plan([check], RunOptions())
    assert call.skipped is None


def test_what_a_check_refers_to_is_listed_once_with_its_reason(shop: Any) -> None:
    smoke = plain("a", check={"diagnose": ("d",), "needs": ("n",)})
    both = composite("both", "all", "a", "m")
    others = [plain("d", check={"kind": "diagnostic"}), plain("n"), plain("m")]
    calls = shop.runner([smoke, both, *others]).plan([smoke, both], RunOptions())
    assert [(each.check, each.when) for each in calls] == [
        ("a", "always"),
        ("n", "needed by a"),
        ("d", "when a is not green"),
        ("m", "needed by both"),
    ]
    calls = shop.runner([smoke, *others]).plan([smoke], RunOptions(no_diagnose=True))
    assert [each.check for each in calls] == ["a", "n"]


def test_the_reading_of_signals_is_planned_too(shop: Any) -> None:
    shop.environment = replace(
        shop.environment,
        metrics=(MetricTarget(name="latency", namespace="Shop", metric="Ms", expect=("value < 5",)),),
        alarms=(AlarmTarget(prefix="shop-"), AlarmTarget(prefix="other-", gate=False)),
    )
    check = plain("c", type="http", url="https://x")
    calls = shop.runner([check]).plan([check], RunOptions())
    assert [(call.check, call.type, call.params.get("prefix")) for call in calls[1:]] == [
        ("signals", "metric", None),
        ("signals", "alarm", "shop-"),
    ]
    assert len(shop.runner([check]).plan([check], RunOptions(no_signals=True))) == 1
    assert shop.runner([check]).plan([], RunOptions()) == ()
