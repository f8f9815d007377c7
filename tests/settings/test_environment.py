"""Environment files: what becomes of them, and what can be wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.errors import ConfigurationError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import (
    AlarmTarget,
    AwsTarget,
    Compare,
    DemoTarget,
    Environment,
    ErrorComparison,
    FunctionTarget,
    KnownSignature,
    LatencyComparison,
    Limits,
    LogTarget,
    MetricTarget,
    ReleaseTarget,
    Rounds,
    SecretReference,
    SignatureLimits,
    StackReference,
)

FULL = """\
#:schema ../environment.schema.json
title = "Shop · production"
protected = false

[aws]
region  = "${env.REGION | default('eu-west-1')}"
profile = "shop-prod"
role_arn = "arn:aws:iam::123456789012:role/prodwatch"
account = "123456789012"
endpoint_url = "http://127.0.0.1:4566"

[aws.accounts.payments]
region = "us-east-1"
role_arn = "arn:aws:iam::210987654321:role/prodwatch"

[stacks]
shop = "${env.AWS_SAM_STACK_NAME | default('shop-prod')}"
pay = { name = "pay-${vars.stage}", account = "payments", region = "us-west-2" }

[vars]
stage = "prod"
api = "${stack.shop.ApiUrl}"
limits = { low = 1, since = 2026-01-01 }

[secrets]
token = { env = "SHOP_TOKEN" }
db    = { ssm = "/shop/${vars.stage}/db-password", account = "payments" }
key   = { secretsmanager = "shop/partner", field = "api_key" }

[[function]]
name = "${stack.shop.OrdersFunction}"
alias = "live"

[[function]]
name = "pay"
account = "payments"
log_group = "/pay"

[[logs]]
group = "/aws/apigateway/shop-*"
live_tail = true
filter = "?ERROR ?WARN"

[traces]
filter = 'service("shop-api")'

[[metric]]
name = "checkout latency"
namespace = "Shop"
metric = "CheckoutMs"
dimensions = { service = "orders" }
stat = "p95"
unit = "ms"
better = "lower"
expect = ["value <= 800ms"]
warn = "value <= 400ms"
gate = false
period = "5m"

[[alarm]]
prefix = "shop-"

[[alarm]]
names = ["a", "b"]
gate = false

[release]
codedeploy = "shop"
attest = "header('x-version')"
match = "v{version}"
baseline = "none"

[compare]
errors = { ratio = 3, difference = "1%", always = "5%", min_bad = 5, false_alarms = "0.2%", gate = false }
latency = { ratio = 1.5, shift = "50ms", false_alarms = "2%", gate = false }
signatures = false
require = "none"
coverage = "80%"
exclude = "route:GET /health"
known = [{ signature = "a1b2c3", until = 2027-01-15, reason = "payment sandbox" }]

[rounds]
every = "10s"
bake = "5m"

[limits]
concurrency = 5
per_host = 2
per_service = 3
api_cost_usd = 0.50
api_calls = 1000
self_check = "https://example.com"
prices = { "logs:FilterLogEvents" = 0.0001 }

