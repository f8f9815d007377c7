"""Why a verdict is what it is: one sentence, a reason code, and everything that keeps it from being green."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prodwatch.judge.decision import Finding, Rule
from prodwatch.judge.evidence import Evidence, status_of
from prodwatch.judge.facts import CheckFact, SignalFact, SourceFact, WindowFact
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.identity import unique_name
from prodwatch.model.release import is_withdrawn
from prodwatch.model.result import Blocking
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import WORST_FIRST, Reason, Status

_RED = frozenset((Status.FAIL, Status.ERROR, Status.INCONCLUSIVE))
_ORDER = {status: place for place, status in enumerate(WORST_FIRST)}
_VERBS = {
    Status.FAIL: "failed",
    Status.ERROR: "could not be measured",
    Status.INCONCLUSIVE: "had too little evidence",
}
_TEXTS = {
    Rule.STALE_CHECKS: "the latest result is stale",
    Rule.UNFINISHED: "no round has finished",
    Rule.SOURCE_UNREAD: "not read yet",
    Rule.SOURCE_STALE: "read too long ago",
    Rule.UNCONFIRMED: "red in too few rounds to count",
    Rule.TOO_FEW_ROUNDS: "half or fewer of its planned rounds measured something",
    Rule.UNATTESTED: "nothing proves which version answered",
}
_CODES = {
    Rule.INTERRUPTED: Reason.INTERRUPTED,
    Rule.NOTHING_DEFINED: Reason.NO_DATA,
    Rule.NOTHING_SELECTED: Reason.NOTHING_SELECTED,
    Rule.NO_ROUND: Reason.NO_DATA,
    Rule.STALE_CHECKS: Reason.NO_DATA,
    Rule.UNFINISHED: Reason.NO_DATA,
    Rule.SOURCE_UNREADABLE: Reason.NO_DATA,
    Rule.SOURCE_UNREAD: Reason.NO_DATA,
    Rule.SOURCE_STALE: Reason.NO_DATA,
    Rule.ALL_SKIPPED: Reason.ALL_SKIPPED,
    Rule.WORSE: Reason.ASSERTION,
    Rule.UNCONFIRMED: Reason.MIN_SAMPLES,
    Rule.TOO_FEW_ROUNDS: Reason.MIN_SAMPLES,
    Rule.NOT_COMPARED: Reason.NO_DATA,
    Rule.UNUSED: Reason.NO_DATA,
    Rule.NOT_MEASURED: Reason.NO_DATA,
    Rule.UNPROVEN: Reason.MIN_SAMPLES,
    Rule.UNCOVERED: Reason.MIN_SAMPLES,
    Rule.UNATTESTED: Reason.VERSION_MISMATCH,
    Rule.DEGRADED: Reason.WARNING,
    Rule.WORSE_FIGURES: Reason.WARNING,
    Rule.READING_WINDOW: Reason.NO_DATA,
    Rule.UNSEEN_THEN: Reason.NO_DATA,
    Rule.QUIET_THEN: Reason.NO_DATA,
}


def blocking_of(evidence: Evidence, findings: Iterable[Finding]) -> tuple[Blocking, ...]:
    """Return all that keeps the verdict from being green, the worst first, else in the order of the facts."""
    found = [_blocking_check(each) for each in _red_checks(evidence)]
    found += [_blocking_signal(each) for each in evidence.facts.signals if each.gate and each.status in _RED]
    for finding in findings:
        found += _blocking_by_rule(evidence, finding)
    if evidence.facts.refused is not None:
        found.append(evidence.facts.refused)
    found.sort(key=lambda each: _ORDER[each.status])
    once: dict[tuple[str, str], Blocking] = {}
    for each in found:
        once.setdefault((each.kind, each.id), each)
    return tuple(once.values())


def reason_code_of(headline: Finding) -> Reason | None:
    """Return the code of the headline: the rule's own, else that of its first check or signal; None without one."""
    if headline.rule in _CODES:
        return _CODES[headline.rule]
    facts: tuple[CheckFact | SignalFact, ...] = (*headline.checks, *headline.signals)
    return facts[0].reason_code if facts else None


def reason_of(evidence: Evidence, headline: Finding) -> str:
    """Return the verdict in one sentence."""
    return _SENTENCES[headline.rule](evidence, headline)


