"""Judges a session file again, by the rules of this version, and compares the verdict with the recorded one."""

from __future__ import annotations

import asyncio

import msgspec

from prodwatch.judge.decide import decide
from prodwatch.judge.decision import WAITING
from prodwatch.model.environment import Environment
from prodwatch.model.evidence import Concluded, GateLooked, Judged, Looked, Opened
from prodwatch.model.result import RunResult, Verdict
from prodwatch.runner.run_result_document import run_facts
from prodwatch.session.gate_replay import ReplayOptions, replay_gate
from prodwatch.session.replay import Replay, ReplayClock
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.store import DEFAULT_LIMITS, TRIAGE_LIMITS, Store
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import judge_session
from prodwatch.views.window_comparison import directions


class Rejudged(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded verdict and the one of today's rules on the same evidence; each None where there is none."""

    recorded: Verdict | None
    judged: Verdict | None

    @property
    def differs(self) -> bool:
        """Whether both are known and not equal; an interrupted run was not judged by its evidence."""
        both = self.recorded is not None and self.judged is not None
        return both and self.recorded != self.judged


def judge_again(file: SessionFile) -> Rejudged:
    """Judge the whole file. Raises DamagedFrameError, and ConfigurationError for a gate without an environment."""
    recorded = _recorded(file)
    if recorded.result is not None and recorded.result.run.mode == "check":
        return _judge_run(recorded.result)
    if recorded.gate is None:
        return Rejudged(recorded=recorded.session, judged=_judge_session(file, is_window=recorded.is_window))
    if recorded.gate.status == "aborted":
        return Rejudged(recorded=recorded.gate, judged=None)
    gate = replay_gate(file, ReplayOptions())
    asyncio.run(gate.run())
    return Rejudged(recorded=recorded.gate, judged=gate.result("").verdict)


class _Recorded(msgspec.Struct):
    gate: Verdict | None = None
    session: Verdict | None = None
    result: RunResult | None = None
    is_window: bool = False
    """Whether it is a triage, for which a session keeps more points of metrics."""


def _recorded(file: SessionFile) -> _Recorded:
    found = _Recorded()
    for entry in file.entries():
        match entry.event:
            case Opened():
                found.is_window = entry.event.window_start is not None
            case GateLooked():
                found.gate = entry.event.verdict
            case Judged():
                found.session = entry.event.verdict
            case Concluded():
                found.result = entry.event.result
                found.gate = entry.event.result.verdict if found.gate is not None else None
    return found


def _judge_run(result: RunResult) -> Rejudged:
    """Judge the checks and signals of a document; its exit code depends on options that it does not have."""
    recorded = result.verdict
    if recorded.status == "aborted":
        return Rejudged(recorded=recorded, judged=None)
    refused = next((each for each in recorded.blocking if each.kind == "run"), None)
    facts = run_facts(result.checks, result.signals, allow_empty=True, refused=refused)
    judged = decide(facts).verdict
    same = judged.status == recorded.status
    return Rejudged(recorded=recorded, judged=recorded if same else judged)


def _judge_session(file: SessionFile, *, is_window: bool) -> Verdict | None:
    """Return the verdict of the last moment at which the session looked; None without one."""
    clock = ReplayClock(file.header.started_at)
    store = Store(clock, limits=TRIAGE_LIMITS if is_window else DEFAULT_LIMITS)
    replay = Replay(store, compares=True)
    environment: Environment | None = None
    window: Window | None = None
    verdict: Verdict | None = None
    for entry in file.entries():
        clock.set(entry.at, entry.elapsed_us)
        replay.feed(entry.event)
        match entry.event:
            case Opened():
                environment, start = entry.event.environment, entry.event.window_start
                window = None if start is None else Window(start=start, end=entry.event.window_end)
            case Looked() if environment is not None:
                judged = judge_session(
                    store,
                    entry.event.at,
                    every_s=environment.rounds.every_s,
                    window=window,
                    better=directions(environment.metrics),
                )
                if verdict is not None or judged.decision.headline.rule not in WAITING:
                    verdict = judged.decision.verdict
            case _:
                pass
    return verdict
