"""The outbox form of apigw-sqs-lambda-sqs: reading removes the message, and a queue reports only its depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PAGE = "outbox"
GENERATION = "outbox"

BREAKS: dict[str, Callable[[Any], None]] = {
    "nothing is forwarded": lambda sample: setattr(sample, "forwards", False),
    "the message comes too late": lambda sample: setattr(sample, "late", True),
    "a message of another sender comes first": lambda sample: sample.send("OutputQueue", id="OTHER"),
    "the function changes the text": lambda sample: setattr(sample, "mangles", True),
    "the function forwards it twice": lambda sample: setattr(sample, "twice", True),
    "it ends in the dead letters": lambda sample: sample.batch.append("before"),
    "the function forwards it": lambda sample: setattr(sample, "tolerates", True),
    "another sender's message comes to the dead letters instead": lambda sample: sample.__dict__.update(
        tolerates=True, intruders=["InputQueueDLQ"]
    ),
    "a message waits": lambda sample: sample.send("OutputQueue", id="OTHER"),
}

NEVER_SEEN = {
    "nothing is forwarded",
    "it ends in the dead letters",
    "the function forwards it",
    "another sender's message comes to the dead letters instead",
}
"""Failures after which a cleanup finds nothing to delete, and reports so."""
QUEUES = ("InputQueue", "OutputQueue", "InputQueueDLQ", "OutputQueueDLQ")


def test_all_three_pass_and_leave_nothing_behind(deployed: Any, prodwatch: Any) -> None:
    deployed.send("InputQueueDLQ", id="OTHER")
    outcome = prodwatch.check()
    assert outcome.code == 0, outcome.document["verdict"]
    assert len(outcome.statuses) == 3
    assert deployed.bodies("InputQueueDLQ") == ["OTHER"]
    assert deployed.bodies("OutputQueue") == []
    assert not outcome.leftovers()


def test_what_goes_wrong_is_said(row: Any, deployed: Any, prodwatch: Any) -> None:
    BREAKS[row.mode](deployed)
    outcome = prodwatch.check(row.check)
    row.judge(outcome)
    assert bool(outcome.leftovers()) == (row.mode in NEVER_SEEN)
    own = [id_ for name in QUEUES for id_ in deployed.bodies(name) if id_ != "OTHER"]
    assert own == []


def test_messages_of_others_stay_where_they_are(deployed: Any, prodwatch: Any) -> None:
    deployed.forwards = False
    deployed.send("InputQueueDLQ", id="OTHER")
    deployed.send("OutputQueueDLQ", id="OTHER")
    prodwatch.check("message reaches the outbox")
    prodwatch.check("malformed")
    assert deployed.bodies("InputQueueDLQ") == deployed.bodies("OutputQueueDLQ") == ["OTHER"]
