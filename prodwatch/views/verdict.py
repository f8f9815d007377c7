"""The judge's verdict in words a tired person can act on: title, reasons, how much it rests on, what comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Decision, Finding, Rule
from prodwatch.judge.evidence import Evidence, status_of
from prodwatch.judge.facts import CheckFact, Facts, SignalFact
from prodwatch.judge.reasons import problem_of, reason_of
from prodwatch.model.evidence import Concluded, GateLooked
from prodwatch.model.identity import unique_name
from prodwatch.model.release import UNDER_WAY, is_withdrawn, serving_share
from prodwatch.model.result import VerdictStatus
from prodwatch.model.signal import ReleasePhase, ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.store.store import Store
from prodwatch.text.units import format_age
from prodwatch.views.comparisons import unproven
from prodwatch.views.events_in_window import Changes, changes
from prodwatch.views.evidence import UNCOMPARED, certainty, clock_text, dropped_evidence, requests_on
from prodwatch.views.release import version_label
from prodwatch.views.time_window import Window
from prodwatch.views.verdict_facts import session_facts

_READ_ONLY_TYPES = frozenset(("alarm", "metric", "logs", "traces", "release", "stack"))
"""Checks of these types repeat what other panels show; a check that made a request of its own says more."""
_TIMES = {1: "once", 2: "twice"}
_ORDINALS = {2: "second", 3: "third"}
_STREAKS = {
    Rule.FAILING: "red",
    Rule.ERRORS: "not measured",
    Rule.INCONCLUSIVE: "unsure",
    Rule.CRITICAL_SKIPPED: "skipped",
    Rule.DEGRADED: "degraded",
}
_SINCE = frozenset((*_STREAKS, Rule.PASSED))
"""Rules of which the moment they began to hold is known."""


class VerdictLine(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict as the first thing people read."""

    status: VerdictStatus
    title: str
    """`FAIL · roll back`, `PASS · so far`, `WAITING`."""
    since: datetime | None
    reasons: tuple[str, ...]
    """Most important first; each a sentence."""
    compared: tuple[str, ...] = ()
    """The reasons about comparisons and signatures: every size shows them."""
    evidence: str | None
    """Certainty: measurements behind the verdict."""
    outlook: str | None
    """The next step and its time."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and the facts of the moment it speaks of."""

    facts: Facts
    decision: Decision
    changed: Changes | None
    """In triage: what changed in the window."""


def judge_session(
    store: Store,
    now: datetime,
    *,
    every_s: float = 30.0,
    window: Window | None = None,
    better: Mapping[str, str] | None = None,
) -> Judged:
    """Return the judge's decision at `now`.

    With `window`, triage, it speaks of production instead of a release. `better` names metrics whose file says `lower`
    or `higher`.
    """
    changed = None if window is None else changes(store, window, now, better=better)
    facts = session_facts(store, now, every_s=every_s, window=window, changed=changed)
    return Judged(facts=facts, decision=decide(facts), changed=changed)


def verdict_line(
    store: Store,
    now: datetime,
    *,
    every_s: float = 30.0,
    window: Window | None = None,
    better: Mapping[str, str] | None = None,
) -> VerdictLine:
    """Return the judge's decision at `now` in words; for the arguments see `judge_session`."""
    judged = judge_session(store, now, every_s=every_s, window=window, better=better)
    return _Wording(store, now, every_s, judged).line()


def given_line(given: GateLooked | Concluded) -> VerdictLine:
    """Return the verdict that a recorded gate or check gave, in its own words."""
    if isinstance(given, GateLooked):
        verdict, by = given.verdict, f"gate, {given.phase}"
        outlook = None if given.ends_at is None else f"the bake ends at {given.ends_at:%H:%M:%S} UTC"
    else:
        verdict, by, outlook = given.result.verdict, given.result.run.mode, None
    return VerdictLine(
        status=verdict.status,
        title=f"{_GIVEN.get(verdict.status, 'UNSURE')} · verdict of the {by}",
        since=None,
        reasons=(verdict.reason, *(each.sentence for each in verdict.further)),
        evidence="as recorded; gate --replay and verify judge it again",
        outlook=outlook,
    )


