"""The IATK sample, against a script: a listener made and removed, a predicate, and a trace that arrives in pieces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from prodwatch.demo.aws.api_call import Document, ServiceError

PAGE = "iatk"
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/"
RIGHT = {"source": "video.plugin.PythonMinimalPlugin", "detail-type": "plugin-complete"}
OTHER = {"source": "video.plugin.Another", "detail-type": "plugin-complete"}
NODES = (
    ("PluginLifecycleWorkflow-x1", "AWS::StepFunctions::StateMachine"),
    ("Events", "AWS::Events"),
    ("sample-PythonMinimalPluginFunction-a", "AWS::Lambda"),
    ("sample-PythonMinimalPluginFunction-a", "AWS::Lambda::Function"),
    ("sample-PluginTaskSuccessFunction-b", "AWS::Lambda"),
    ("sample-PluginTaskSuccessFunction-b", "AWS::Lambda::Function"),
)


@dataclass
class Sample:
    """EventBridge, SQS, Step Functions and X-Ray, as scripted; the defaults are right."""

    events: tuple[dict[str, str], ...] = (OTHER | {"detail-type": "plugin-started"}, RIGHT)
    """What the bus sees during the execution."""
    looks: int = 2
    """Number of reads of the queue, or of the trace, that find nothing."""
    again: bool = False
    """The last event comes once more, later."""
    denied: bool = False
    refused: bool = False
    machine: bool = True
    segments: int = 6
    orphan: bool = False
    success: str = "sample-PluginTaskSuccessFunction-b"
    fault: bool = False
    rules: dict[str, str] = field(default_factory=dict)
    """Name → pattern of the rules that were made."""
    targets: dict[str, list[str]] = field(default_factory=dict)
    queues: dict[str, list[str]] = field(default_factory=dict)
    """URL → bodies waiting."""
    started: list[Document] = field(default_factory=list)

    def describe_rule(self, params: Document) -> Document:
        return {"Name": params["Name"], "EventPattern": '{"detail-type": ["plugin-complete"]}', "State": "ENABLED"}

    def put_rule(self, params: Document) -> Document:
        if self.denied:
            raise ServiceError("AccessDeniedException", "User: tester is not authorized to perform: events:PutRule")
        self.rules[params["Name"]] = params["EventPattern"]
        return {"RuleArn": f"arn:aws:events:eu-west-1:123456789012:rule/{params['Name']}"}

    def put_targets(self, params: Document) -> Document:
        if self.refused:
            entry = {"TargetId": "queue", "ErrorCode": "ConcurrentModificationException", "ErrorMessage": "try again"}
            return {"FailedEntryCount": 1, "FailedEntries": [entry]}
        self.targets[params["Rule"]] = [each["Arn"] for each in params["Targets"]]
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def remove_targets(self, params: Document) -> Document:
        if params["Rule"] not in self.rules:
            raise ServiceError(
                "ResourceNotFoundException", f"Rule {params['Rule']} does not exist on EventBus default."
            )
        self.targets.pop(params["Rule"], None)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def delete_rule(self, params: Document) -> Document:
        if params["Name"] in self.targets:
            raise ServiceError("ValidationException", "Rule can't be deleted since it has targets.")
        self.rules.pop(params["Name"], None)
        return {}

    def create_queue(self, params: Document) -> Document:
        policy = json.loads(params["Attributes"]["Policy"])
        assert policy["Statement"][0]["Resource"].endswith(f":123456789012:{params['QueueName']}")
        self.queues[URL + params["QueueName"]] = []
        return {"QueueUrl": URL + params["QueueName"]}

    def delete_queue(self, params: Document) -> Document:
        del self.queues[params["QueueUrl"]]
        return {}

    def start_execution(self, params: Document) -> Document:
        if not self.machine:
            raise ServiceError(
                "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{params['stateMachineArn']}'"
            )
        self.started.append(params)
        for rule, pattern in self.rules.items():
            wanted = json.loads(pattern)["detail-type"]
            for arn in self.targets[rule]:
                self.queues[URL + arn.rpartition(":")[2]] += [
                    json.dumps(event) for event in self.events if event["detail-type"] in wanted
                ]
        return {"executionArn": f"{params['stateMachineArn']}:{params['name']}", "startDate": time.time()}

    def receive(self, params: Document) -> Document:
        self.looks -= 1
        waiting = self.queues[params["QueueUrl"]]
        if self.looks >= 0 or not waiting:
            return {}
        received, waiting[:] = waiting[:10], waiting[10:]
        if self.again:
            self.again, self.looks = False, 2
            waiting.append(received[-1])
        messages = [
            {"MessageId": f"m{number}", "ReceiptHandle": f"r{number}", "Body": body}
            for number, body in enumerate(received)
        ]
        return {"Messages": messages}

    def traces(self, params: Document) -> Document:
        self.looks -= 1
        if self.looks >= 0:
            return {"Traces": [], "UnprocessedTraceIds": []}
        root = self.started[0]["traceHeader"].partition("Root=")[2].partition(";")[0]
        assert params["TraceIds"] == [root]
        shown = list(range(6))[: self.segments] if self.looks < -1 else [0, 1, 2]  # the rest is still on its way
        if self.orphan:
            shown.remove(3)
        documents = [self._segment(root, number) for number in shown]
        return {"Traces": [{"Id": root, "Duration": 1.2, "Segments": documents}], "UnprocessedTraceIds": []}

    def _segment(self, root: str, number: int) -> Document:
        name, origin = NODES[number]
        document = {
            "trace_id": root,
            "id": f"{number + 1:016x}",
            "name": self.success if number > 3 else name,
            "origin": origin,
            "start_time": 1_800_000_000 + number / 10,
            "end_time": 1_800_000_001 + number / 10,
            "fault": self.fault and number == 3,
        } | ({"parent_id": f"{number:016x}"} if number else {})
        return {"Id": document["id"], "Document": json.dumps(document)}


@pytest.fixture
def sample(double: Any, monkeypatch: pytest.MonkeyPatch) -> Sample:
    made = Sample()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr("prodwatch.probes.sqs.probe.LONGEST_WAIT_S", 0)
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:tester"
    double.stack(PluginLifecycleWorkflow=machine, PluginSuccessEventRuleName="plugin-success")
    double.answers |= {
        "events:DescribeRule": made.describe_rule,
        "events:PutRule": made.put_rule,
        "events:PutTargets": made.put_targets,
        "events:RemoveTargets": made.remove_targets,
        "events:DeleteRule": made.delete_rule,
        "sqs:CreateQueue": made.create_queue,
        "sqs:DeleteQueue": made.delete_queue,
        "sqs:GetQueueAttributes": lambda _params: {"Attributes": {"QueueArn": "arn:aws:sqs:eu-west-1:123456789012:q"}},
        "sqs:ReceiveMessage": made.receive,
        "stepfunctions:StartExecution": made.start_execution,
        "xray:BatchGetTraces": made.traces,
        "xray:GetTraceSegmentDestination": lambda _params: {"Destination": "XRay", "Status": "ACTIVE"},
    }
    return made


BREAKS: dict[str, dict[str, Any]] = {
    "no event comes": {"events": ()},
    "the event comes after 30 s": {"looks": 30},
    "another plug-in sends it": {"events": (OTHER,)},
    "the event is another one": {"events": (RIGHT | {"source": "video.plugin.PythonMinimalPlugin.test"},)},
    "the event comes twice": {"events": (RIGHT, RIGHT)},
    "the event comes again later": {"again": True},
    "the rule may not be copied": {"denied": True},
    "the target is refused": {"refused": True},
    "the state machine does not exist": {"machine": False},
    "only other events come": {"events": (OTHER, OTHER)},
    "no trace comes": {"looks": 1000},
    "the last segments never come": {"segments": 4},
    "a segment comes without its parent": {"orphan": True},
    "another function succeeds": {"success": "sample-PluginTaskFailedFunction-c"},
    "the plug-in fails": {"fault": True},
}
LISTENED = [
    "cloudformation:DescribeStacks",
    "events:DescribeRule",
    "sts:GetCallerIdentity",
    "sqs:CreateQueue",
    "events:PutRule",
    "events:PutTargets",
    "stepfunctions:StartExecution",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "events:RemoveTargets",
    "events:DeleteRule",
    "sqs:DeleteQueue",
]


@pytest.mark.parametrize("check", ["one event", "among others"])
def test_a_listener_is_made_listened_to_and_removed(check: str, sample: Sample, double: Any, prodwatch: Any) -> None:
    outcome = prodwatch.check(check)
    assert outcome.code == 0, outcome.document["verdict"]
    assert sorted(set(double.called())) == sorted(LISTENED)
    assert len(sample.started) == 1
    assert (sample.rules, sample.targets, sample.queues) == ({}, {}, {})


def test_an_interrupted_check_removes_its_listener(sample: Sample, double: Any, prodwatch: Any) -> None:
    sample.events = ()
    start = sample.start_execution

    def interrupt(params: Document) -> Document:
        os.kill(os.getpid(), signal.SIGINT)
        return start(params)

    double.answers["stepfunctions:StartExecution"] = interrupt
    assert prodwatch.check("one event").code == 130
    assert (sample.rules, sample.targets, sample.queues) == ({}, {}, {})


def test_the_listener_of_a_killed_run_is_removed_on_demand(sample: Sample, double: Any, prodwatch: Any) -> None:
    command = [sys.executable, "-m", "prodwatch", "check", "--root", str(prodwatch.root), "-k", "one event"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    start = sample.start_execution

    def kill(params: Document) -> Document:
        running.kill()
        return start(params)

    double.answers["stepfunctions:StartExecution"] = kill
    running.wait(60)
    assert (len(sample.rules), len(sample.targets), len(sample.queues)) == (1, 1, 1)
    (journal,) = (prodwatch.root / "state").glob("*.journal")
    assert prodwatch("cleanup", journal.stem).code == 0
    assert (sample.rules, sample.targets, sample.queues) == ({}, {}, {})


def test_a_trace_is_waited_for_until_it_is_whole(sample: Sample, prodwatch: Any) -> None:
    outcome = prodwatch.check("the right path")
    assert outcome.code == 0, outcome.document["verdict"]
    assert sample.started[0]["traceHeader"].endswith(";Sampled=1")


@pytest.mark.slow  # a run and a deployment per row
def test_what_goes_wrong_is_said(row: Any, sample: Sample, prodwatch: Any) -> None:
    for name, value in BREAKS[row.mode].items():
        setattr(sample, name, value)
    outcome = prodwatch.check(row.check)
    row.judge(outcome)
    assert (sample.rules, sample.targets, sample.queues) == ({}, {}, {})
    assert not outcome.leftovers()
