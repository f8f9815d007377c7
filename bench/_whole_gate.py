"""One simulated release as log lines on the embedded AWS, judged by a whole gate in virtual time.

The lines are those of the batches that the judge alone is fed with: equal seeds give equal requests.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from _judged import LONGEST_QUEUE, MISMATCH, Scene
from _releases import NEW, OLD, Release, Stream

from prodwatch.demo.aws.alarms.model import MetricAlarm
from prodwatch.demo.aws.codedeploy.model import Deployment, DeploymentStep
from prodwatch.demo.aws.faults import Fault, FaultPlan
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.shop.log_formats import WRITERS
from prodwatch.demo.workload import Invocation, InvocationResult, LogEvent, MetricSample, TracedCall
from prodwatch.model.check import CheckDefinition
from prodwatch.model.comparison import BATCH_MS, VersionCounts
from prodwatch.model.environment import AlarmTarget, AwsTarget, FunctionTarget, MetricTarget, ReleaseTarget
from prodwatch.model.result import RunResult
from prodwatch.session.gate import GateOptions, live_gate
from prodwatch.settings import Project
from prodwatch.testing.clock import START
from prodwatch.testing.definitions import environment, plain
from prodwatch.testing.idle_clock import IdleClock, run_idle

FUNCTION, ALIAS = "orders", "live"
GROUP = f"/aws/lambda/{FUNCTION}"
BAKE_S = 940.0
"""A bake of 15 minutes, with the time in which the last late lines are read."""
WARM_UP = 20
STREAMS = {NEW: 4, OLD: 10}
"""Environments that serve all the time."""
DAY_S = 86_400.0
CREATED_BEFORE_S = 60.0
"""Time between the creation of the deployment and the first shift."""
MEMORY_MB = 256
QUEUE = MetricTarget(
    name="queue",
    namespace="AWS/SQS",
    metric="ApproximateNumberOfMessagesVisible",
    dimensions={"QueueName": FUNCTION},
    stat="Maximum",
    expect=(f"value <= {LONGEST_QUEUE}",),
)
ALARM = "orders fail"
USUAL_DELAY_S, LONG_DELAY_S = 50.0, 1200.0
"""Delay of a metric's points."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "eu-west-1"}