_GIVEN: dict[VerdictStatus, str] = {
    "pass": "PASS",
    "degraded": "WARN",
    "fail": "FAIL",
    "error": "ERROR",
    "aborted": "ABORTED",
}


class _Words(msgspec.Struct, frozen=True):
    title: str
    reasons: tuple[str, ...]
    evidence: str | None = None
    outlook: str | None = None


class _Wording:
    """Words for one decision."""

    def __init__(self, store: Store, now: datetime, every_s: float, judged: Judged) -> None:
        self.now = now
        self.every_s = every_s
        self.facts = judged.facts
        self.decision = judged.decision
        self.changed = judged.changed
        self.evidence = Evidence(judged.facts)
        self.release = self.evidence.release
        self.requests = requests_on(store, self.release)
        self.dropped = dropped_evidence(store)
        self.given = store.verdict

    def line(self) -> VerdictLine:
        """Return the whole."""
        headline = self.decision.headline
        words = WORDS[headline.rule](self, headline)
        reasons = words.reasons
        if self.release is not None and self.release.phase in UNDER_WAY and self.release.cause:
            reasons = (*reasons, f"{version_label(self.release.version)}: {self.release.cause}")
        if self.release is not None and self.release.note:
            reasons = (*reasons, f"{version_label(self.release.version)}: {self.release.note}")
        if self.changed is not None:
            reasons = (reasons[0], f"what changed: {self.changed.summary}", *reasons[1:])
        found = self.decision.of(Rule.WORSE)
        compared = self.compared(found) if found is not None else ()
        if found is not headline:
            reasons = (*reasons[:1], *compared, *reasons[1:])
        return VerdictLine(
            status=self.decision.verdict.status,
            title=words.title,
            since=self._since(headline),
            reasons=reasons,
            compared=compared,
            evidence="; ".join(filter(None, (self._caveat(), words.evidence, self.not_kept()))) or None,
            outlook=words.outlook,
        )

    def compared(self, finding: Finding) -> tuple[str, ...]:
        """Return the comparisons and signatures of a finding, the surest of either first."""
        comparisons = [self.evidence.sentence(each) for each in finding.comparisons]
        signatures = [self.evidence.sentence(each) for each in finding.signatures]
        return (*comparisons[:1], *signatures[:1], *comparisons[1:], *signatures[1:])

    def _caveat(self) -> str | None:
        """Return what a green verdict over a release under way does not prove, and how many errors are new."""
        if self.decision.verdict.status not in {"pass", "degraded"}:
            return None
        if self.decision.uncompared:
            return UNCOMPARED
        if not any(each.phase in UNDER_WAY for each in self.facts.releases):
            return None
        new = sum(each.new is True and each.status is Status.INCONCLUSIVE for each in self.facts.signatures)
        errors = f"{new} new {'error' if new == 1 else 'errors'}" if new else None
        return "; ".join(filter(None, (unproven(self.facts.comparisons), errors))) or None

    def _since(self, headline: Finding) -> datetime | None:
        if headline.rule is Rule.WORSE:
            given = self.given
            return given.since if given is not None and given.verdict.status == "fail" else None
        if headline.rule not in _SINCE:
            return None
        since = [each.status_since for each in headline.checks if each.status_since]
        since += [each.since for each in headline.signals if each.since]
        # Green since the last check turned green, red since the first turned red.
        return (max if headline.rule is Rule.PASSED else min)(since, default=None)

    def not_kept(self) -> str | None:
        """Return which evidence is not kept because there is too much of it; None when all is."""
        return f"not kept: {', '.join(self.dropped)}" if self.dropped else None

    def passing(self) -> str:
        """Return how many required checks pass now."""
        count = len(self.evidence.gating_with(Status.PASS, Status.DEGRADED))
        return f"{count} of {len(self.evidence.counted)} checks pass"

    def again(self) -> str:
        """Return when the next look is."""
        return f"looked at again every {format_age(self.every_s)}"

    def next_shift(self) -> str | None:
        """Return what the release does next, None when that is nothing or not known."""
        release = self.release
        if release is None or release.phase not in UNDER_WAY:
            return None
        if release.next_shift_at is not None:
            left_s = (release.next_shift_at - self.now).total_seconds()
            return f"next shift in {clock_text(left_s)}" if left_s > 0 else "the next shift is due"
        if release.phase is ReleasePhase.BAKING:
            return "all traffic is on the new version while it bakes"
        return None

    def outlook(self) -> str:
        """Return the next shift, else the next look."""
        return self.next_shift() or self.again()

    def then(self, first: str | None = None) -> str | None:
        """Return `first` and the next shift, None without either."""
        return " · ".join(filter(None, (first, self.next_shift()))) or None


