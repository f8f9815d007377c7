"""Reports of a recording, and of what a store holds now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

from prodwatch import __version__
from prodwatch.model.evidence import Concluded, GateLooked, Opened
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import CheckResult, EnvironmentInfo, RunInfo, RunResult, Tool, Verdict
from prodwatch.model.status import Reason
from prodwatch.report.run_report import GREEN, RunReport
from prodwatch.runner.run_result_document import summarize
from prodwatch.runner.values.read_releases import release_info
from prodwatch.session.replay import Player, ReplayClock
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.recording.frames import DamagedFrameError
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.store import Store
from prodwatch.views.check_detail import detail_of
from prodwatch.views.verdict_facts import session_facts

LAST_LOOKED_AT = 100
"""Events at the end of a recording among which the document of its run is looked for."""


def report_of_recording(file: SessionFile) -> RunReport:
    """Return the report of a session file, up to its first damage. Raises DamagedFrameError without a whole event."""
    damage = file.distrust_damage()
    latest = list(islice(file.entries_backwards(), LAST_LOOKED_AT))
    if not latest:
        raise damage or DamagedFrameError("it holds no event")
    last = latest[0]
    clock = ReplayClock(file.header.started_at)
    store = Store(clock)
    player = Player(file, clock, store)
    player.seek(player.duration_us)
    result = next((each.event.result for each in latest if isinstance(each.event, Concluded)), None)
    warnings = []
    if damage is not None:
        warnings.append(
            f"The file is damaged: {damage}. Only what precedes the damage, up to {_clock(last.at)}, was read."
        )
    elif not file.is_ended:
        warnings.append(f"The recording was not ended: it was killed or cut, and holds events up to {_clock(last.at)}.")
    if result is None:
        result = _without_conclusion(file, store, last.at)
    digest = file.digest if file.is_ended else None
    return _report(store, result, source=file.path.name, digest=digest, warnings=warnings)


def report_of_store(store: Store, verdict: Verdict, *, environment: EnvironmentInfo, now: datetime) -> RunReport:
    """Return the report of a session that goes on: of this moment, without a duration."""
    result = _result(store, verdict, environment, now, now, mode="dashboard")
    return _report(store, result, source="dashboard", digest=None, warnings=())


def _without_conclusion(file: SessionFile, store: Store, at: datetime) -> RunResult:
    """Return a result of what a recording holds without the document of its run."""
    opened = next((each.event for each in file.entries() if isinstance(each.event, Opened)), None)
    header = file.header
    environment = EnvironmentInfo(
        name=header.environment,
        title=header.title,
        account=None if opened is None else opened.environment.aws.account,
        region=None if opened is None else opened.environment.aws.region,
    )
    mode = header.mode
    return _result(
        store,
        _last_verdict(file, store),
        environment,
        header.started_at,
        at,
        mode="dashboard" if mode == "record" else mode,
    )


def _last_verdict(file: SessionFile, store: Store) -> Verdict:
    """Return the last recorded verdict; one of a run that did not end is never green."""
    looks = (each.event.verdict for each in file.entries_backwards() if isinstance(each.event, GateLooked))
    given = next(looks, None) if file.header.mode == "gate" else None
    if given is None and store.verdict is not None:
        given = store.verdict.verdict
    if given is None:
        return _unproven("the recording holds no verdict")
    ended = file.is_ended and file.header.mode in {"dashboard", "record"}
    if ended or given.exit_code:
        return given
    return _unproven(f"the recording ends before the run did; its last verdict was {given.status}: {given.reason}")


def _unproven(reason: str) -> Verdict:
    return Verdict(
        status="inconclusive", exit_code=int(ExitCode.INCONCLUSIVE), reason_code=Reason.NO_DATA, reason=reason
    )


def _result(
    store: Store,
    verdict: Verdict,
    environment: EnvironmentInfo,
    started_at: datetime,
    now: datetime,
    *,
    mode: str,
) -> RunResult:
    facts = session_facts(store, now, every_s=30.0)
    checks = tuple(each.latest for each in store.checks.tracks.values() if each.latest is not None)
    return RunResult(
        tool=Tool(version=__version__),
        run=RunInfo(
            id="",
            mode=mode,  # type: ignore[arg-type]
            started_at=started_at,
            ended_at=now,
            duration_ms=round((now - started_at) / timedelta(milliseconds=1)),
            host="",
        ),
        environment=environment,
        release=release_info(facts.releases, attested=None),
        verdict=verdict,
        summary=summarize(tuple(each for each in checks if each.kind == "smoke")),
        checks=checks,
        signals=tuple(each for results in store.signals.values() for each in results),
        comparisons=facts.comparisons,
        signatures=facts.signatures,
        coverage=facts.coverage,
        notices=tuple(store.notices),
        usage=store.usage,
    )


def _report(store: Store, result: RunResult, *, source: str, digest: str | None, warnings: Iterable[str]) -> RunReport:
    traces = set(_traces_of([each for each in result.checks if each.status not in GREEN]))
    traces.update(each.trace_id for each in result.signatures if each.trace_id is not None)
    given = store.verdict
    return RunReport(
        source=source,
        result=result,
        recorded=True,
        digest=digest,
        warnings=tuple(warnings),
        since=given.since if given is not None and given.verdict.status == result.verdict.status else None,
        red_since={
            each.id: each.status_since
            for each in store.checks.tracks.values()
            if each.status_since is not None and each.status not in GREEN
        },
        traces={each: store.traces.details[each] for each in traces if each in store.traces.details},
        summaries={each: store.traces.summaries[each] for each in traces if each in store.traces.summaries},
        series=tuple(each for each in store.metrics.series.values() if not each.key.is_exceedance),
        events=tuple(sorted(store.release.events, key=lambda each: each.at)),
    )


def _traces_of(checks: Iterable[CheckResult]) -> Iterable[str]:
    for check in checks:
        yield from detail_of(CheckTrack(id=check.id, latest=check)).trace_ids
        yield from _traces_of(check.diagnosed_by)


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