[demo]
scenario = "good"
at = "+90s"
speed = 2
seed = 7
"""


def test_every_table(shop: Any) -> None:
    assert shop.load("", FULL).environment == Environment(
        name="prod",
        title="Shop · production",
        source=SourcePosition("config/prod.toml", 1, 1),
        protected=False,
        aws=AwsTarget(
            region="eu-west-1",
            profile="shop-prod",
            role_arn="arn:aws:iam::123456789012:role/prodwatch",
            account="123456789012",
            endpoint_url="http://127.0.0.1:4566",
        ),
        accounts={"payments": AwsTarget(region="us-east-1", role_arn="arn:aws:iam::210987654321:role/prodwatch")},
        stacks={
            "shop": StackReference(name="shop-prod"),
            "pay": StackReference(name="pay-prod", account="payments", region="us-west-2"),
        },
        vars={"stage": "prod", "api": "${stack.shop.ApiUrl}", "limits": {"low": 1, "since": "2026-01-01"}},
        secrets={
            "token": SecretReference(env="SHOP_TOKEN"),
            "db": SecretReference(ssm="/shop/prod/db-password", account="payments"),
            "key": SecretReference(secretsmanager="shop/partner", field="api_key"),
        },
        functions=(
            FunctionTarget(name="${stack.shop.OrdersFunction}", alias="live"),
            FunctionTarget(name="pay", account="payments", log_group="/pay"),
        ),
        logs=(LogTarget(group="/aws/apigateway/shop-*", live_tail=True, filter="?ERROR ?WARN"),),
        traces_filter='service("shop-api")',
        metrics=(
            MetricTarget(
                name="checkout latency",
                namespace="Shop",
                metric="CheckoutMs",
                dimensions={"service": "orders"},
                stat="p95",
                unit="ms",
                expect=("value <= 800ms",),
                warn=("value <= 400ms",),
                gate=False,
                period_s=300,
            ),
        ),
        alarms=(AlarmTarget(prefix="shop-"), AlarmTarget(names=("a", "b"), gate=False)),
        release=ReleaseTarget(codedeploy=("shop",), attest="header('x-version')", match="v{version}", baseline="none"),
        compare=Compare(
            errors=ErrorComparison(ratio=3.0, difference=0.01, always=0.05, min_bad=5, false_alarms=0.002, gate=False),
            latency=LatencyComparison(ratio=1.5, shift_s=0.05, false_alarms=0.02, gate=False),
            signatures=None,
            require="none",
            coverage=0.8,
            exclude=("route:GET /health",),
            known=(KnownSignature(signature="a1b2c3", until="2027-01-15", reason="payment sandbox"),),
        ),
        rounds=Rounds(every_s=10.0, bake_s=300.0),
        limits=Limits(
            concurrency=5,
            per_host=2,
            per_service=3,
            api_cost_usd=0.5,
            api_calls=1000,
            self_check="https://example.com",
            prices={"logs:FilterLogEvents": 0.0001},
        ),
        demo=DemoTarget(scenario="good", at="+90s", speed=2, seed=7),
    )


def test_a_key_of_a_comparison_has_its_effect_without_a_notice(shop: Any) -> None:
    config = '[compare]\ncoverage = "50%"\nexclude = ["route:GET /health", "client:10.0.0.0/8", "client:2001:db8::1"]\n'
    assert shop.load("", config).notices == ()
    config = '[release]\nbaseline = "none"\n[rounds]\nbake = "5m"\n[compare]\nlatency = false\n'
    assert shop.load("", config).notices == ()


def test_an_excluded_client_is_an_address_or_a_network(shop: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        shop.load("", '[compare]\nexclude = ["client:10.0.0.0/33", "client:proxy"]\n')
    must = 'must name clients by address, such as "client:10.0.0.0/8"'
    assert [str(each) for each in caught.value.problems] == [
        f'config/prod.toml:2:{column}: [compare]: "exclude" {must}, not "{text}"'
        for column, text in ((12, "client:10.0.0.0/33"), (34, "client:proxy"))
    ]


def test_a_metric_that_gates_without_assertions_gets_a_notice(shop: Any) -> None:
    metric = '[[metric]]\nname = "m"\nnamespace = "n"\nmetric = "x"\n'
    assert shop.load("", f"{metric}gate = true\n").notices == (
        "config/prod.toml:5:1: gate has no effect: the metric has neither expect nor warn",
    )
    for line in ("", "gate = false", 'gate = true\nwarn = "value < 1"'):
        assert shop.load("", f"{metric}{line}\n").notices == ()


def test_the_old_place_of_signatures_is_read_with_a_notice(shop: Any) -> None:
    project = shop.load("", "[release]\nsignatures = { gate = false }\n")
    assert project.environment.compare == Compare(signatures=SignatureLimits(gate=False))
    assert project.notices == (
        "config/prod.toml:2:1: [release] signatures is deprecated; write [compare] signatures instead",
    )


def test_an_empty_file_is_an_environment(shop: Any) -> None:
    environment = shop.load("", "").environment
    assert (environment.title, environment.protected, environment.demo) == ("prod", True, None)
    assert environment.limits == Limits()
    assert environment.rounds == Rounds()


def test_filled_at_once_where_it_can_be(shop: Any) -> None:
    shop.environ = {"REGION": "eu-north-1", "AWS_SAM_STACK_NAME": "other", "SAFE": "false", "N": "9"}
    config = FULL.replace("protected = false", 'protected = "${env.SAFE}"').replace(
        "concurrency = 5", 'concurrency = "${env.N}"'
    )
    environment = shop.load("", config).environment
    assert environment.aws.region == "eu-north-1"
    assert environment.stacks["shop"].name == "other"
    assert (environment.protected, environment.limits.concurrency) == (False, 9)


class TestCredentials:
    """Where the options and the surroundings stand before the file."""

    CONFIG = '[aws]\nregion = "eu-west-1"\nprofile = "shop-prod"\n'

    def test_options_stand_before_the_file(self, shop: Any) -> None:
        project = shop.load("", self.CONFIG, region="us-east-1", profile="mine")
        assert (project.environment.aws.region, project.environment.aws.profile) == ("us-east-1", "mine")
        assert project.notices == ()

    def test_credentials_in_the_environment_stand_before_a_profile_of_the_file(self, shop: Any) -> None:
        shop.environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}
        project = shop.load("", self.CONFIG)
        assert project.environment.aws.profile == ""
        assert project.notices == (
            (
                'profile "shop-prod" of config/prod.toml is ignored: AWS_ACCESS_KEY_ID is set, '
                "so the credentials in the environment are used"
            ),
        )

    def test_but_not_before_one_of_the_command_line(self, shop: Any) -> None:
        shop.environ = {"AWS_ACCESS_KEY_ID": "AKIA"}
        project = shop.load("", self.CONFIG, profile="mine")
        assert (project.environment.aws.profile, project.notices) == ("mine", ())

    def test_no_profile_at_all(self, shop: Any) -> None:
        assert shop.load("", '[aws]\nprofile = ""\n').environment.aws.profile == ""
        assert shop.load("", "[aws]\n").environment.aws.profile is None


def test_mistakes_of_both_kinds_of_file_come_together(shop: Any) -> None:
    lines = shop.mistakes("[[check]]\nname = 1", "titel = 1")
    assert [line.split(":")[0] for line in lines] == ["checks/shop.toml", "checks/shop.toml", "config/prod.toml"]


def test_a_broken_environment_hides_no_mistakes_of_checks_and_invents_none(shop: Any) -> None:
    check = '[[check]]\nname = "a"\ntype = "http"\nurl = "${vars.x}"\naccount = "pay"\nexpect = ["status = 1"]\n'
    lines = shop.mistakes(check, "[vars\nx = 1")
    assert len(lines) == 2
    assert "cannot read `status = 1`" in lines[0]
    assert "not valid TOML" in lines[1]


def test_a_mistake_in_a_declaration_is_said_once(shop: Any) -> None:
    check = '[[check]]\nname = "a"\ntype = "http"\nurl = "${stack.shop.Url}${secret.t}"\nexpect = ["status == 1"]\n'
    assert len(shop.mistakes(check, "[stacks]\nshop = 5\n[secrets]\nt = 5\n")) == 2


class TestFiles:
    """Files that cannot be read."""

    def test_missing(self, shop: Any) -> None:
        assert shop.mistake("", env="nix") == "config/nix.toml:1:1: cannot be read: No such file or directory"

    def test_not_utf_8(self, shop: Any) -> None:
        (shop.root / "config/prod.toml").write_bytes(b'title = "a"\n# \xff\n')
        assert shop.mistake("") == "config/prod.toml:2:3: not UTF-8 text; save the file as UTF-8"

    def test_a_folder(self, shop: Any) -> None:
        (shop.root / "config/dir.toml").mkdir()
        assert shop.mistake("", env="dir") == "config/dir.toml:1:1: this is a folder, not a file"

    def test_too_deep(self, shop: Any) -> None:
        assert shop.mistake("", "[vars]\nx = " + "[" * 90 + "]" * 90) == (
            "config/prod.toml:1:1: lists and tables are nested more than 60 deep"
        )

    def test_a_number_of_too_many_digits(self, shop: Any) -> None:
        assert shop.mistake("", "[vars]\nx = " + "9" * 5000) == "config/prod.toml:1:1: a number has too many digits"


def test_a_field_to_cover_is_one_of_json_lines(shop: Any) -> None:
    loaded = shop.load("", '[compare]\ncoverage_by = ["json.tenant", "json.call.name"]\n').environment
    assert loaded.compare.coverage_by == ("json.tenant", "json.call.name")
    assert shop.load("", '[compare]\ncoverage_by = "json.tenant"\n').environment.compare.coverage_by == ("json.tenant",)
    with pytest.raises(ConfigurationError) as caught:
        shop.load("", '[compare]\ncoverage_by = ["tenant", "json."]\n')
    must = 'must name fields of JSON lines, such as "json.tenant"'
    assert [str(each) for each in caught.value.problems] == [
        f'config/prod.toml:2:{column}: [compare]: "coverage_by" {must}, not "{text}"'
        for column, text in ((16, "tenant"), (26, "json."))
    ]


def test_applications_of_appconfig_are_one_or_several(shop: Any) -> None:
    for written, expected in (('"shop"', ("shop",)), ('["shop/prod", "pay"]', ("shop/prod", "pay"))):
        assert shop.load("", f"[release]\nappconfig = {written}\n").environment.release.appconfig == expected