class Lines:
    """`History` of one function's log group: the requests of a simulated release."""

    def __init__(self, release: Release, rate: float, seed: int, scene: Scene | None) -> None:
        self._scene = scene
        self._staging = scene.staging(rate, seed) if scene is not None else (0.0, 0.0, 0.0)
        self._random = Random(f"lines {release.name} {rate} {seed}")
        self._late_ms = release.late_s * 1000
        self._zero_ms = int(START.timestamp() * 1000)
        self._number = 0
        self._served = {NEW: 0, OLD: 0}
        self._by_batch: defaultdict[int, list[LogEvent]] = defaultdict(list)
        stream = Stream(release, rate, Random(f"{release.name} {rate} {seed}"))
        for batch in stream.before():
            self._write(batch.start_ms, batch.versions, 0, BATCH_MS)
        for number, look in enumerate(stream.looks()):
            for batch in look.batches:
                # Late records are visible at the first look after their end and their delay.
                delay = number - batch.start_ms // BATCH_MS
                low = max(0, (delay + 1) * BATCH_MS - self._late_ms) if batch.late else 0
                high = min(BATCH_MS, (delay + 2) * BATCH_MS - self._late_ms) if batch.late else BATCH_MS
                self._write(batch.start_ms, batch.versions, low, high)
        for events in self._by_batch.values():
            events.sort(key=lambda each: each.timestamp_ms)

    def _write(self, start_ms: int, versions: Mapping[str, VersionCounts], low_ms: int, high_ms: int) -> None:
        for version, counts in versions.items():
            events = self._by_batch[start_ms // BATCH_MS]
            for request in self._requests(version, counts):
                at_ms = self._zero_ms + start_ms + low_ms + int(self._random.random() * (high_ms - low_ms))
                late_ms = self._late_ms if version == NEW and start_ms >= 0 else 0
                for text in request.lines(at_ms):
                    stream = f"2026/01/15/[{version}]{request.stream}"
                    events.append(
                        LogEvent(
                            timestamp_ms=at_ms,
                            stream=stream,
                            message=text,
                            ingested_ms=at_ms + late_ms,
                            visible_ms=at_ms + late_ms,
                        )
                    )

    def _requests(self, version: str, counts: VersionCounts) -> Iterator[_Request]:
        """Yield the requests: failed ones first, then those with an error line, cold and warming ones last."""
        bad = [name for name, (_, failed) in counts.environments.items() for _ in range(failed)]
        logged = [text for (_, text), times in counts.signatures.items() for _ in range(times)]
        known_ms = iter(counts.warm_ms)
        warm = len(counts.warm_ms) if counts.warm_ms else counts.requests
        for number in range(counts.requests):
            self._number += 1
            cold = warm <= number < warm + counts.cold_starts
            failed = number < counts.failed
            if number < warm:
                stream = f"env-{number % STREAMS[version]}"
            elif cold:
                stream = f"cold-{self._number}"
            else:
                stream = f"warm-{self._warming(version) // WARM_UP}"
            if failed and number < len(bad):
                stream = bad[number]
            error = logged[number - counts.failed] if counts.failed <= number < counts.failed + len(logged) else None
            yield _Request(self._number, stream, next(known_ms, 1000.0), failed=failed, cold=cold, error=error)

    def _warming(self, version: str) -> int:
        self._served[version] += 1
        return self._served[version] - 1

    def log_groups(self) -> Mapping[str, int]:
        return {GROUP: self._zero_ms - int(DAY_S * 1000)}

    def log_events(self, group: str, start_ms: int, end_ms: int) -> Iterator[LogEvent]:
        if group != GROUP:
            return
        for index in range((start_ms - self._zero_ms) // BATCH_MS, (end_ms - self._zero_ms) // BATCH_MS + 1):
            for event in self._by_batch.get(index, ()):
                if start_ms <= event.timestamp_ms <= end_ms:
                    yield event

    def segments(self, _start_s: float, _end_s: float) -> Iterable[Mapping[str, Any]]:
        return ()

    def calls(self, _start_s: float, _end_s: float) -> Iterable[TracedCall]:
        return ()

    def metric_names(self) -> Iterable[tuple[str, str, Mapping[str, str]]]:
        return [(QUEUE.namespace, QUEUE.metric, QUEUE.dimensions)]

    def metric_samples(
        self, namespace: str, metric: str, _dimensions: Mapping[str, str], start_s: int, end_s: int
    ) -> Iterator[MetricSample]:
        if self._scene is None or (namespace, metric) != (QUEUE.namespace, QUEUE.metric):
            return
        onset, length, growth = self._staging
        for at_s in range(-(-start_s // 60) * 60, end_s, 60):
            minute = (at_s - self._zero_ms / 1000) / 60
            grown = max(0.0, minute - onset) * growth if self._scene.queue else 0.0
            delay_s = LONG_DELAY_S if self._scene.late_metric and minute >= onset else USUAL_DELAY_S
            yield MetricSample(timestamp_s=at_s, values=(length + grown,), counts=(1.0,), visible_s=at_s + 60 + delay_s)


class _Request(NamedTuple):
    number: int
    stream: str
    duration_ms: float
    failed: bool
    cold: bool
    error: str | None

    def lines(self, at_ms: int) -> Iterator[str]:
        """Yield its lines; one request in ten logs a line of the application."""
        writer = WRITERS["text"]
        request_id = f"{self.number:08x}-0000-4000-8000-000000000000"
        if self.error is not None:
            yield writer.app(at_ms, request_id, "ERROR", self.error, "")
        elif self.number % 10 == 0:
            yield writer.app(at_ms, request_id, "INFO", "order accepted", "")
        error_type = "Runtime.ExitError" if self.failed else ""
        init_ms = 400.0 if self.cold else 0.0
        yield writer.report(at_ms, request_id, self.duration_ms, init_ms, MEMORY_MB, None, error_type)


class Gated(NamedTuple):
    """Outcome of one gate."""

    result: RunResult
    minute: float
    """Virtual minutes from the shift to the verdict."""


def run_gate(release: Release, rate: float, seed: int, scene: Scene | None = None) -> Gated:
    """Judge one release; 15 minutes take seconds. A scene stages what counts do not show."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(CREDENTIALS, PRODWATCH_STATE_DIR=folder)
        return run_idle(_gate(Lines(release, rate, seed, scene), release, scene, rate, seed, Path(folder)))


async def _gate(lines: Lines, release: Release, scene: Scene | None, rate: float, seed: int, folder: Path) -> Gated:
    clock = IdleClock(START)
    async with embedded_aws(
        history=lines, wall=lambda: clock.now().timestamp(), sleep=clock.sleep, faults=_faults(scene, rate, seed)
    ) as (aws, url):
        _deploy(aws, release)
        target = environment(
            name="bench",
            aws=AwsTarget(region=aws.region, endpoint_url=url),
            functions=(FunctionTarget(name=FUNCTION, alias=ALIAS),),
            release=ReleaseTarget(codedeploy=(FUNCTION,)),
            metrics=(QUEUE,) if scene is not None else (),
            alarms=(AlarmTarget(names=(ALARM,)),),
            traces_enabled=False,
        )
        project = Project(folder, target, (_check(scene),))
        gate = live_gate(project, clock, GateOptions(bake_s=BAKE_S))
        await gate.run()
        return Gated(gate.result("bench"), (clock.now() - START) / timedelta(minutes=1))


def _faults(scene: Scene | None, rate: float, seed: int) -> FaultPlan:
    if scene is None or scene.refused is None:
        return FaultPlan()
    operation, kind = scene.refused
    from_s = START.timestamp() + scene.staging(rate, seed)[0] * 60 if scene.is_midway else None
    return FaultPlan((Fault(operation=operation, kind=kind, from_s=from_s),))


def _check(scene: Scene | None) -> CheckDefinition:
    if scene is None or scene.check is not MISMATCH:
        return plain("order", type="pass")
    return plain("order", type="lambda", function=FUNCTION, qualifier=ALIAS, check={"mutates": False})


async def _old_version(_invocation: Invocation) -> InvocationResult:
    return InvocationResult(payload=b"{}", executed_version=OLD, request_id="11111111-0000-4000-8000-000000000000")


def _deploy(aws: EmbeddedAws, release: Release) -> None:
    """Write a deployment that shifts the traffic as the release does."""
    zero_s = START.timestamp()
    aws.on_invoke = _old_version
    versions = [
        FunctionVersion(
            version=version,
            published_s=zero_s - age_s,
            code_sha256=f"code-{OLD if release.same_code else version}",
            environment={"LIMIT": version},
        )
        for version, age_s in ((OLD, DAY_S), (NEW, 2 * CREATED_BEFORE_S))
    ]
    alarm = MetricAlarm(
        name=ALARM,
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions={"FunctionName": FUNCTION},
        stat="Sum",
        threshold=1000.0,
        missing="notBreaching",
    )
    aws.alarms.put(alarm, created_s=zero_s - DAY_S, state="OK")
    aws.functions.put(Function(name=FUNCTION, versions=versions))
    aws.functions.put_alias(FUNCTION, ALIAS, OLD)
    shifts = [
        DeploymentStep(
            after_s=CREATED_BEFORE_S + minute * 60,
            weight=weight,
            lifecycle="AllowTraffic",
            lifecycle_status="InProgress",
        )
        for minute, weight in release.weights
    ]
    aws.deployments.put(
        Deployment(
            id="d-BENCH0001",
            application=FUNCTION,
            group=FUNCTION,
            function=FUNCTION,
            alias=ALIAS,
            current=OLD,
            target=NEW,
            created_s=zero_s - CREATED_BEFORE_S,
            events=[DeploymentStep(after_s=0.0, status="InProgress"), *shifts],
        )
    )
