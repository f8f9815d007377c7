"""The AWS session against a server: account first, every call counted, throttles retried, nothing sent twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from prodwatch.aws import call_time_limits
from prodwatch.aws.aws_calls import Aws
from prodwatch.aws.call_time_limits import CALL_TIME, CallTime, StepTime
from prodwatch.aws.interface import AwsError
from prodwatch.aws.rate_limiter import Bucket
from prodwatch.aws.request_hooks import WIRE_S, traced
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.faults import Fault, Kind
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import AwsTarget, DemoTarget, Limits
from prodwatch.model.status import Reason
from prodwatch.testing.clock import FakeClock
from tests.support.waiting import turn

Connect = Callable[..., Aws]
GROUP = "/aws/lambda/shop-session"


def lines(world: EmbeddedAws, count: int, group: str = GROUP) -> None:
    world.logs.delete_group(group)
    world.logs.create_group(group)
    now_ms = int(SystemClock().now().timestamp() * 1000)
    world.logs.put(group, "s", [(now_ms - count + number, f"line {number}") for number in range(count)])


async def test_the_account_is_verified_before_anything_else_is_sent(world: EmbeddedAws, connect: Connect) -> None:
    aws = connect(aws={"account": "999999999999"})
    for _ in range(2):
        with pytest.raises(CannotVerifyError, match=r"account 123456789012, but \[aws\] expects 9{12}") as caught:
            await aws.call("sqs", "ListQueues")
        assert caught.value.reason is Reason.WRONG_ACCOUNT
    assert {operation for _, operation in world.calls} == {"GetCallerIdentity"}


@pytest.mark.parametrize("way", ["pages", "client", "credentials", "account_id"])
async def test_no_way_leads_around_the_account(world: EmbeddedAws, connect: Connect, way: str) -> None:
    aws = connect(aws={"account": "999999999999"})
    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "pages": lambda: anext(aws.pages("logs", "DescribeLogGroups")),
        "client": lambda: aws.client("sqs"),
        "credentials": aws.credentials,
        "account_id": aws.account_id,
    }
    with pytest.raises(CannotVerifyError):
        await ways[way]()
    assert set(world.calls) == {("sts", "GetCallerIdentity")}


async def test_the_right_account_is_asked_once_however_many_call(world: EmbeddedAws, connect: Connect) -> None:
    aws = connect(aws={"account": "123456789012"})
    await asyncio.gather(*(aws.call("logs", "DescribeLogGroups") for _ in range(8)))
    assert world.call_counts["sts:GetCallerIdentity"] == 1
    assert await aws.account_id() == "123456789012"
    identity = await aws.identity()
    assert identity.clock_skew_s is not None
    assert abs(identity.clock_skew_s) < 5


async def test_without_an_account_to_verify_none_is_asked(world: EmbeddedAws, aws: Aws) -> None:
    await aws.call("logs", "DescribeLogGroups")
    assert world.call_counts["sts:GetCallerIdentity"] == 0


async def test_calls_are_counted_and_priced(aws: Aws) -> None:
    await aws.call("logs", "DescribeLogGroups")
    await aws.call("cloudwatch", "DescribeAlarms", {})
    aws.charge("logs:StartLiveTail", 2)
    usage = aws.usage()
    assert usage.calls == {"cloudwatch:DescribeAlarms": 1, "logs:DescribeLogGroups": 1}
    assert usage.cost_usd == pytest.approx(0.02001)


async def test_a_raw_client_is_counted_and_kept_to_the_limits_too(connect: Connect) -> None:
    aws = connect(limits=Limits(api_calls=1))
    client = await aws.client("logs")
    await client.describe_log_groups()
    with pytest.raises(AwsError) as caught:
        await client.describe_log_groups()
    assert caught.value.reason is Reason.LIMIT
    assert aws.usage().calls == {"logs:DescribeLogGroups": 1}


async def test_a_throttle_is_survived_counted_and_learnt_from(world: EmbeddedAws, connect: Connect) -> None:
    world.faults.add(Fault(operation="logs:DescribeLogGroups", kind="throttle", count=2))
    aws = connect(clock=FakeClock(auto=True))
    await aws.call("logs", "DescribeLogGroups")
    assert aws.usage().throttles == 2
    assert aws.usage().calls == {"logs:DescribeLogGroups": 3}
    bucket = aws.limiter.bucket("", "eu-west-1", "logs", "DescribeLogGroups")
    assert bucket.rate_per_s < bucket.family.rate_per_s


async def test_endless_throttles_end_in_one_sentence(world: EmbeddedAws, connect: Connect) -> None:
    world.faults.add(Fault(operation="*", kind="throttle"))
    aws = connect(clock=FakeClock(auto=True))
    with pytest.raises(AwsError, match="was throttled") as caught:
        await aws.call("logs", "DescribeLogGroups")
    assert caught.value.reason is Reason.THROTTLED
    assert caught.value.transient
    assert world.call_counts["logs:DescribeLogGroups"] == 4


@pytest.mark.parametrize("kind", ["throttle", "error_5xx", "drop", "drop_after"])
async def test_what_must_be_sent_once_is_sent_once(world: EmbeddedAws, connect: Connect, kind: Kind) -> None:
    world.faults.add(Fault(operation="sqs:CreateQueue", kind=kind))
    aws = connect(clock=FakeClock(auto=True))
    with pytest.raises(AwsError) as caught:
        await aws.call("sqs", "CreateQueue", {"QueueName": "once"}, retries=False)
    assert caught.value.transient
    assert world.call_counts["sqs:CreateQueue"] == 1


@pytest.mark.parametrize(
    ("kind", "reason", "code"),
    [
        ("error_5xx", Reason.SERVICE, None),
        ("drop", Reason.NETWORK, None),
        ("access_denied", Reason.ACCESS_DENIED, "AccessDeniedException"),
        ("expired_token", Reason.EXPIRED_CREDENTIALS, "ExpiredTokenException"),
    ],
)
async def test_faults_become_reasons(
    world: EmbeddedAws, connect: Connect, kind: Kind, reason: Reason, code: str | None
) -> None:
    world.faults.add(Fault(operation="logs:*", kind=kind))
    with pytest.raises(AwsError) as caught:
        await connect(clock=FakeClock(auto=True)).call("logs", "DescribeLogGroups")
    assert caught.value.reason is reason
    if code:
        assert caught.value.code == code
        assert world.call_counts["logs:DescribeLogGroups"] == 1


async def test_a_denied_call_names_the_action(world: EmbeddedAws, aws: Aws) -> None:
    world.faults.add(Fault(operation="lambda:*", kind="access_denied"))
    with pytest.raises(AwsError, match="permission lambda:GetAlias is missing"):
        await aws.call("lambda", "GetAlias", {"FunctionName": "f", "Name": "live"})


async def test_pages_are_read_to_the_end_over_empty_and_throttled_ones(world: EmbeddedAws, connect: Connect) -> None:
    lines(world, 500)
    world.faults.add(
        Fault(operation="logs:FilterLogEvents", kind="empty_page", count=2),
        Fault(operation="logs:FilterLogEvents", kind="short_page", probability=0.5),
        Fault(operation="logs:FilterLogEvents", kind="throttle", probability=0.3),
    )
    aws = connect(clock=FakeClock(auto=True))
    pages = [page async for page in aws.pages("logs", "FilterLogEvents", {"logGroupName": GROUP, "limit": 100})]
    messages = [event["message"] for page in pages for event in page["events"]]
    assert messages == [f"line {number}" for number in range(500)]
    assert any(not page["events"] for page in pages)


async def test_an_operation_without_pages_has_one(aws: Aws) -> None:
    assert len([page async for page in aws.pages("sts", "GetCallerIdentity")]) == 1


@pytest.mark.parametrize(
    ("service", "operation", "params", "sentence"),
    [
        ("sqs", "GetQueuUrl", {}, r"sqs has no operation \"GetQueuUrl\" \(did you mean GetQueueUrl\?\)"),
        ("sqs", "get_queue_url", {}, "sqs has no operation"),
        ("sqqs", "GetQueueUrl", {}, "sqqs"),
        ("sqs", "GetQueueUrl", {}, "was not sent: Parameter validation failed"),
    ],
)
async def test_an_invalid_request_is_reported_and_not_sent(
    world: EmbeddedAws, aws: Aws, service: str, operation: str, params: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(AwsError, match=sentence) as caught:
        await aws.call(service, operation, params)
    assert caught.value.reason is Reason.INVALID
    assert not world.calls


async def test_a_call_ends_with_its_time(world: EmbeddedAws, aws: Aws) -> None:
    await aws.client("logs")
    world.faults.add(Fault(operation="logs:*", kind="delay", delay_s=5))
    with pytest.raises(AwsError, match=r"did not respond within 0\.2 s") as caught:
        await aws.call("logs", "DescribeLogGroups", timeout_s=0.2)
    assert caught.value.reason is Reason.TIMEOUT
    world.faults.clear()
    assert "logGroups" in await aws.call("logs", "DescribeLogGroups")


async def test_time_spent_waiting_for_a_turn_is_not_blamed_on_aws(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    await aws.client("logs")
    monkeypatch.setattr(call_time_limits, "QUEUE_LIMIT_S", 0.1)
    bucket = aws.limiter.bucket("", "eu-west-1", "logs", "DescribeLogGroups")
    bucket.rate_per_s = 0.001
    bucket._tokens = 0
    with pytest.raises(AwsError, match="was not sent: it was still queued") as caught:
        await aws.call("logs", "DescribeLogGroups", timeout_s=0.2)
    assert caught.value.reason is Reason.THROTTLED


@pytest.mark.parametrize("place", ["client", "rate limit"])
async def test_the_limit_of_a_call_starts_when_its_request_leaves(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    waits: list[bool] = []

    def look() -> None:
        call = CALL_TIME.get()
        assert call is not None
        waits.append(call.waits)

    if place == "client":
        make = aws._clients._make_client

        async def made(*arguments: Any, **options: Any) -> Any:
            look()
            return await make(*arguments, **options)

        monkeypatch.setattr(aws._clients, "_make_client", made)
    else:

        async def acquire(_: Any) -> None:
            look()

        monkeypatch.setattr(Bucket, "acquire", acquire)
    accepted = Bucket.accepted

    def answered(bucket: Bucket) -> None:
        look()
        accepted(bucket)

    monkeypatch.setattr(Bucket, "accepted", answered)
    assert "logGroups" in await aws.call("logs", "DescribeLogGroups")
    assert waits == [True, False]


async def test_each_wait_in_this_process_stops_the_clock() -> None:
    clock = FakeClock()
    step = StepTime(clock, 5.0)
    async with CallTime(2.0, step) as call:
        await clock.advance(10)
        call.sent()
        await clock.advance(1)
        call.wait()
        await clock.advance(10)
        call.sent()
    assert step.elapsed_s() == 1
    assert step.left_s() == 4


async def test_a_cancelled_caller_leaves_the_client_to_the_others(world: EmbeddedAws, aws: Aws) -> None:
    first = asyncio.create_task(aws.client("logs"))
    second = asyncio.create_task(aws.client("logs"))
    await turn()
    first.cancel()
    assert await second is await aws.client("logs")


async def test_bodies_come_back_read(aws: Aws) -> None:
    where: dict[str, Any] = {"Bucket": "session-bodies"}
    await aws.call("s3", "CreateBucket", where | {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}})
    await aws.call("s3", "PutObject", where | {"Key": "k", "Body": b"hello"})
    assert (await aws.call("s3", "GetObject", where | {"Key": "k"}))["Body"] == b"hello"


async def test_the_trace_id_travels_in_its_header(aws: Aws) -> None:
    seen: list[Any] = []
    client = await aws.client("logs")
    client.meta.events.register("before-send", lambda request, **_: seen.append(request.headers.get("X-Amzn-Trace-Id")))
    with traced("1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"):
        await aws.call("logs", "DescribeLogGroups")
    await aws.call("logs", "DescribeLogGroups")
    first = seen[0].decode() if isinstance(seen[0], bytes) else seen[0]
    assert first == "Root=1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8;Sampled=1"
    assert seen[1] is None


async def test_another_account_has_region_role_and_identity_of_its_own(world: EmbeddedAws, connect: Connect) -> None:
    role = "arn:aws:iam::210987654321:role/prodwatch"
    aws = connect(accounts={"payments": AwsTarget(region="us-east-1", role_arn=role)})
    assert aws.region_name("payments") == "us-east-1"
    assert aws.region_name() == "eu-west-1"
    await aws.call("logs", "DescribeLogGroups", account="payments")
    assert world.call_counts["sts:AssumeRole"] == 1
    frozen = await aws.credentials("payments")
    assert frozen.token
    assert (await aws.credentials()).access_key != frozen.access_key


async def test_an_unknown_account_is_reported_with_the_known_ones(connect: Connect) -> None:
    aws = connect(accounts={"payments": AwsTarget()})
    with pytest.raises(AwsError, match=r'account "paymnts" is not in \[aws.accounts\]; known: payments'):
        await aws.call("logs", "DescribeLogGroups", account="paymnts")


async def test_a_role_that_is_refused_says_so(world: EmbeddedAws, connect: Connect) -> None:
    world.faults.add(Fault(operation="sts:AssumeRole", kind="access_denied"))
    aws = connect(aws={"role_arn": "arn:aws:iam::123456789012:role/no"})
    with pytest.raises(AwsError, match="permission sts:AssumeRole is missing"):
        await aws.call("logs", "DescribeLogGroups")


async def test_no_credentials_at_all_is_one_sentence(connect: Connect, tmp_path: Path) -> None:
    aws = connect({"AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
                   "AWS_PROFILE": "nobody"})  # fmt: skip
    with pytest.raises(AwsError, match="nobody") as caught:
        await aws.call("sts", "GetCallerIdentity")
    assert caught.value.reason is Reason.NO_CREDENTIALS


async def test_credentials_of_the_environment_win_over_a_profile_and_say_so(connect: Connect) -> None:
    aws = connect({"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "s" * 40}, aws={"profile": "shop"})
    assert aws.notices == ('profile "shop" is ignored: the environment variables hold credentials',)
    assert (await aws.credentials()).access_key == "AKIAENVIRONMENT"


async def test_a_profile_brings_its_keys_and_region(connect: Connect, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile shop]\nregion = ap-south-1\naws_access_key_id = AKIASHOP\naws_secret_access_key = s\n")
    aws = connect({"AWS_CONFIG_FILE": str(config)}, aws={"profile": "shop", "region": None})
    assert aws.region_name() == "ap-south-1"
    assert (await aws.credentials()).access_key == "AKIASHOP"


async def test_the_demo_never_uses_real_keys(connect: Connect) -> None:
    real = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "s" * 40, "AWS_PROFILE": "prod"}
    aws = connect(real, demo=DemoTarget())
    assert (await aws.credentials()).access_key == "prodwatchdemo"


async def test_a_closed_port_is_a_network_error(connect: Connect) -> None:
    aws = connect(aws={"endpoint_url": "http://127.0.0.1:9"}, clock=FakeClock(auto=True))
    with pytest.raises(AwsError, match=r"no connection at http://127\.0\.0\.1:9") as caught:
        await aws.call("logs", "DescribeLogGroups")
    assert caught.value.reason is Reason.NETWORK


async def test_models_are_read_off_the_event_loop(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    from prodwatch.aws import clients

    threads: list[str] = []
    read = clients.read_models

    def noted(services: tuple[str, ...]) -> str:
        threads.append(threading.current_thread().name)
        return read(services)

    monkeypatch.setattr(clients, "read_models", noted)
    await aws.client("sqs")
    await aws.client("events")
    assert len(threads) == 2
    assert "MainThread" not in threads


async def test_credentials_renewed_meanwhile_are_taken_up(world: EmbeddedAws, connect: Connect, tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    shared.write_text("[shop]\naws_access_key_id = AKIAOLD\naws_secret_access_key = s\n")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(shared), "AWS_CONFIG_FILE": str(tmp_path / "none")}
    aws = connect(environ, aws={"profile": "shop", "account": "123456789012"})
    await aws.call("logs", "DescribeLogGroups")
    world.faults.add(Fault(operation="logs:*", kind="expired_token", count=2))
    with pytest.raises(AwsError, match="store new keys in profile shop with `aws configure --profile shop`"):
        await aws.call("logs", "DescribeLogGroups")
    shared.write_text("[shop]\naws_access_key_id = AKIANEW\naws_secret_access_key = s\n")
    with pytest.raises(AwsError, match="have expired"):
        await aws.call("logs", "DescribeLogGroups")  # searched a moment ago, so not searched again yet
    world.faults.replace([Fault(operation="logs:*", kind="expired_token", count=1)])
    aws._clients._reloaded_s.clear()
    world.call_counts.clear()
    assert "logGroups" in await aws.call("logs", "DescribeLogGroups", retries=False)
    assert (await aws.credentials()).access_key == "AKIANEW"
    assert world.call_counts["sts:GetCallerIdentity"] == 1, "whose the new keys are is verified anew"


async def test_the_time_an_answer_took_leaves_queueing_out(connect: Connect) -> None:
    clock = FakeClock(auto=True)
    aws = connect(clock=clock)
    aws.limiter.bucket("", "eu-west-1", "logs", "DescribeLogGroups")._tokens = -9
    answer = await aws.call("logs", "DescribeLogGroups")
    assert clock.monotonic_s() >= 2
    assert answer["ResponseMetadata"][WIRE_S] == 0


async def test_accounts_with_the_same_credentials_share_one_session(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prodwatch.aws import clients
    from prodwatch.aws.credentials import new_session as new

    opened: list[str | None] = []

    def counted(where: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(where.alias)
        return new(where, *arguments, **options)

    monkeypatch.setattr(clients, "new_session", counted)
    aws = connect(accounts={"us": AwsTarget(region="us-east-1"), "ap": AwsTarget(region="ap-south-1")})
    for account in (None, "us", "ap"):
        await aws.call("logs", "DescribeLogGroups", account=account)
        assert (await aws.client("logs", account=account)).meta.region_name == aws.region_name(account)
    assert len(opened) == 1


async def test_quotas_belong_to_the_account_whatever_the_files_call_it(connect: Connect) -> None:
    aws = connect(aws={"account": "123456789012"}, accounts={"again": AwsTarget(account="123456789012")})
    await aws.call("logs", "DescribeLogGroups")
    await aws.call("logs", "DescribeLogGroups", account="again")
    assert [key for key in aws.limiter._buckets if key[2] == "logs"] == [("123456789012", "eu-west-1", "logs")]
    await aws.call("logs", "DescribeLogGroups", region="us-east-1")
    assert ("123456789012", "us-east-1", "logs") in aws.limiter._buckets


async def test_no_client_is_created_before_first_use(world: EmbeddedAws, aws: Aws) -> None:
    assert not aws._clients._clients
    await aws.client("sqs")
    assert len(aws._clients._clients) == 1
    assert not world.calls