def problem_of(source: SourceFact) -> str:
    """Return which evidence is missing, and why."""
    if source.unread:
        return f"{source.name} cannot be read as a whole: {'; '.join(source.unread)}"
    message = source.message or str(source.phase)
    needs = f" (needs {source.action})" if source.action and source.action not in message else ""
    return f"{source.name} cannot be read: {message}{needs}"


def _red_checks(evidence: Evidence) -> tuple[CheckFact, ...]:
    return tuple(
        each for each in evidence.fresh if not each.advisory and (status_of(each) in _RED or _is_critical_gap(each))
    )


def _is_critical_gap(check: CheckFact) -> bool:
    return check.critical and status_of(check) is Status.SKIPPED


def _blocking_check(check: CheckFact) -> Blocking:
    if _is_critical_gap(check):
        message = f"a critical check was skipped: {check.message or 'no reason given'}"
        return Blocking(kind="check", id=check.id, status=Status.INCONCLUSIVE, message=message)
    assert check.status is not None  # a check without a result is not red: it is unfinished
    return Blocking(kind="check", id=check.id, status=check.status, message=check.message)


def _blocking_signal(signal: SignalFact) -> Blocking:
    return Blocking(kind=signal.kind, id=signal.id, status=signal.status, message=signal.message)


def _blocking_by_rule(evidence: Evidence, finding: Finding) -> list[Blocking]:
    """Return what blocks although no check or signal is red itself."""
    text = _TEXTS.get(finding.rule)
    found = [
        Blocking(kind="source", id=each.name, status=finding.status, message=text or problem_of(each))
        for each in finding.sources
    ]
    found += [
        Blocking(kind="comparison", id=each.id, status=finding.status, message=each.message)
        for each in finding.comparisons
        if finding.status in _RED
    ]
    found += [
        Blocking(kind="signature", id=each.id, status=finding.status, message=each.message)
        for each in finding.signatures
    ]
    if finding.rule is Rule.UNPROVEN:
        message = "the two versions were not compared"
        names = [unique_name(each.id.subject, each.place) for each in finding.releases]
        if not names and not finding.comparisons:
            names = ["errors"]
        found += [Blocking(kind="comparison", id=each, status=finding.status, message=message) for each in names]
        return found
    if finding.rule is Rule.NOT_COMPARED:
        message = "no request since the release has been compared yet"
        names = [unique_name(each.id.subject, each.place) for each in finding.releases]
        return [
            *found,
            *(Blocking(kind="comparison", id=each, status=finding.status, message=message) for each in names),
        ]
    if finding.rule is Rule.READING_WINDOW:
        message = "the window has not been read to its end"
        reading = _window(evidence).reading
        return [Blocking(kind="source", id=each, status=finding.status, message=message) for each in reading]
    if finding.coverage is not None:
        message = finding.coverage.message
        found.append(Blocking(kind="run", id="coverage", status=finding.status, message=message))
    if finding.rule is Rule.NOT_MEASURED:
        message = "; ".join(evidence.facts.not_measured)
        found.append(Blocking(kind="run", id="bake", status=finding.status, message=message))
    if finding.rule is Rule.ALL_SKIPPED:
        found += [
            Blocking(kind="check", id=each.id, status=Status.SKIPPED, message=each.message) for each in finding.checks
        ]
    elif text is not None:
        found += [Blocking(kind="check", id=each.id, status=finding.status, message=text) for each in finding.checks]
    if finding.status in _RED:
        found += [
            Blocking(
                kind="release",
                id=unique_name(each.function, each.place),
                status=finding.status,
                message=_outcome(each) if is_withdrawn(each) else f"{_outcome(each)}, and may still get traffic",
            )
            for each in finding.releases
            if finding.status is Status.FAIL or not is_withdrawn(each)
        ]
    return found


def _counted(evidence: Evidence, headline: Finding) -> str:
    """Count the checks of the headline's status, then name its signals; the first of each with its message."""
    status = headline.status
    checks = [each for each in map(_blocking_check, _red_checks(evidence)) if each.status is status]
    parts = []
    if checks:
        noun = "check" if len(evidence.gating) == 1 else "checks"
        parts.append(
            f"{len(checks)} of {len(evidence.gating)} {noun} {_VERBS[status]}, "
            f"first {_named(checks[0].id, checks[0].message)}"
        )
    if headline.signals:
        first, more = headline.signals[0], len(headline.signals) - 1
        further = f" (and {more} more)" if more else ""
        parts.append(_named(f"{first.kind} {first.id} {_VERBS[status]}{further}", first.message))
    return "; ".join(parts)