def _failing(wording: _Wording, headline: Finding) -> _Words:
    errors = wording.decision.of(Rule.ERRORS)
    unmeasured = errors.checks if errors else ()
    more = [f"{len(unmeasured)} more could not be measured: {_names(unmeasured)}"] if unmeasured else []
    return _Words(
        f"FAIL · {_advice(wording, headline)}",
        (*_all_sentences(headline), *more),
        _rounds(headline),
        wording.outlook(),
    )


def _advice(wording: _Wording, headline: Finding) -> str:
    decision, release = wording.decision, wording.release
    if decision.advice == "roll back":
        return "roll back"
    if decision.advice == "confirm":
        red = max(each.streak for each in headline.checks)
        if decision.rounds_needed - red > 1:
            return f"red {_TIMES[red]}; two more red rounds mean roll back"
        return f"red {_TIMES[red]}; a {_ORDINALS[decision.rounds_needed]} red round means roll back"
    wrong = decision.of(Rule.WENT_WRONG)
    if wrong is not None and release is not None:
        return f"{version_label(release.version)} {release.phase}"
    return "production is not healthy"


def _went_wrong(wording: _Wording, headline: Finding) -> _Words:
    release = headline.releases[0]
    new = version_label(release.version)
    gating = wording.evidence.gating
    passing = len(wording.evidence.gating_with(Status.PASS, Status.DEGRADED))
    healthy = bool(gating) and passing == len(gating)
    checks = f"all {passing} checks pass again" if healthy else f"{passing} of {len(gating)} checks pass now"
    serving = _serving(release)
    others = [each for each in wording.decision.findings if each.rule in _ALSO_SAID]
    said = (reason for each in others for reason in WORDS[each.rule](wording, each).reasons)
    also = tuple(reason for reason in said if reason != wording.passing())
    return _Words(
        f"{str(release.phase).upper()} · {_withdrawn(release)}",
        (
            f"{new} {release.phase}{_cause(release)}",
            f"{checks}{f', {serving}' if serving else ''}",
            *_still_served(headline.releases),
            *also,
        ),
        outlook=wording.then(),
    )


def _still_served(releases: Sequence[ReleaseState]) -> tuple[str, ...]:
    """Return what to do about each version that went wrong and still serves, as its alias shows."""
    sentences = []
    for each in releases:
        share = serving_share(each)
        if not share:
            continue
        if each.phase is ReleasePhase.ROLLED_BACK:
            step = "its rollback is not over"
        elif share < 1:
            step = "remove the weight"
        else:
            step = f"move the alias back to {version_label(each.previous)}" if each.previous else "move the alias back"
        name, new = each.id.subject + each.suffix, version_label(each.version)
        sentences.append(f"{new} {each.phase} and still gets {share * 100:.0f} % of {name}: {step}")
    return tuple(sentences)


_ALSO_SAID = frozenset(
    (Rule.ERRORS, Rule.INCONCLUSIVE, Rule.STALE_CHECKS, Rule.SOURCE_UNREADABLE, Rule.SOURCE_UNREAD, Rule.SOURCE_STALE)
)
"""Rules that are worded below a release that went wrong, as they keep the rest from being known."""


def _withdrawn(release: ReleaseState) -> str:
    new, share = version_label(release.version), serving_share(release)
    if share:
        return f"{new} still serves {share * 100:.0f} %"
    return f"{new} withdrawn" if is_withdrawn(release) else f"{new} may still serve"


