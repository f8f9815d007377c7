"""A gate over a session file: the same gate and the same judge as live, fed with what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import Environment
from prodwatch.model.event import CheckFinished
from prodwatch.model.evidence import CheckReported, GateLooked, GateOpened, Looked, Opened
from prodwatch.model.result import CheckResult, Verdict
from prodwatch.session.gate import EvidenceEndedError, Gate, GateOptions, Listener
from prodwatch.session.replay import Replay
from prodwatch.store.recording.events import Entry
from prodwatch.store.recording.frames import DamagedFrameError
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.store import Store


class NotAGateRecordingError(ConfigurationError):
    """The file holds nothing that a gate could judge."""


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Differences from what was recorded; None or empty values keep it."""

    change: Callable[[Environment], Environment] = lambda environment: environment
    """Replaces thresholds."""
    bake_s: float | None = None
    until_deployed: bool | None = None
    versions: Mapping[str, str] = {}
    strict: bool | None = None


def replay_gate(file: SessionFile, options: ReplayOptions, *, listener: Listener = lambda _state: None) -> Gate:
    """Return a gate over a session file. Raises NotAGateRecordingError for one of a check or without an environment."""
    if file.header.mode == "check":
        message = f"{file.path} records a check, which has no bake; judge it by: prodwatch verify FILE"
        raise NotAGateRecordingError(message)
    opening = _opening(file)
    environment = options.change(opening.environment)
    asked = opening.gate
    bake_s = options.bake_s or (asked.bake_s if asked is not None else environment.rounds.bake_s)
    if options.bake_s is None and environment.rounds.bake_s != opening.environment.rounds.bake_s:
        bake_s = environment.rounds.bake_s
    until_deployed = options.until_deployed if options.until_deployed is not None else _asked(asked, "until_deployed")
    strict = options.strict if options.strict is not None else _asked(asked, "strict")
    evidence = _RecordedEvidence(file, looks=opening.looks)
    store = Store(evidence)
    evidence.feed_into(store, environment)
    return Gate(
        environment,
        store,
        evidence,
        evidence,
        GateOptions(
            bake_s=bake_s,
            until_deployed=until_deployed,
            versions=options.versions or (asked.versions if asked is not None else {}),
            strict=strict,
        ),
        listener=listener,
    )


def recorded_verdict(file: SessionFile) -> Verdict | None:
    """Return the last verdict of a recorded gate, up to the first damage; None without one."""
    verdict = None
    try:
        for entry in file.entries():
            if isinstance(entry.event, GateLooked):
                verdict = entry.event.verdict
    except DamagedFrameError:
        pass  # the verdict of the replay names it
    return verdict


def _asked(gate: GateOpened | None, name: str) -> bool:
    return gate is not None and bool(getattr(gate, name))


class _Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The first values of a recording that a gate needs before it begins."""

    environment: Environment
    gate: GateOpened | None
    looks: type[GateLooked | Looked] | None
    """Values that mark the moments at which to judge; None in a file without any."""


def _opening(file: SessionFile) -> _Opening:
    environment, gate, looks = None, None, None
    try:
        for entry in file.entries():
            match entry.event:
                case Opened():
                    environment = environment or entry.event.environment
                case GateOpened():
                    gate = gate or entry.event
                case GateLooked() | Looked():
                    looks = GateLooked if gate is not None else Looked
            if environment is not None and looks is not None:
                break
    except DamagedFrameError:
        pass  # it is reported where the evidence ends
    if environment is None:
        raise NotAGateRecordingError(f"{file.path}: no event names the environment, so that nothing can be judged")
    return _Opening(environment=environment, gate=gate, looks=looks)


class _RecordedEvidence:
    """Session and clock of a gate: to sleep is to receive what was recorded up to the next look."""

    def __init__(self, file: SessionFile, *, looks: type[GateLooked | Looked] | None) -> None:
        self._entries: Iterator[Entry] = file.entries()
        self._looks = looks
        self._ahead: Entry | None = None
        """The next entry, where it had to be looked at before it may be applied."""
        self._now = file.header.started_at
        self._elapsed_us = 0
        self._replay: Replay | None = None
        self._damage = file.damage
        """Damage that ends the evidence too early; None in a whole file."""

    def feed_into(self, store: Store, environment: Environment) -> None:
        """Apply the evidence to a store, which has this clock."""
        self._replay = Replay(store, compares=True, limits=environment.compare)
        store.subscribe(self._looked)

    def now(self) -> datetime:
        """Return the recorded wall time."""
        return self._now

    def monotonic_s(self) -> float:
        """Return the seconds since the start of the recording."""
        return self._elapsed_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Receive everything up to the next look. Raises EvidenceEndedError at the end of the recording."""
        await asyncio.sleep(0)
        self._advance(seconds)

    async def start(self) -> None:
        """Receive everything up to the first look."""
        self._advance(0)

    def begin_rounds(self) -> None:
        """Do nothing: the rounds are recorded."""

    async def stop(self) -> tuple[CheckResult, ...]:
        """Receive the rest and return the checks that were cleaned up in it."""
        cleaned: dict[str, CheckResult] = {}
        while (entry := self._take()) is not None:
            if isinstance(entry.event, CheckReported) and isinstance(entry.event.event, CheckFinished):
                result = entry.event.event.result
                if result.cleanup:
                    cleaned[result.id] = result
        return tuple(cleaned.values())

    def _advance(self, seconds: float) -> None:
        until_us = self._elapsed_us + round(seconds * 1_000_000)
        while (entry := self._take()) is not None:
            if isinstance(entry.event, GateLooked) and self._looks is GateLooked:
                self._ahead = entry
                self._show(entry)
                if entry.event.phase == "decide":
                    raise EvidenceEndedError(self._end("the recorded gate ended"))
                return
            if self._looks is None and entry.elapsed_us > until_us:
                self._ahead = entry
                self._compare(until_us)
                return
            self._apply(entry)
            if isinstance(entry.event, Looked) and self._looks is Looked:
                return
        why = "the recording ends" if self._damage is None else f"the file is damaged ({self._damage}): it ends"
        raise EvidenceEndedError(self._end(why))

    def _compare(self, until_us: int) -> None:
        """Compare at a moment without an event of its own."""
        self._now += timedelta(microseconds=until_us - self._elapsed_us)
        self._elapsed_us = until_us
        assert self._replay is not None
        self._replay.feed(Looked(at=self._now))

    def _end(self, why: str) -> str:
        return f"{why} at {self._now:%H:%M:%S} UTC, before the bake does"

    def _take(self) -> Entry | None:
        entry, self._ahead = self._ahead, None
        return entry if entry is not None else self._read()

    def _read(self) -> Entry | None:
        try:
            return next(self._entries, None)
        except DamagedFrameError as damage:
            self._damage, self._entries = damage, iter(())
            return None

    def _apply(self, entry: Entry) -> None:
        self._show(entry)
        assert self._replay is not None
        self._replay.feed(entry.event)

    def _show(self, entry: Entry) -> None:
        self._elapsed_us = entry.elapsed_us
        self._now = entry.event.at if isinstance(entry.event, GateLooked) else entry.at

    def _looked(self, evidence: object) -> None:
        """Go on behind a recorded look once the gate has made it; the time of one that follows directly is shown."""
        if not isinstance(evidence, GateLooked) or self._looks is not GateLooked:
            return
        pending = self._take()
        if pending is not None and not isinstance(pending.event, GateLooked):
            self._ahead = pending
            return
        following = self._read() if pending is not None else None
        self._ahead = following
        if following is not None and isinstance(following.event, GateLooked):
            self._show(following)