def _named(name: str, message: str | None) -> str:
    return f"{name}: {message}" if message else f"{name}."


def _aborted(evidence: Evidence, _headline: Finding) -> str:
    checks = evidence.facts.checks
    cut_off = sum(each.reason_code is Reason.INTERRUPTED for each in checks)
    how = "terminated" if evidence.facts.interrupted == ExitCode.TERMINATED else "interrupted"
    return f"The run was {how}: {len(checks) - cut_off} of {len(checks)} checks had finished."


def _refused(evidence: Evidence, headline: Finding) -> str:
    if evidence.facts.refused is not None:
        return evidence.facts.refused.message or "The run could not measure anything."
    return headline.sources[0].message or "The session could not be started."


def _nothing_selected(evidence: Evidence, _headline: Finding) -> str:
    facts = evidence.facts
    if not facts.runs_checks:
        return "Nothing counts: no check runs in a window that is over, and no alarm or metric of it was measured."
    if facts.mode == "session":
        return "No check is selected, so nothing proves that production works."
    if facts.shard is not None:
        return f"No check falls into shard {facts.shard[0]}/{facts.shard[1]}; merging the shards decides."
    if facts.allow_empty:
        return "No check is selected, which --allow-empty allows."
    return "No check is selected; `prodwatch list` shows what there is."


def _some_checks(text: str) -> Callable[[Evidence, Finding], str]:
    def sentence(evidence: Evidence, headline: Finding) -> str:
        noun = "check" if len(evidence.counted) == 1 else "checks"
        return f"{text}: {len(headline.checks)} of {len(evidence.counted)} {noun}, first {headline.checks[0].id}."

    return sentence


def _all_skipped(_evidence: Evidence, headline: Finding) -> str:
    first, count = headline.checks[0], len(headline.checks)
    skipped = f"all {count} checks were skipped, first" if count > 1 else "the only check was skipped,"
    return f"Nothing was measured: {skipped} {first.id}: {first.message}"


def _sources(text: str) -> Callable[[Evidence, Finding], str]:
    def sentence(_evidence: Evidence, headline: Finding) -> str:
        return f"{text}: {', '.join(each.name for each in headline.sources)}."

    return sentence


def _outcome(release: ReleaseState) -> str:
    text = f"{release.title}: version {release.version} {release.phase}"
    return f"{text}: {release.cause}" if release.cause else text


def _worse(evidence: Evidence, headline: Finding) -> str:
    messages = [evidence.sentence(each) for each in headline.comparisons]
    messages += [evidence.sentence(each) for each in headline.signatures]
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    release = evidence.release
    note = f" ({release.note})" if release is not None and release.note else ""
    return f"The new version{note} is worse: {messages[0]}{more}."


def _not_compared(_evidence: Evidence, headline: Finding) -> str:
    return f"No request since the release has been compared yet: {_names_of(headline.releases)}."


def _names_of(releases: Iterable[ReleaseState]) -> str:
    return ", ".join(unique_name(each.id.subject, each.place) for each in releases)


def _unused(_evidence: Evidence, headline: Finding) -> str:
    first = headline.comparisons[0]
    return (
        f"No request has reached version {first.canary.version} of {first.function}: "
        f"version {first.baseline.version} served all {first.baseline.requests:,} requests that were read."
    )


def _unproven(evidence: Evidence, headline: Finding) -> str:
    if not headline.comparisons:
        names = _names_of(headline.releases)
        return f"Harm is not excluded: the two versions{f' of {names}' if names else ''} were not compared."
    return f"Harm is not excluded: {evidence.sentence(headline.comparisons[0])}."


def _uncovered(_evidence: Evidence, headline: Finding) -> str:
    assert headline.coverage is not None
    message = headline.coverage.message
    return f"Too few routes: {message}."


def _degraded(evidence: Evidence, headline: Finding) -> str:
    if headline.comparisons and not headline.checks and not headline.signals:
        return f"{evidence.sentence(headline.comparisons[0])}."
    if not headline.checks:
        first = headline.signals[0]
        return _named(f"{first.kind} {first.id} degraded", first.message)
    passed = len(evidence.gating_with(Status.PASS))
    return f"{len(headline.checks)} of {len(evidence.gating)} checks degraded, {passed} passed{_skipped(evidence)}."


