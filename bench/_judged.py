"""One simulated release, judged from counts per batch as a gate judges it, or from other facts than counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

import msgspec
from _other_rules import RULES, Measured
from _releases import NEW, NEW_SIGNATURE, OLD, Look, Release, Stream

from prodwatch.demo.aws.faults import Kind
from prodwatch.judge.comparison.signature_comparison import SeenSignature, SignatureComparison
from prodwatch.judge.comparison.version_comparison import VersionComparison
from prodwatch.judge.decide import decide
from prodwatch.judge.facts import CheckFact, Facts, SignalFact, SourceFact
from prodwatch.model.comparison import ComparisonResult, SignatureKey
from prodwatch.model.environment import Compare
from prodwatch.model.signal import ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status

SETTLED_MIN = 2.0
"""Delay of a metric's points."""

RELEASE = ReleaseState(
    function="orders",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version=NEW,
    previous=OLD,
    weights={OLD: 0.9, NEW: 0.1},
    started_at=datetime(2026, 1, 15, 11, 50, tzinfo=UTC),
)
CONFIGURED = msgspec.structs.replace(RELEASE, code={OLD: "aa", NEW: "aa"}, configuration={OLD: "cc", NEW: "dd"})
"""A release of which only the configuration changed."""
READ = ("alarms", "release", "metrics", "logs:/aws/lambda/orders", "session")
GREEN = CheckFact(id="order", title="order", status=Status.PASS, age_s=10, every_s=30, rounds=28, planned=28)
MISMATCH = CheckFact(
    id="order",
    title="order",
    status=Status.INCONCLUSIVE,
    reason_code=Reason.VERSION_MISMATCH,
    age_s=10,
    every_s=30,
    rounds=28,
    planned=28,
)


class Scene(NamedTuple):
    """A cell that other facts than counts decide; it must never pass."""

    release: Release
    broken: Mapping[str, SourceFact] = {}
    """Sources from the onset on."""
    refused: tuple[str, Kind] | None = None
    """Operations that the embedded AWS refuses from the onset on, and how: what breaks the sources in a whole gate."""
    is_midway: bool = False
    """Whether the onset lies within the bake, at a random minute; otherwise it is the shift."""
    check: CheckFact = GREEN
    queue: bool = False
    """Whether a queue grows, at about 100 messages a minute, beyond the limit of a metric's `expect`."""
    late_metric: bool = False
    """Whether the points of a metric come 20 minutes late from the onset on."""

    def staging(self, rate: float, seed: int) -> tuple[float, float, float]:
        """Return the minute of the onset, and the queue's length and its growth a minute."""
        random = Random(f"staging {self.release.name} {rate} {seed}")
        onset = random.uniform(2.0, 13.0) if self.is_midway else 0.0
        return onset, random.uniform(20.0, 200.0), random.uniform(80.0, 120.0)


def _source(name: str, phase: SourcePhase, age_s: float | None = None) -> dict[str, SourceFact]:
    return {name: SourceFact(name=name, phase=phase, age_s=age_s)}


LOGS = "logs:/aws/lambda/orders"
READ_LINES, READ_ALARMS = "logs:FilterLogEvents", "cloudwatch:DescribeAlarms"
LONGEST_QUEUE = 500
SCENES = (
    Scene(Release("queue growing", harmful=True), queue=True),
    Scene(Release("wrong version serving", harmful=True), check=MISMATCH),
    Scene(Release("old version only", harmful=True, weights=((0.0, 0.0),))),
    Scene(Release("blind: no traffic", traffic=lambda _minute: 0.0)),
    Scene(
        Release("blind: late metrics"),
        _source("metrics", SourcePhase.BEHIND, 600.0),
        is_midway=True,
        late_metric=True,
    ),
    Scene(Release("blind: logs denied"), _source(LOGS, SourcePhase.DENIED), (READ_LINES, "access_denied")),
    Scene(
        Release("blind: logs denied midway"),
        _source(LOGS, SourcePhase.DENIED),
        (READ_LINES, "access_denied"),
        is_midway=True,
    ),
    Scene(Release("blind: logs throttled"), _source(LOGS, SourcePhase.THROTTLED), (READ_LINES, "throttle")),
    Scene(
        Release("blind: alarms throttled midway"),
        _source("alarms", SourcePhase.THROTTLED, 900.0),
        (READ_ALARMS, "throttle"),
        is_midway=True,
    ),
    Scene(
        Release("blind: credentials expire midway"),
        {each: SourceFact(name=each, phase=SourcePhase.EXPIRED, age_s=60.0) for each in READ},
        ("*", "expired_token"),
        is_midway=True,
    ),
)
UNREADABLE = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.THROTTLED))


class Served(NamedTuple):
    """Requests that a comparison of errors rests on."""

    canary: int
    canary_bad: int
    baseline: int
    baseline_bad: int


