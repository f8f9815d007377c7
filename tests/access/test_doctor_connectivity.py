"""The doctor on identity, clock and endpoints: what is so, and what it disables where it should not be."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from prodwatch.access.doctor.identity_and_endpoints import endpoints, identities
from prodwatch.access.required_calls import RequiredCall
from prodwatch.aws.aws_calls import Identity
from prodwatch.aws.interface import AwsError
from prodwatch.cli.doctor.output import exit_code
from prodwatch.errors import CannotVerifyError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment
from prodwatch.model.status import Reason

ARN = "arn:aws:sts::123456789012:assumed-role/reader/me"


@dataclass
class Door:
    """As much of the door to AWS as the doctor looks at."""

    skew_s: float | None = 0.4
    region: str | None = "eu-west-1"
    failing: Exception | None = None
    url: str = "https://logs.eu-west-1.amazonaws.com"
    notices: tuple[str, ...] = ()
    asked: list[str | None] = field(default_factory=list)

    def region_name(self, _account: str | None = None) -> str | None:
        return self.region

    def profile_name(self, _account: str | None = None) -> str | None:
        return "shop-prod"

    async def identity(self, account: str | None = None) -> Identity:
        self.asked.append(account)
        if self.failing is not None:
            raise self.failing
        return Identity(account="123456789012", arn=ARN, clock_skew_s=self.skew_s)

    async def client(self, service: str, **_: Any) -> Any:
        if self.failing is not None:
            raise self.failing
        meta = SimpleNamespace(endpoint_url=self.url.replace("logs", service), region_name="eu-west-1")
        return SimpleNamespace(meta=meta)


def environment(**more: Any) -> Environment:
    return Environment(name="prod", title="Prod", source=SourcePosition("prod.toml"), **more)


@pytest.mark.parametrize(
    ("skew_s", "state", "told"),
    [
        (None, None, None),
        (0.4, "ok", "agrees with AWS"),
        (-1.9, "ok", "agrees with AWS"),
        (30.0, "warn", "30 s ahead of AWS; synchronise it with NTP"),
        (-90.0, "warn", "90 s behind AWS; synchronise it with NTP"),
        (240.0, "problem", "240 s ahead of AWS"),
        (-4000.0, "problem", "4000 s behind AWS"),
    ],
)
async def test_the_clock_is_compared_with_aws(skew_s: float | None, state: str | None, told: str | None) -> None:
    found, usable = await identities(Door(skew_s=skew_s), environment())  # type: ignore[arg-type]  # a door of ours
    clocks = [each for each in found if each.area == "clock"]
    assert usable == {None}
    assert [each.state for each in clocks] == ([state] if state else [])
    assert told is None or told in clocks[0].message
    assert state != "problem" or clocks[0].disables == ("all signed calls",)


async def test_identity_says_who_where_and_by_which_profile() -> None:
    door = Door(notices=('profile "x" is ignored: the environment variables hold credentials',))
    named = environment(aws=AwsTarget(account="123456789012"), accounts={"pay": AwsTarget(account="2")})
    found, usable = await identities(door, named)  # type: ignore[arg-type]  # a door of ours
    assert usable == {None, "pay"}
    who = [each.message for each in found if each.area == "identity"]
    assert who[0] == f"{ARN} in account 123456789012 (as in the file), eu-west-1, profile shop-prod"
    assert who[1].startswith(f"account pay: {ARN}")
    assert who[2] == door.notices[0]


@pytest.mark.parametrize(
    "failing",
    [
        CannotVerifyError("the credentials belong to AWS account 9", Reason.WRONG_ACCOUNT),
        AwsError(
            "the AWS credentials have expired; run `aws sso login`",
            code="ExpiredToken",
            reason=Reason.EXPIRED_CREDENTIALS,
            service="sts",
            operation="GetCallerIdentity",
        ),
    ],
    ids=["wrong account", "expired"],
)
async def test_an_account_nobody_may_speak_to_disables_everything_in_it(failing: Exception) -> None:
    found, usable = await identities(Door(failing=failing), environment(accounts={"pay": AwsTarget()}))  # type: ignore[arg-type]
    assert usable == set()
    assert [each.disables for each in found] == [("everything on AWS",), ("everything in account pay",)]
    assert str(failing) in found[0].message
    assert exit_code(found) == 3


async def test_no_region_is_a_problem_with_what_to_do() -> None:
    found, usable = await identities(Door(region=None), environment())  # type: ignore[arg-type]  # a door of ours
    assert (usable, found[0].state) == (set(), "problem")
    assert "set region in [aws] or AWS_REGION, or use --region" in found[0].message


def use(service: str, account: str | None = None) -> RequiredCall:
    return RequiredCall(service=service, operation="X", resource="*", purpose="x", account=account)


async def test_endpoints_tell_aws_from_anything_else() -> None:
    uses = [use("logs"), use("xray"), use("logs", "pay")]
    found = await endpoints(Door(), uses, {None}, {})  # type: ignore[arg-type]  # a door of ours
    assert [each.message for each in found] == ["logs, xray: AWS in eu-west-1"]
    here = Door(url="http://127.0.0.1:4566")
    found = await endpoints(here, uses, {None}, {"AWS_ENDPOINT_URL_LOGS": "http://127.0.0.1:4566"})  # type: ignore[arg-type]
    assert [(each.state, each.message) for each in found] == [
        ("ok", "logs, xray: http://127.0.0.1:4566"),
        ("warn", "AWS_ENDPOINT_URL_LOGS: calls are redirected, as in the AWS CLI"),
    ]
