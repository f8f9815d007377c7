"""Random functions, releases, weights, failures and lines, against an oracle that knows the truth of each function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.event import CheckFinished, CheckStarted
from prodwatch.model.identity import HOME, GroupId, Place
from prodwatch.model.result import CheckResult
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    Record,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import signature_rows
from prodwatch.views.evidence import requests_on
from prodwatch.views.release import release_header
from prodwatch.views.signals import signals
from prodwatch.views.verdict import verdict_line
from tests.support.examples import examples

HERE = SourcePosition("checks/a.toml", 1, 1)
ABROAD = Place(region="us-east-1")
NAMES = ("pay", "orders", "cart")
NUMBERS = ("17", "18", "41", "42")
DAY = timedelta(days=1)
MINUTE_S = int(START.timestamp()) // 60 * 60
RUNNING = (ReleasePhase.NOT_STARTED, ReleasePhase.HOOK, ReleasePhase.SHIFTING, ReleasePhase.BAKING)
WRONG = (ReleasePhase.FAILED, ReleasePhase.STOPPED, ReleasePhase.ROLLED_BACK)
READ = frozenset((SourcePhase.LIVE, SourcePhase.IDLE, SourcePhase.BEHIND, SourcePhase.THROTTLED))
SOURCES = ("alarms", "release", "metrics", "logs:/aws/lambda/x")
OWN_TRACE = "1-6566b2a5-0123456789abcdef01234567"


@dataclass(frozen=True)
class Function:
    """One function of the random world: its release, its figures by version and its error lines."""

    name: str
    place: Place
    phase: ReleasePhase
    version: str
    previous: str
    weights: dict[str, float]
    began: timedelta
    """How long ago the release began."""
    rates: dict[str, int]
    """Version → requests per minute."""
    errors: tuple[tuple[str, timedelta, bool], ...]
    """Version, how long ago, and whether it was caused by an own request."""
    read_before: timedelta
    """Time before the release from which on lines were read; negative: since after it began."""

    @property
    def history(self) -> bool:
        split = sum(share > 0 for share in self.weights.values()) > 1
        return self.phase in (*WRONG, ReleasePhase.SUCCEEDED) and self.began >= DAY and not split

    @property
    def released(self) -> bool:
        return self.phase is not ReleasePhase.NONE and not self.history

    @property
    def wrong(self) -> bool:
        return self.phase in WRONG and not self.history

    @property
    def may_serve(self) -> bool:
        """Whether the version of a release that went wrong may get traffic."""
        if self.weights:
            return self.weights.get(self.version, 0.0) > 0
        return self.phase is not ReleasePhase.ROLLED_BACK

    def state(self) -> ReleaseState:
        return ReleaseState(
            function=self.name,
            alias="live",
            place=self.place,
            phase=self.phase,
            version=self.version,
            previous=self.previous,
            weights=self.weights,
            started_at=START - self.began,
        )


@dataclass(frozen=True)
class World:
    """Everything that is told to the store, in the order in which it is told."""

    functions: tuple[Function, ...]
    checks: tuple[Status | None, ...]
    sources: tuple[tuple[str, SourcePhase, bool], ...]
    """Name, phase and whether a part could not be read."""
    firing: bool
    order: tuple[int, ...]

    @property
    def main(self) -> Function | None:
        """The function whose release is the main one: by phase, then the latest, then as told."""
        ranked = [
            (0 if each.phase in RUNNING else 1 if each.wrong else 2, each.began, each)
            for each in self.functions
            if each.released
        ]
        return min(ranked, key=lambda each: each[:2])[2] if ranked else None


@st.composite
def functions(draw: st.DrawFn) -> Function:
    version, previous = draw(st.permutations(NUMBERS))[:2]
    share = draw(st.sampled_from((0.0, 0.1, 0.5, 1.0, None)))
    weights = {} if share is None else {name: part for name, part in ((previous, 1 - share), (version, share)) if part}
    ago = st.integers(1, 40).map(lambda minutes: timedelta(minutes=minutes))
    began = draw(st.one_of(ago, st.integers(24, 900).map(lambda hours: timedelta(hours=hours))))
    return Function(
        name=draw(st.sampled_from(NAMES)),
        place=draw(st.sampled_from((HOME, ABROAD))),
        phase=draw(st.one_of(st.sampled_from(ReleasePhase), st.sampled_from(WRONG))),
        version=version,
        previous=previous,
        weights=weights,
        began=began,
        rates=draw(st.dictionaries(st.sampled_from(NUMBERS), st.integers(1, 50).map(lambda each: 60 * each))),
        errors=tuple(draw(st.lists(st.tuples(st.sampled_from(NUMBERS), ago, st.booleans()), max_size=4))),
        read_before=timedelta(minutes=draw(st.sampled_from((-5, 0, 5)))),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    found = draw(st.lists(functions(), min_size=1, max_size=4, unique_by=lambda each: (each.name, each.place)))
    # Of equal starts the one that is told first is meant, which the order of telling decides.
    found = [each for n, each in enumerate(found) if each.began not in {other.began for other in found[:n]}]
    healthy = draw(st.sampled_from((True, True, True, False)))  # apart from the releases, which are then what decides
    states = st.tuples(st.sampled_from(SourcePhase), st.booleans())
    statuses = st.sampled_from([*Status, None])
    return World(
        functions=tuple(found),
        checks=(Status.PASS,) if healthy else tuple(draw(st.lists(statuses, min_size=1, max_size=3))),
        sources=tuple((name, *((SourcePhase.LIVE, False) if healthy else draw(states))) for name in SOURCES),
        firing=not healthy and draw(st.booleans()),
        order=tuple(draw(st.permutations(range(len(found))))),
    )


def told(world: World) -> Store:
    store = Store(FakeClock())
    store.define(
        CheckDefinition(id=f"c{n}", name=f"c{n}", title=f"c{n}", type="http", source=HERE)
        for n in range(len(world.checks))
    )
    for n, status in enumerate(world.checks):
        if status is not None:
            result = CheckResult(
                id=f"c{n}", name=f"c{n}", title=f"c{n}", kind="smoke", type="http", status=status, source=HERE
            )
            store.apply_event(CheckStarted(id=f"c{n}", at=START))
            store.apply_event(CheckFinished(result=result))
    own = CheckStarted(id="c0", at=START, trace_id=OWN_TRACE)
    for place, number in enumerate(world.order):
        if place == len(world.order) // 2:
            store.apply_event(own)
        tell(store, world.functions[number])
    alarm = AlarmState(name="errors", state="ALARM" if world.firing else "OK", since=START - timedelta(minutes=1))
    store.apply(Batch(source="alarms", records=(alarm,)))
    for name, phase, part in world.sources:
        unread = ("one account",) if part else ()
        read = SourceStatus(source=name, phase=phase, fresh_at=START, unread=unread, message="why")
        store.apply(Batch(source=name, status=read))
    return store


def tell(store: Store, function: Function) -> None:
    name, place = function.name, function.place
    records: list[Record] = [function.state()]
    for version, rate in function.rates.items():
        dimensions = (("FunctionName", name), ("Resource", f"{name}:live"), ("ExecutedVersion", version))
        label = f"requests/s {name} {place}"
        key = MetricKey("AWS/Lambda", "Invocations", dimensions, "rate", version, label, place=place, function=name)
        points = tuple(MetricPoint(MINUTE_S - 60 * n, rate / 60) for n in range(59, 1, -1))
        records.append(MetricSeries(key=key, points=points, unit="Count/Second"))
    for n, (version, ago, own) in enumerate(function.errors):
        records.append(
            LogRecord(
                timestamp_ms=int((START - ago).timestamp() * 1000),
                message="KeyError",
                group=f"/aws/lambda/{name}",
                place=place,
                level=Level.ERROR,
                version=version,
                event_id=f"{name}{place}{n}",
                request_id=f"{name}{place}{n}",
                trace_id=OWN_TRACE if own else None,
            )
        )
    source = ":".join(filter(None, ("logs", place.region, f"/aws/lambda/{name}")))
    read_from = START - function.began - function.read_before
    status = SourceStatus(source=source, phase=SourcePhase.LIVE, fresh_at=START, read_from=read_from)
    store.apply(Batch(source=source, records=tuple(records), status=status))


@settings(max_examples=examples(3), deadline=None)
@given(worlds())
def test_K12_K29_no_false_green_and_no_word_about_another_functions_release(world: World) -> None:
    store = told(world)
    line, main = verdict_line(store, START), world.main
    said = "; ".join((line.title, *line.reasons, line.evidence or "", line.outlook or ""))
    fine = {Status.PASS, Status.SKIPPED}
    measured = Status.PASS in world.checks and all(status in fine for status in world.checks)
    read = all(phase in READ and not part for _, phase, part in world.sources)
    wrong = [each for each in world.functions if each.wrong]
    if line.status == "pass":
        assert measured, said
        assert read, said
        assert not wrong, said
        assert not world.firing, said
    if line.status in {"pass", "degraded"}:
        assert read, said
        assert not world.firing, said
        assert not any(each.may_serve for each in wrong), said
    if measured and read and not wrong and not world.firing:
        assert line.status == "pass", said
    under_release = {each.version for each in world.functions if each.released}
    serving = {version for each in world.functions for version in each.weights}
    before = {each.previous for each in world.functions if each.released}
    assert set(re.findall(r"\bv(\d+)", said)) <= under_release | serving | before, said
    assert set(re.findall(r"\bv(\d+)", line.title)) <= under_release, said
    header = release_header(store, START)
    assert (header is None) is (main is None)
    if header is not None and main is not None:
        assert (header.function, header.version, header.phase) == (main.name, main.version, main.phase)
        assert header.others == sum(each.released for each in world.functions) - 1


@settings(max_examples=examples(2), deadline=None)
@given(worlds())
def test_K12_B12_every_figure_and_error_belongs_to_its_own_function(world: World) -> None:
    store = told(world)
    rows = {row.keys[0].label: row for row in signals(store, START).rows}
    errors = {row.signature.group: row for row in signature_rows(store, START).rows}
    for each in world.functions:
        if each.released:
            assert requests_on(store, each.state()) == expected_requests(each)
        if each.rates:
            row = rows[f"requests/s {each.name} {each.place}"]
            new = each.rates.get(each.version) if each.released else None
            assert row.new == (None if new is None else new / 60)
            assert (row.old_version, row.new_version) == (
                (each.previous, each.version) if each.released else (None, None)
            )
            if each.released:
                old = each.rates.get(each.previous)
                assert row.old == (None if old is None else old / 60)
        error = errors.get(GroupId(f"/aws/lambda/{each.name}", each.place))
        assert (error is None) is (not each.errors)
        if error is not None:
            users = [(version, ago) for version, ago, own in each.errors if not own]
            assert (error.signature.count, error.signature.own) == (len(users), len(each.errors) - len(users))
            on_new = sum(version == each.version for version, _ in users) if each.released else 0
            assert error.on_new == on_new
            assert error.new == expected_new(world, each, [START - ago for _, ago in users])


def expected_requests(function: Function) -> str | None:
    rate = function.rates.get(function.version)
    began_s = (START - function.began).timestamp()
    minutes = sum(MINUTE_S - 60 * n >= began_s for n in range(59, 1, -1))
    if rate is None or not minutes:
        return None
    return f"{rate * minutes:,} requests on v{function.version}"


def expected_new(world: World, function: Function, users: list[datetime]) -> bool:
    basis = function if function.released else world.main
    if basis is None or not users:
        return False
    began = START - basis.began
    read_from = START - function.began - function.read_before
    return began - read_from >= timedelta(minutes=1) and min(users) >= began