def served(comparisons: Sequence[ComparisonResult]) -> Served:
    """Return the requests of the comparison of errors; zeros without one."""
    errors = next((each for each in comparisons if each.kind == "errors"), None)
    if errors is None:
        return Served(0, 0, 0, 0)
    return Served(errors.canary.requests, errors.canary.bad or 0, errors.baseline.requests, errors.baseline.bad or 0)


class Judged(NamedTuple):
    """Outcome of one release."""

    status: str
    minute: float | None
    """Minutes from the harm to the failure; negative for a false alarm before it."""
    scores: Mapping[str, list[tuple[float, float]]]
    """Rule → (minute, score) whenever its score was higher than ever before."""
    served: Served


class Judge:
    """What a gate does with the batches of one release."""

    def __init__(self, stream: Stream) -> None:
        limits = Compare()
        self.release = CONFIGURED if stream.release.same_code else RELEASE
        self.versions = VersionComparison(RELEASE.id.subject, NEW, OLD, limits)
        assert limits.signatures is not None
        self.signatures = SignatureComparison(RELEASE.id.subject, NEW, OLD, limits.signatures)
        self.logged: set[SignatureKey] = set()
        for batch in stream.before():
            self.versions.add_before(batch)
            self.signatures.add_before(batch)

    def add(self, look: Look) -> None:
        """Judge what became visible at one look."""
        if look.shifted:
            self.versions.shift()
            self.signatures.shift()
        for batch in look.batches:
            self.versions.add(batch)
            self.signatures.add(batch)
            self.logged |= batch.of(NEW).signatures.keys()

    def facts(self, *, final: bool) -> Facts:
        """Return the facts as of now, with a green check and every source read."""
        seen = (
            SeenSignature(key=each, example=each[1], first_ms=0, before=each != NEW_SIGNATURE) for each in self.logged
        )
        return Facts(
            mode="gate",
            checks=(GREEN,),
            sources=tuple(SourceFact(name=each, phase=SourcePhase.LIVE, age_s=5.0) for each in READ),
            releases=(self.release,),
            comparisons=self.versions.results(),
            signatures=tuple(self.signatures.result(each) for each in seen),
            require="errors",
            final=final,
        )


def run_release(release: Release, rate: float, seed: int) -> Judged:
    stream = Stream(release, rate, Random(f"{release.name} {rate} {seed}"))
    judge = Judge(stream)
    rules = {name: rule(Random(f"{name} {seed}")) for name, rule in RULES.items()}
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in rules}
    measured = Measured()
    minute: float | None = None
    for look in stream.looks():
        if minute is None:
            judge.add(look)
            if _is_failed(judge.facts(final=False)):
                minute = look.minute
        seen = measured.add(look)
        for name, rule in rules.items():
            score = rule.score(seen)
            if score > (scores[name][-1][1] if scores[name] else 0.0):
                scores[name].append((look.minute, score))
    if minute is not None:
        return Judged("fail", minute - release.onset_min, scores, served(judge.versions.results()))
    facts = judge.facts(final=True)
    return Judged(decide(facts).verdict.status, None, scores, served(facts.comparisons))


def _is_failed(facts: Facts) -> bool:
    """Return whether the gate fails now; `decide` is asked only where a comparison speaks against the release."""
    against = any(each.status is Status.FAIL for each in (*facts.comparisons, *facts.signatures))
    return against and decide(facts).verdict.status == "fail"


def run_scene(scene: Scene, rate: float, seed: int) -> Judged:
    stream = Stream(scene.release, rate, Random(f"{scene.release.name} {rate} {seed}"))
    judge = Judge(stream)
    onset, length, growth = scene.staging(rate, seed)
    facts = judge.facts(final=False)
    for look in stream.looks():
        broken = scene.broken if look.minute >= onset else {}
        if not any(each.phase in UNREADABLE for name, each in broken.items() if name == LOGS):
            judge.add(look)
        grown = length + max(0.0, look.minute - SETTLED_MIN - onset) * growth
        queue = SignalFact(kind="metric", id="queue", status=Status.FAIL if grown > LONGEST_QUEUE else Status.PASS)
        present = judge.facts(final=look.minute >= 15.0)
        facts = _changed(present, broken, scene, queue)
        if decide(facts).verdict.status == "fail":
            return Judged("fail", look.minute - onset, {}, served(facts.comparisons))
    return Judged(decide(facts).verdict.status, None, {}, served(facts.comparisons))


def _changed(facts: Facts, broken: Mapping[str, SourceFact], scene: Scene, queue: SignalFact) -> Facts:
    return Facts(
        mode=facts.mode,
        checks=(scene.check,),
        signals=(queue,) if scene.queue else (),
        sources=tuple(broken.get(each.name, each) for each in facts.sources),
        releases=facts.releases,
        comparisons=facts.comparisons,
        signatures=facts.signatures,
        require=facts.require,
        final=facts.final,
    )
