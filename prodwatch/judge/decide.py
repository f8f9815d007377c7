"""The one verdict, by pure rules over the facts: green only where everything was measured, and lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from prodwatch.judge.decision import Decision, Finding, Rule
from prodwatch.judge.evidence import Evidence, status_of
from prodwatch.judge.facts import CheckFact, Facts, WindowFact
from prodwatch.judge.freshness import SourceState, is_evidence, source_state
from prodwatch.judge.reasons import blocking_of, reason_code_of, reason_of
from prodwatch.model.comparison import ComparisonResult, SignatureResult
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.identity import unique_name
from prodwatch.model.release import UNDER_WAY, WENT_WRONG, is_serving, is_withdrawn
from prodwatch.model.result import Verdict, VerdictStatus
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason, Status, worst

MANY_CHECKS = 5
"""Above this number of required checks, three red rounds are needed before a rollback is advised."""
RED_ROUNDS, RED_ROUNDS_OF_MANY, RED_ROUNDS_CRITICAL = 2, 3, 1
"""Red rounds in a row that are needed before a rollback is advised."""
RED_SHARE = 0.3
"""Share of failed rounds among the last ten from which a red check counts as red without a row of rounds."""

_EXIT: dict[VerdictStatus, ExitCode] = {
    "pass": ExitCode.OK,
    "degraded": ExitCode.OK,
    "fail": ExitCode.FAIL,
    "error": ExitCode.ERROR,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "empty": ExitCode.NOTHING_SELECTED,
}
_STATUS: dict[Status, Literal["pass", "degraded", "fail", "error", "inconclusive"]] = {
    Status.PASS: "pass",
    Status.DEGRADED: "degraded",
    Status.FAIL: "fail",
    Status.ERROR: "error",
    Status.INCONCLUSIVE: "inconclusive",
}


def decide(facts: Facts) -> Decision:
    """Return the verdict over the facts.

    Its status is the worst that any rule found, in the order fail > error > inconclusive > degraded > pass, so that
    further evidence never makes a verdict greener.
    """
    if facts.interrupted is not None:
        return _aborted(facts)
    if facts.window is not None and facts.window.ended:
        return _looking_back(facts, facts.window)
    evidence = Evidence(facts)
    if facts.mode == "run" and not evidence.selected and not _speaks_without_checks(evidence):
        return _empty(facts)
    findings = tuple(found for rule in _RULES if (found := rule(evidence)) is not None)
    heaviest = worst(each.status for each in findings) or Status.PASS
    headline = next(each for each in findings if each.status is heaviest)
    wrong = next((each for each in findings if each.rule is Rule.WENT_WRONG), None)
    if wrong is not None and heaviest is not Status.FAIL:
        headline = wrong
    return _decision(evidence, findings, headline, _STATUS[heaviest])


def _speaks_without_checks(evidence: Evidence) -> bool:
    red = (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE)
    return evidence.facts.refused is not None or any(evidence.signals_with(each) for each in red)


def _measured_with(rule: Rule, status: Status) -> Callable[[Evidence], Finding | None]:
    def found(evidence: Evidence) -> Finding | None:
        checks, signals = evidence.gating_with(status), evidence.signals_with(status)
        if not checks and not signals:
            return None
        return Finding(rule=rule, status=status, checks=checks, signals=signals)

    return found


def _failing(evidence: Evidence) -> Finding | None:
    """Find what failed; in a gate, a check counts once it was red in enough rounds."""
    found = _measured_with(Rule.FAILING, Status.FAIL)(evidence)
    if found is None or evidence.facts.mode != "gate":
        return found
    checks = tuple(each for each in found.checks if is_confirmed(each, evidence))
    return msgspec.structs.replace(found, checks=checks) if checks or found.signals else None


def _unconfirmed(evidence: Evidence) -> Finding | None:
    if evidence.facts.mode != "gate":
        return None
    checks = tuple(each for each in evidence.gating_with(Status.FAIL) if not is_confirmed(each, evidence))
    return Finding(rule=Rule.UNCONFIRMED, status=Status.INCONCLUSIVE, checks=checks) if checks else None


def _worse(evidence: Evidence) -> Finding | None:
    comparisons = tuple(each for each in evidence.comparisons if each.status is Status.FAIL)
    signatures = tuple(each for each in evidence.signatures if each.status is Status.FAIL)
    if not comparisons and not signatures:
        return None
    return Finding(
        rule=Rule.WORSE,
        status=Status.FAIL,
        comparisons=tuple(sorted(comparisons, key=_sureness, reverse=True)),
        signatures=tuple(sorted(signatures, key=_sureness, reverse=True)),
    )


def _sureness(found: ComparisonResult | SignatureResult) -> float:
    """Return the evidence as a multiple of the one that a failure takes."""
    return found.evidence / found.needed


def _too_few_rounds(evidence: Evidence) -> Finding | None:
    """Find checks of which half of the planned rounds or fewer measured something: errors must not thin out a bake."""
    if not evidence.facts.final:
        return None
    checks = tuple(
        each
        for each in evidence.gating
        if status_of(each) is not Status.SKIPPED
        and each.planned is not None
        and each.planned > 1
        and (each.rounds or 0) * 2 <= each.planned
    )
    return Finding(rule=Rule.TOO_FEW_ROUNDS, status=Status.INCONCLUSIVE, checks=checks) if checks else None


def _not_compared(evidence: Evidence) -> Finding | None:
    """Find releases whose traffic nothing has looked at yet: checks alone prove too little about a new version."""
    waiting = evidence.facts.not_compared
    return Finding(rule=Rule.NOT_COMPARED, status=Status.INCONCLUSIVE, releases=waiting) if waiting else None


def _unused(evidence: Evidence) -> Finding | None:
    """Find new versions that no request has reached although their function serves: their health is unknown."""
    due = {_compared_name(each) for each in evidence.facts.releases if is_serving(each)}
    unused = tuple(
        each
        for each in evidence.facts.comparisons
        if each.kind == "errors" and each.function in due and each.baseline.requests and not each.canary.requests
    )
    return Finding(rule=Rule.UNUSED, status=Status.INCONCLUSIVE, comparisons=unused) if unused else None


def _not_measured(evidence: Evidence) -> Finding | None:
    if not evidence.facts.final or not evidence.facts.not_measured:
        return None
    return Finding(rule=Rule.NOT_MEASURED, status=Status.INCONCLUSIVE)


def _unproven(evidence: Evidence) -> Finding | None:
    facts = evidence.facts
    if facts.mode != "gate" or not facts.final:
        return None
    open_ones = tuple(each for each in evidence.comparisons if each.status is Status.INCONCLUSIVE)
    if facts.require == "none":
        metrics = tuple(each for each in open_ones if each.kind == "metric")
        return Finding(rule=Rule.UNPROVEN, status=Status.INCONCLUSIVE, comparisons=metrics) if metrics else None
    proven = {each.function for each in facts.comparisons if each.kind == "errors" and each.status is Status.PASS}
    known = proven | {each.function for each in open_ones}
    uncompared = tuple(each for each in facts.releases if _compared_name(each) not in known)
    if proven and not open_ones and not uncompared:
        return None
    return Finding(rule=Rule.UNPROVEN, status=Status.INCONCLUSIVE, comparisons=open_ones, releases=uncompared)


def _compared_name(release: ReleaseState) -> str:
    """Return the name by which comparisons name the function of a release."""
    return unique_name(release.id.subject, release.place)


def _uncovered(evidence: Evidence) -> Finding | None:
    coverage = evidence.facts.coverage
    if coverage is None or not evidence.facts.final or coverage.suffices:
        return None
    return Finding(rule=Rule.UNCOVERED, status=Status.INCONCLUSIVE, coverage=coverage)


def _unattested(evidence: Evidence) -> Finding | None:
    measured = tuple(each for each in evidence.gating_with(Status.PASS, Status.DEGRADED))
    served = any(each.canary.requests for each in evidence.facts.comparisons if each.kind != "metric")
    if evidence.facts.mode != "gate" or served or not measured or not all(each.unattested for each in measured):
        return None
    return Finding(rule=Rule.UNATTESTED, status=Status.INCONCLUSIVE, checks=measured)


def is_confirmed(check: CheckFact, evidence: Evidence) -> bool:
    """Return whether a red check was red in enough rounds to count against a release."""
    if check.streak >= (RED_ROUNDS_CRITICAL if check.critical else rounds_needed(evidence)):
        return True
    return check.failed_share is not None and check.failed_share >= RED_SHARE


def rounds_needed(evidence: Evidence) -> int:
    """Return the red rounds in a row from which an ordinary check counts against a release."""
    return RED_ROUNDS_OF_MANY if len(evidence.gating) > MANY_CHECKS else RED_ROUNDS


def _went_wrong(evidence: Evidence) -> Finding | None:
    release, wrong = evidence.release, _wrong_releases(evidence)
    if evidence.facts.mode == "gate":
        # Every release of a gate has to succeed.
        return Finding(rule=Rule.WENT_WRONG, status=Status.FAIL, releases=wrong) if wrong else None
    if release is None or release.phase not in WENT_WRONG:
        return None
    wrong = (release, *(each for each in wrong if each is not release))
    return Finding(rule=Rule.WENT_WRONG, status=_status_of_wrong(wrong), releases=wrong)


def _wrong_releases(evidence: Evidence) -> tuple[ReleaseState, ...]:
    return tuple(each for each in evidence.facts.releases if each.phase in WENT_WRONG)


def _status_of_wrong(wrong: Sequence[ReleaseState]) -> Status:
    """Return the status of releases that went wrong: not known while one of their versions may still serve."""
    return Status.DEGRADED if all(map(is_withdrawn, wrong)) else Status.INCONCLUSIVE


def _refused(evidence: Evidence) -> Finding | None:
    if evidence.facts.refused is not None:
        return Finding(rule=Rule.REFUSED, status=evidence.facts.refused.status)
    broken = tuple(
        each
        for each in evidence.facts.sources
        if each.name == "session" and source_state(each) in {SourceState.UNREADABLE, SourceState.PARTIAL}
    )
    if not broken or len(evidence.unmeasured) < len(evidence.counted):
        return None
    return Finding(rule=Rule.REFUSED, status=Status.ERROR, sources=broken)


def _nothing_known(evidence: Evidence) -> Finding | None:
    facts = evidence.facts
    if facts.mode == "run":
        return None
    if not facts.runs_checks:
        return (
            None if _has_other_evidence(evidence) else Finding(rule=Rule.NOTHING_SELECTED, status=Status.INCONCLUSIVE)
        )
    if not evidence.selected:
        rule = Rule.NOTHING_SELECTED if facts.defined else Rule.NOTHING_DEFINED
        return Finding(rule=rule, status=Status.INCONCLUSIVE)
    if len(evidence.unmeasured) == len(evidence.counted):
        return Finding(rule=Rule.NO_ROUND, status=Status.INCONCLUSIVE, checks=evidence.counted)
    return None


def _has_other_evidence(evidence: Evidence) -> bool:
    """Return whether a gate without checks rests on a comparison that it requires, or on a signal that was measured."""
    measured = (Status.PASS, Status.DEGRADED, Status.FAIL)
    return evidence.facts.require == "errors" or any(evidence.signals_with(each) for each in measured)


def _stale_checks(evidence: Evidence) -> Finding | None:
    if not evidence.stale:
        return None
    return Finding(rule=Rule.STALE_CHECKS, status=Status.INCONCLUSIVE, checks=evidence.stale)


def _critical_skipped(evidence: Evidence) -> Finding | None:
    skipped = tuple(each for each in evidence.gating_with(Status.SKIPPED) if each.critical)
    if not skipped:
        return None
    return Finding(rule=Rule.CRITICAL_SKIPPED, status=Status.INCONCLUSIVE, checks=skipped)


def _unfinished(evidence: Evidence) -> Finding | None:
    if not evidence.unmeasured:
        return None
    return Finding(rule=Rule.UNFINISHED, status=Status.INCONCLUSIVE, checks=evidence.unmeasured)


def _sources_in(rule: Rule, *states: SourceState) -> Callable[[Evidence], Finding | None]:
    def found(evidence: Evidence) -> Finding | None:
        sources = tuple(each for each in evidence.facts.sources if is_evidence(each) and source_state(each) in states)
        return Finding(rule=rule, status=Status.INCONCLUSIVE, sources=sources) if sources else None

    return found


def _all_skipped(evidence: Evidence) -> Finding | None:
    if not evidence.fresh or any(status_of(each) is not Status.SKIPPED for each in evidence.fresh):
        return None
    return Finding(rule=Rule.ALL_SKIPPED, status=Status.INCONCLUSIVE, checks=evidence.fresh)


def _half_undone(evidence: Evidence) -> Finding | None:
    """Find releases that went wrong while the main one goes on: that combination of versions was never tested."""
    main = evidence.release
    if evidence.facts.mode == "gate" or main is None or main.phase not in UNDER_WAY:
        return None
    wrong = _wrong_releases(evidence)
    return Finding(rule=Rule.HALF_UNDONE, status=_status_of_wrong(wrong), releases=wrong) if wrong else None


def _degraded(evidence: Evidence) -> Finding | None:
    """Find what is degraded; data that a run left behind weighs, whichever check made it."""
    found = _measured_with(Rule.DEGRADED, Status.DEGRADED)(evidence)
    left = tuple(each for each in evidence.facts.checks if each.left_behind and evidence.facts.mode != "session")
    comparisons = tuple(
        each for each in evidence.facts.comparisons if each.kind == "error_lines" and each.status is Status.DEGRADED
    )
    if not left and not comparisons:
        return found
    checks = found.checks if found is not None else ()
    signals = found.signals if found is not None else ()
    checks = (*checks, *(each for each in left if each not in checks))
    return Finding(rule=Rule.DEGRADED, status=Status.DEGRADED, checks=checks, signals=signals, comparisons=comparisons)


def _reading_window(evidence: Evidence) -> Finding | None:
    """Find a window up to now that is not read to its end: what is not read yet may be trouble."""
    window = evidence.facts.window
    return Finding(rule=Rule.READING_WINDOW, status=Status.INCONCLUSIVE) if window and window.reading else None


def _worse_figures(evidence: Evidence) -> Finding | None:
    window = evidence.facts.window
    if window is None or not window.worse_figures:
        return None
    return Finding(rule=Rule.WORSE_FIGURES, status=Status.DEGRADED)


def _green(evidence: Evidence) -> Finding | None:
    """Find what is green: a statement about what was measured, weighed down by every other finding."""
    if not evidence.facts.runs_checks:
        return Finding(rule=Rule.PASSED, status=Status.PASS)
    if not evidence.selected:
        return None
    if not evidence.gating:
        return Finding(rule=Rule.ADVISORY_ONLY, status=Status.PASS, checks=evidence.selected)
    return Finding(rule=Rule.PASSED, status=Status.PASS, checks=evidence.gating_with(Status.PASS))


_RULES: tuple[Callable[[Evidence], Finding | None], ...] = (
    _failing,
    _worse,
    _went_wrong,
    _refused,
    _measured_with(Rule.ERRORS, Status.ERROR),
    _nothing_known,
    _stale_checks,
    _measured_with(Rule.INCONCLUSIVE, Status.INCONCLUSIVE),
    _critical_skipped,
    _unfinished,
    _sources_in(Rule.SOURCE_UNREADABLE, SourceState.UNREADABLE, SourceState.PARTIAL),
    _sources_in(Rule.SOURCE_UNREAD, SourceState.UNREAD),
    _sources_in(Rule.SOURCE_STALE, SourceState.STALE),
    _all_skipped,
    _reading_window,
    _unconfirmed,
    _too_few_rounds,
    _not_compared,
    _unused,
    _not_measured,
    _unproven,
    _uncovered,
    _unattested,
    _half_undone,
    _degraded,
    _worse_figures,
    _green,
)


def not_worked_out(error: Exception) -> Verdict:
    """Return the verdict for facts that a bug kept from being judged: never the verdict of before."""
    reason = f"The verdict could not be worked out: {type(error).__name__}: {error}"
    return Verdict(status="error", exit_code=int(ExitCode.ERROR), reason_code=Reason.INTERNAL, reason=reason)


def _decision(evidence: Evidence, findings: tuple[Finding, ...], headline: Finding, status: VerdictStatus) -> Decision:
    verdict = Verdict(
        status=status,
        exit_code=exit_code(status, evidence.facts),
        reason_code=evidence.facts.refused_code if headline.rule is Rule.REFUSED else reason_code_of(headline),
        reason=reason_of(evidence, headline),
        blocking=blocking_of(evidence, findings),
    )
    advice, rounds_needed = _advice(evidence, headline)
    return Decision(
        verdict=verdict,
        headline=headline,
        findings=findings,
        advice=advice,
        rounds_needed=rounds_needed,
        uncompared=_is_uncompared(evidence),
    )


def exit_code(status: VerdictStatus, facts: Facts) -> int:
    """Return the exit code of a verdict: the one mapping."""
    if facts.interrupted is not None:
        return facts.interrupted
    if status == "degraded" and facts.strict:
        return int(ExitCode.FAIL)
    if status == "degraded" and facts.mode != "session" and any(each.left_behind for each in facts.checks):
        return int(ExitCode.ERROR)
    if status == "empty" and (facts.allow_empty or facts.shard is not None):
        return int(ExitCode.OK)
    return int(_EXIT[status])


def _advice(evidence: Evidence, headline: Finding) -> tuple[Literal["roll back", "confirm"] | None, int]:
    """Advise on a release under way with evidence against it; return the red rounds that takes, too."""
    release = evidence.release
    if headline.rule not in {Rule.FAILING, Rule.WORSE} or evidence.facts.mode == "run":
        return None, 0
    if release is None or release.phase not in UNDER_WAY or release.version is None:
        return None, 0
    sure = bool(headline.signals) or headline.rule is Rule.WORSE
    sure = sure or any(is_confirmed(each, evidence) for each in headline.checks)
    return ("roll back" if sure else "confirm"), rounds_needed(evidence)


def _is_uncompared(evidence: Evidence) -> bool:
    """Return whether a release is under way with a previous version, which nothing compares the new one with."""
    if evidence.facts.window is not None:
        return False
    compared = {each.function for each in evidence.facts.comparisons if each.kind != "metric"}
    return any(
        each.phase in UNDER_WAY
        and (each.previous is not None or len(each.weights) > 1)
        and unique_name(each.id.subject, each.place) not in compared
        for each in evidence.facts.releases
    )


def _looking_back(facts: Facts, window: WindowFact) -> Decision:
    """Decide on a window that has ended: trouble that was seen counts, but checks did not run then to prove health."""
    if window.incidents:
        rule, status = Rule.INCIDENTS_THEN, Status.FAIL
    elif window.reading or not facts.sources:
        rule, status = Rule.READING_WINDOW, Status.INCONCLUSIVE
    elif window.worse_figures or window.other_trouble:
        rule, status = Rule.TROUBLE_THEN, Status.DEGRADED
    elif window.unseen:
        rule, status = Rule.UNSEEN_THEN, Status.INCONCLUSIVE
    else:
        rule, status = Rule.QUIET_THEN, Status.INCONCLUSIVE
    headline = Finding(rule=rule, status=status)
    return _decision(
        Evidence(msgspec.structs.replace(facts, checks=(), signals=())), (headline,), headline, _STATUS[status]
    )


def _empty(facts: Facts) -> Decision:
    headline = Finding(rule=Rule.NOTHING_SELECTED, status=Status.SKIPPED)
    return _decision(Evidence(facts), (headline,), headline, "empty")


def _aborted(facts: Facts) -> Decision:
    headline = Finding(rule=Rule.INTERRUPTED, status=Status.INCONCLUSIVE)
    return _decision(Evidence(facts), (headline,), headline, "aborted")
