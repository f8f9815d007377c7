"""Ready diagnostics: a word in `diagnose` becomes an ordinary diagnostic check."""

from __future__ import annotations

from typing import Any

import pytest

CONFIG = '[aws]\nregion = "eu-west-1"\n[stacks]\nshop = "shop"\n'
INBOX = """
[[check]]
name = "inbox"
type = "sqs"
queue = "{queue}"
vars.stage = "prod"
environments = ["prod"]
diagnose = ["consumer"]
expect = ["age < 5m"]
"""
OTHER = (
    '[[check]]\nname = "consumer"\nkind = "diagnostic"\ntype = "tcp"\nhost = "h"\nport = 1\nexpect = ["connect < 1s"]\n'
)
ARN = "arn:aws:sqs:eu-west-1:${account}:"


@pytest.mark.parametrize(
    ("queue", "arn"),
    [
        ("inbox", ARN + "inbox"),
        ("https://sqs.eu-west-1.amazonaws.com/1/inbox", ARN + "inbox"),
        ("${stack.shop.Inbox}", ARN + "${stack.shop.Inbox | last_segment}"),
        ("shop-${vars.stage}-inbox", ARN + "shop-${vars.stage}-inbox"),
        ("https://sqs/1/${vars.stage}-inbox", ARN + "${vars.stage}-inbox"),
        ("arn:aws:sqs:us-east-1:2:inbox", "arn:aws:sqs:us-east-1:2:inbox"),
    ],
)
def test_D_consumer_is_a_diagnostic_of_the_queue(shop: Any, queue: str, arn: str) -> None:
    inbox, consumer = shop.load(INBOX.format(queue=queue), CONFIG).checks
    assert inbox.diagnose == (consumer.id,) == ("shop/inbox.consumer",)
    assert (consumer.kind, consumer.type, consumer.mutates) == ("diagnostic", "aws", False)
    assert consumer.environments == ("prod",)
    assert consumer.steps[0].params["params"] == {"EventSourceArn": arn}


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_a_queue_of_another_partition(shop: Any, region: str, partition: str) -> None:
    _, consumer = shop.load(INBOX.format(queue="inbox"), f'[aws]\nregion = "{region}"\n').checks
    assert consumer.steps[0].params["params"]["EventSourceArn"].startswith(f"arn:{partition}:sqs:{region}:")


def test_each_case_of_a_matrix_has_its_own(shop: Any) -> None:
    text = INBOX.format(queue="${matrix.name}") + 'matrix = { name = ["a", "b"] }\n'
    assert [check.id for check in shop.load(text, CONFIG).checks] == [
        "shop/inbox.a",
        "shop/inbox.a.consumer",
        "shop/inbox.b",
        "shop/inbox.b.consumer",
    ]


@pytest.mark.parametrize("file", ["shop.toml", "other.toml"])
def test_a_check_of_that_name_is_meant_instead(shop: Any, file: str) -> None:
    text = INBOX.format(queue="inbox")
    files = {"shop.toml": text + OTHER} if file == "shop.toml" else {"shop.toml": text, "other.toml": OTHER}
    checks = {check.name: check for check in shop.load(files, CONFIG).checks}
    assert checks["inbox"].diagnose == (checks["consumer"].id,)
    assert len(checks) == 2


@pytest.mark.parametrize(
    "text",
    [
        INBOX.format(queue="inbox")
        .replace('"sqs"', '"dns"')
        .replace("queue", "host")
        .replace("age < 5m", "latency < 5m"),
        INBOX.format(queue="inbox") + 'account = "pay"\n',
    ],
    ids=["no queue", "another account"],
)
def test_without_a_queue_of_its_own_account_it_is_a_mistake(shop: Any, text: str) -> None:
    line = shop.mistake(text, CONFIG + '[aws.accounts.pay]\nregion = "eu-west-1"\n')
    assert '"consumer" is the ready diagnostic of a queue' in line