def _serving(release: ReleaseState) -> str | None:
    versions = [version for version, weight in release.weights.items() if weight > 0]
    return f"production answers on {' and '.join(map(version_label, versions))}" if versions else None


def _cause(release: ReleaseState) -> str:
    return f": {release.cause}" if release.cause else ""


def _refused(wording: _Wording, headline: Finding) -> _Words:
    reason = headline.sources[0].message or "the session could not be started"
    return _Words("ERROR · could not verify", (reason,), outlook=wording.then("nothing is measured until it can start"))


def _errors(wording: _Wording, headline: Finding) -> _Words:
    return _Words(
        "ERROR · could not verify", _all_sentences(headline), _rounds(headline), wording.then(wording.again())
    )


def _inconclusive(wording: _Wording, headline: Finding) -> _Words:
    other = {each.reason_code for each in headline.checks} == {Reason.VERSION_MISMATCH}
    title = "UNSURE · another version answered" if other else "UNSURE · too little evidence"
    return _Words(title, _all_sentences(headline), _rounds(headline), wording.then(wording.again()))


def _critical_skipped(wording: _Wording, headline: Finding) -> _Words:
    title = "UNSURE · a critical check was skipped"
    return _Words(title, _sentences(headline.checks), _rounds(headline), wording.then())


def _nothing_defined(wording: _Wording, _headline: Finding) -> _Words:
    return _Words("WAITING", ("the checks have not been read yet",), outlook=wording.then())


def _nothing_selected(wording: _Wording, _headline: Finding) -> _Words:
    reason = "no checks are selected, so nothing proves that production works"
    advice = "write one under checks/; prodwatch schema checks prints its keys"
    return _Words("UNSURE · nothing is measured", (reason,), outlook=wording.then(advice))


def _no_round(wording: _Wording, headline: Finding) -> _Words:
    count = len(headline.checks)
    waiting = "the first round of 1 check" if count == 1 else f"the first round of {count} checks"
    return _Words("WAITING", ("no checks have finished yet",), outlook=wording.then(f"{waiting} is running"))


def _unfinished(wording: _Wording, headline: Finding) -> _Words:
    total = len(wording.evidence.counted)
    done = total - len(headline.checks)
    text = f"{done} of {total} checks have finished, none red; not yet: {_names(headline.checks)}"
    return _Words("WAITING", (text,), outlook=wording.then(wording.again()))


def _stale_checks(wording: _Wording, headline: Finding) -> _Words:
    age = format_age(min(each.age_s or 0.0 for each in headline.checks))
    text = f"{_names(headline.checks)}: the last result is {age} old, so it is not evidence about the present"
    return _Words("STALE", (text,), outlook=wording.then(wording.again()))


def _source_unreadable(wording: _Wording, headline: Finding) -> _Words:
    retry_s = min((each.retry_in_s for each in headline.sources if each.retry_in_s is not None), default=0.0)
    return _Words(
        "UNSURE · not everything can be seen",
        (*(problem_of(each) for each in headline.sources), wording.passing()),
        outlook=wording.then(f"next try in {format_age(retry_s)}" if retry_s > 0 else wording.again()),
    )


def _source_unread(wording: _Wording, headline: Finding) -> _Words:
    text = f"{wording.passing()}; not read yet: {', '.join(each.name for each in headline.sources)}"
    return _Words("WAITING", (text,), outlook=wording.then(wording.again()))


def _not_compared(wording: _Wording, headline: Finding) -> _Words:
    names = ", ".join(unique_name(each.id.subject, each.place) for each in headline.releases)
    text = f"{wording.passing()}; the versions are not compared yet: {names}"
    return _Words("WAITING", (text,), outlook=wording.then(wording.again()))


def _source_stale(wording: _Wording, headline: Finding) -> _Words:
    age = format_age(max(each.age_s or 0.0 for each in headline.sources))
    text = f"{', '.join(each.name for each in headline.sources)}: last read {age} ago, so nothing is known of now"
    return _Words("STALE", (text,), outlook=wording.then(wording.again()))