def _passed(evidence: Evidence, headline: Finding) -> str:
    noun = "check" if len(evidence.gating) == 1 else "checks"
    coverage = evidence.facts.coverage
    routes = f"; {coverage.message}" if coverage is not None and coverage.routes and evidence.facts.final else ""
    if not evidence.facts.runs_checks:
        proof = "harm is excluded" if evidence.facts.require == "errors" else "no signal counts against it"
        return f"No check was run then; {proof}{routes}."
    return f"{len(headline.checks)} of {len(evidence.gating)} {noun} passed{_skipped(evidence)}{routes}."


def _skipped(evidence: Evidence) -> str:
    skipped = len(evidence.gating_with(Status.SKIPPED))
    return f", {skipped} skipped" if skipped else ""


def _advisory_only(_evidence: Evidence, headline: Finding) -> str:
    red = sum(status_of(each) in _RED for each in headline.checks)
    return f"Only advisory checks were selected, which never gate; not green: {red} of {len(headline.checks)}."


_SENTENCES: dict[Rule, Callable[[Evidence, Finding], str]] = {
    Rule.INTERRUPTED: _aborted,
    Rule.FAILING: _counted,
    Rule.WORSE: _worse,
    Rule.UNCONFIRMED: _some_checks("Red in too few rounds to count"),
    Rule.TOO_FEW_ROUNDS: _some_checks("Half or fewer of the planned rounds measured something"),
    Rule.NOT_COMPARED: _not_compared,
    Rule.UNUSED: _unused,
    Rule.NOT_MEASURED: lambda evidence, _headline: f"{evidence.facts.not_measured[0]}.",
    Rule.UNPROVEN: _unproven,
    Rule.UNCOVERED: _uncovered,
    Rule.UNATTESTED: _some_checks("Nothing proves that the new version answered"),
    Rule.WENT_WRONG: lambda _evidence, headline: f"{_outcome(headline.releases[0])}.",
    Rule.REFUSED: _refused,
    Rule.ERRORS: _counted,
    Rule.NOTHING_DEFINED: lambda _evidence, _headline: "The checks have not been read yet.",
    Rule.NOTHING_SELECTED: _nothing_selected,
    Rule.NO_ROUND: _some_checks("First round not finished"),
    Rule.STALE_CHECKS: _some_checks("Stale results"),
    Rule.INCONCLUSIVE: _counted,
    Rule.CRITICAL_SKIPPED: _counted,
    Rule.UNFINISHED: _some_checks("First round not finished"),
    Rule.SOURCE_UNREADABLE: lambda _evidence, headline: f"{problem_of(headline.sources[0])}.",
    Rule.SOURCE_UNREAD: _sources("Not read yet"),
    Rule.SOURCE_STALE: _sources("Read too long ago to speak of now"),
    Rule.ALL_SKIPPED: _all_skipped,
    Rule.HALF_UNDONE: lambda _evidence, headline: f"{_outcome(headline.releases[0])}, while another release goes on.",
    Rule.DEGRADED: _degraded,
    Rule.WORSE_FIGURES: lambda evidence, _headline: f"Figures got worse: {_window(evidence).worse_figures[0]}.",
    Rule.ADVISORY_ONLY: _advisory_only,
    Rule.PASSED: _passed,
    Rule.INCIDENTS_THEN: lambda evidence, _headline: f"{_window(evidence).incidents[0]}.",
    Rule.READING_WINDOW: lambda _evidence, _headline: "The window is still being read.",
    Rule.TROUBLE_THEN: lambda evidence, _headline: f"{_trouble(_window(evidence))}.",
    Rule.UNSEEN_THEN: lambda evidence, _headline: f"Not seen: {'; '.join(_window(evidence).unseen)}.",
    Rule.QUIET_THEN: lambda _evidence, _headline: "No trouble was seen, but no check was run then.",
}


def _window(evidence: Evidence) -> WindowFact:
    assert evidence.facts.window is not None
    return evidence.facts.window


def _trouble(window: WindowFact) -> str:
    return (*window.other_trouble, *window.worse_figures)[0]
