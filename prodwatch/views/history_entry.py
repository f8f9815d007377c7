"""The entry of the history for a run: its verdict, release and outcomes, in texts of bounded length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prodwatch.judge.facts import SUPPORTING
from prodwatch.model.history import PastOutcome, PastRun, RoundSummary, RunEntry, VerdictChange
from prodwatch.model.result import CheckResult, RunResult
from prodwatch.model.status import Status
from prodwatch.text.sanitize import sanitize_line

MAX_SIGNATURES = 100
"""Most error signatures of one run that are kept."""
_MAX_TITLE = 200
_MAX_MESSAGE = 500
_QUIET = frozenset((Status.PASS, Status.SKIPPED, Status.INCONCLUSIVE))
"""Statuses of an error signature that is not kept."""


def entry_of(
    result: RunResult,
    *,
    rounds: Mapping[str, RoundSummary] | None = None,
    verdicts: Sequence[VerdictChange] = (),
    clean: Callable[[str], str] = sanitize_line,
) -> RunEntry:
    """Return the entry of a run.

    `rounds` are the rounds of each check by id, for a gate or a session; `clean` masks and sanitises a text that was
    not masked with every secret known by now.
    """
    return RunEntry(run=_run(result, verdicts, clean), outcomes=tuple(_outcomes(result, rounds or {}, _Texts(clean))))


def _run(result: RunResult, verdicts: Sequence[VerdictChange], clean: Callable[[str], str]) -> PastRun:
    run, verdict = result.run, result.verdict
    return PastRun(
        id=run.id,
        mode=run.mode,
        environment=result.environment.name,
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_ms=run.duration_ms,
        status=verdict.status,
        exit_code=verdict.exit_code,
        reason_code=verdict.reason_code,
        reason=clean(verdict.reason),
        summary=result.summary,
        release=result.release,
        account=result.environment.account,
        region=result.environment.region,
        host=clean(run.host),
        ci=run.ci,
        shard=run.shard,
        version=result.tool.version,
        verdicts=tuple(verdicts),
    )


class _Texts:
    """Cleans and shortens texts."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def title(self, text: str) -> str:
        return _cut(self._clean(text), _MAX_TITLE)

    def message(self, text: str | None) -> str | None:
        return None if text is None else _cut(self._clean(text), _MAX_MESSAGE)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _outcomes(result: RunResult, rounds: Mapping[str, RoundSummary], texts: _Texts) -> Iterable[PastOutcome]:
    supporting = _supporting(result)
    for check in _checks(result.checks):
        yield PastOutcome(
            kind="check",
            id=check.id,
            title=texts.title(check.title),
            status=check.status,
            flags=(*check.flags, SUPPORTING) if check.id in supporting else check.flags,
            reason_code=check.reason_code,
            message=texts.message(check.message),
            duration_ms=check.duration_ms,
            rounds=rounds.get(check.id),
        )
    for signal in result.signals:
        yield PastOutcome(
            kind=signal.kind,
            id=texts.title(signal.id),
            title=texts.title(signal.name),
            status=signal.status,
            reason_code=signal.reason_code,
            message=texts.message(signal.message),
        )
    for comparison in result.comparisons:
        yield PastOutcome(
            kind="comparison",
            id=texts.title(comparison.id),
            title=texts.title(comparison.id),
            status=comparison.status,
            message=texts.message(comparison.message),
        )
    signatures = [each for each in result.signatures if each.status not in _QUIET]
    for signature in signatures[:MAX_SIGNATURES]:
        yield PastOutcome(
            kind="signature",
            id=signature.id,
            title=texts.title(signature.signature),
            status=signature.status,
            message=texts.message(signature.message),
        )


def _supporting(result: RunResult) -> frozenset[str]:
    """Return the ids of checks that ran only because another one was not green, without the flag that says so."""
    checks = result.checks
    selected = {each.id for each in checks if result.run.mode == "check" or each.kind == "smoke"}
    ran = {*(each.id for each in checks), *(each.id for check in checks for each in check.diagnosed_by)}
    return frozenset(ran - selected)


def _checks(results: Iterable[CheckResult]) -> Iterable[CheckResult]:
    """Return the checks, and the diagnostics that ran as a part of them, each once."""
    results = tuple(results)
    found = {check.id: check for check in results}
    for check in results:
        for diagnostic in check.diagnosed_by:
            found.setdefault(diagnostic.id, diagnostic)
    return found.values()