def _all_skipped(wording: _Wording, headline: Finding) -> _Words:
    reasons = (f"all {len(headline.checks)} checks were skipped", *_sentences(headline.checks))
    return _Words("UNSURE · nothing was measured", reasons, outlook=wording.then())


def _half_undone(wording: _Wording, headline: Finding) -> _Words:
    first = headline.releases[0]
    causes = (f"{each.title}: {version_label(each.version)} {each.phase}{_cause(each)}" for each in headline.releases)
    heading = "WARN" if headline.status is Status.DEGRADED else "UNSURE"
    title = f"{heading} · {first.title} {version_label(first.version)} {first.phase}"
    checks = f"{wording.passing()} while the release of other functions goes on"
    return _Words(title, (*causes, *_still_served(headline.releases), checks), outlook=wording.outlook())


def _degraded(wording: _Wording, headline: Finding) -> _Words:
    counted = f"{_passed(wording)} of {len(wording.evidence.gating)} checks pass{_left_out(wording)}"
    reasons = (*_all_sentences(headline), *wording.compared(headline), counted)
    return _Words(f"WARN · {_standing(wording)}", reasons, _rounds(headline), wording.outlook())


def _worse_figures(wording: _Wording, _headline: Finding) -> _Words:
    return _Words("WARN · checks pass, figures got worse", (_all_pass(wording),), outlook=wording.outlook())


def _green(wording: _Wording, headline: Finding) -> _Words:
    looks = min(each.streak for each in headline.checks)
    evidence = "; ".join(filter(None, (certainty(looks), wording.requests)))
    return _Words(f"PASS · {_standing(wording)}", (_all_pass(wording),), evidence, wording.outlook())


def _advisory_only(wording: _Wording, headline: Finding) -> _Words:
    red = sum(status_of(each) not in {Status.PASS, Status.SKIPPED} for each in headline.checks)
    reason = f"only advisory checks are selected, which never gate; not green: {red} of {len(headline.checks)}"
    return _Words("PASS · only advisory checks", (reason,), outlook=wording.outlook())


def _standing(wording: _Wording) -> str:
    release = wording.release
    if release is None:
        return "production is healthy"
    return "so far" if release.phase in UNDER_WAY else str(release.phase)


def _passed(wording: _Wording) -> int:
    return len(wording.evidence.gating_with(Status.PASS))


def _all_pass(wording: _Wording) -> str:
    passed, skipped = _passed(wording), _left_out(wording)
    if passed == 1:
        return f"1 check passes{skipped}"
    return f"all {passed} checks that ran pass{skipped}" if skipped else f"all {passed} checks pass"


def _left_out(wording: _Wording) -> str:
    skipped = len(wording.evidence.gating_with(Status.SKIPPED))
    return f", {skipped} skipped" if skipped else ""


def _then(title: str) -> Callable[[_Wording, Finding], _Words]:
    """Word a window that has ended: what was seen to be bad, worst first, else that nothing proves health."""

    def words(wording: _Wording, _headline: Finding) -> _Words:
        changed = wording.changed
        bad = tuple(each.text for each in changed.rows if each.bad) if changed else ()
        part = changed is not None and (changed.unseen or changed.reading)
        calm = "what could be seen shows no trouble" if part else "no alarm fired and no new error was seen"
        first = bad[:1] or ((calm,) if wording.facts.sources else ("nothing read yet",))
        return _Words(
            title,
            (*first, *bad[1:]),
            "checks are not judged as of then: they speak only of the present",
            "the window has ended: its data does not change",
        )

    return words


def _reading_window(wording: _Wording, headline: Finding) -> _Words:
    window = wording.facts.window
    if window is None or window.ended:
        return _then("WAITING · reading the window")(wording, headline)
    return _Words("WAITING · reading the window", (f"still reading {', '.join(window.reading)}",))


def _worse(wording: _Wording, headline: Finding) -> _Words:
    if wording.decision.advice == "roll back":
        title = "roll back"
    else:
        release = wording.release
        title = f"{version_label(release.version)} is worse" if release is not None else "the new version is worse"
    return _Words(f"FAIL · {title}", wording.compared(headline), outlook=wording.outlook())


