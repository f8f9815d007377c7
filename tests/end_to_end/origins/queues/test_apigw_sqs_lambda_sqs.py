"""The three integration tests of apigw-sqs-lambda-sqs, and their messages when the sample is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PAGE = "apigw-sqs-lambda-sqs"
GENERATION = "results"

BREAKS: dict[str, Callable[[Any], None]] = {
    "the result comes too late": lambda sample: setattr(sample, "late", True),
    "no results are written": lambda sample: setattr(sample, "stores", False),
    "the function changes the text": lambda sample: setattr(sample, "mangles", True),
    "a malformed message precedes it in its batch": lambda sample: sample.batch.append("before"),
    "a malformed message follows it in its batch": lambda sample: sample.batch.append("after"),
    "the function forwards it": lambda sample: setattr(sample, "tolerates", True),
    "deployed with EnvType=prod": lambda sample: sample.deploy(generation=GENERATION, env_type="prod"),
}
NOTHING_COMES = "no results are written"
FOREIGN = "TEST000-of-another-run"


def test_all_three_pass_and_leave_nothing_behind(deployed: Any, prodwatch: Any) -> None:
    deployed.put(FOREIGN, "theirs", "elsewhere")
    outcome = prodwatch.check()
    assert outcome.code == 0, outcome.document["verdict"]
    assert outcome.statuses == {
        "message reaches the output queue [a first message]": "pass",
        "message reaches the output queue [a second message, different]": "pass",
        "malformed message reaches the dead letters": "pass",
    }
    assert deployed.results() == [FOREIGN]
    assert not outcome.leftovers()


def test_what_goes_wrong_is_said(row: Any, request: Any, prodwatch: Any) -> None:
    deployed = request.getfixturevalue("sample" if "EnvType" in row.mode else "deployed")
    BREAKS[row.mode](deployed)
    outcome = prodwatch.check(row.check)
    row.judge(outcome)
    if "EnvType" not in row.mode:
        assert deployed.results() == []
        assert bool(outcome.leftovers()) == (row.mode == NOTHING_COMES)


def test_what_comes_after_the_cleanup_gave_up_is_cleaned_on_demand(deployed: Any, prodwatch: Any) -> None:
    deployed.stores = False
    outcome = prodwatch.check("a first message")
    assert "key {'id': 'TEST-" in outcome.leftovers()[0]
    assert f"`prodwatch cleanup {outcome.run_id}` tries again" in str(outcome.document["notices"])
    deployed.put(FOREIGN, "theirs", "elsewhere")
    deployed.stores = True
    assert prodwatch("cleanup", outcome.run_id).code == 0
    assert deployed.results() == [FOREIGN]