def _bake(title: str) -> Callable[[_Wording, Finding], _Words]:
    """Return words of a rule that only the end of a bake knows: its title, and the judge's own sentence."""

    def words(wording: _Wording, headline: Finding) -> _Words:
        return _Words(title, (reason_of(wording.evidence, headline).rstrip("."),))

    return words


WORDS: dict[Rule, Callable[[_Wording, Finding], _Words]] = {
    Rule.FAILING: _failing,
    Rule.WORSE: _worse,
    Rule.UNCONFIRMED: _bake("UNSURE · red once"),
    Rule.TOO_FEW_ROUNDS: _bake("UNSURE · too few rounds"),
    Rule.NOT_COMPARED: _not_compared,
    Rule.UNUSED: _bake("UNSURE · no request on the new version"),
    Rule.NOT_MEASURED: _bake("UNSURE · part of the bake was not measured"),
    Rule.UNPROVEN: _bake("UNSURE · harm is not excluded"),
    Rule.UNCOVERED: _bake("UNSURE · too few routes served"),
    Rule.UNATTESTED: _bake("UNSURE · the version is not proven"),
    Rule.WENT_WRONG: _went_wrong,
    Rule.REFUSED: _refused,
    Rule.ERRORS: _errors,
    Rule.NOTHING_DEFINED: _nothing_defined,
    Rule.NOTHING_SELECTED: _nothing_selected,
    Rule.NO_ROUND: _no_round,
    Rule.STALE_CHECKS: _stale_checks,
    Rule.INCONCLUSIVE: _inconclusive,
    Rule.CRITICAL_SKIPPED: _critical_skipped,
    Rule.UNFINISHED: _unfinished,
    Rule.SOURCE_UNREADABLE: _source_unreadable,
    Rule.SOURCE_UNREAD: _source_unread,
    Rule.SOURCE_STALE: _source_stale,
    Rule.ALL_SKIPPED: _all_skipped,
    Rule.HALF_UNDONE: _half_undone,
    Rule.DEGRADED: _degraded,
    Rule.WORSE_FIGURES: _worse_figures,
    Rule.ADVISORY_ONLY: _advisory_only,
    Rule.PASSED: _green,
    Rule.READING_WINDOW: _reading_window,
    Rule.INCIDENTS_THEN: _then("NOT HEALTHY THEN"),
    Rule.TROUBLE_THEN: _then("TROUBLE THEN"),
    Rule.UNSEEN_THEN: _then("UNSURE · not everything can be seen"),
    Rule.QUIET_THEN: _then("NO TROUBLE SEEN"),
}
"""Rule of a session → its words as the headline."""


def _all_sentences(headline: Finding) -> tuple[str, ...]:
    return (*_sentences(headline.checks), *map(_signal, headline.signals))


def _signal(signal: SignalFact) -> str:
    name, message = f"{signal.kind} {signal.id}", signal.message or str(signal.status)
    # "the alarm is firing" reads better with its name in place of the noun.
    return f"{name} {message.removeprefix('the alarm ')}" if message.startswith("the alarm ") else f"{name}: {message}"


def _sentences(checks: Sequence[CheckFact]) -> tuple[str, ...]:
    return tuple(f"{each.title}: {each.message or each.status}" for each in sorted(checks, key=_weight))


def _weight(check: CheckFact) -> tuple[bool, bool, int]:
    """Critical ones first, then what made a request before what was only read, then what has lasted longest."""
    return (not check.critical, check.type in _READ_ONLY_TYPES, -check.streak)


def _names(checks: Sequence[CheckFact]) -> str:
    shown = ", ".join(each.title for each in checks[:3])
    return f"{shown} and {len(checks) - 3} more" if len(checks) > 3 else shown


def _rounds(headline: Finding) -> str | None:
    longest = max((each.streak for each in headline.checks), default=0)
    if not longest:
        return None
    state = _STREAKS[headline.rule]
    return f"{state} in 1 round so far" if longest == 1 else f"{state} in {longest} rounds in a row"
