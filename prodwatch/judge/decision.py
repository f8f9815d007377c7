"""A verdict with everything that led to it, for front ends to word."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from prodwatch.judge.facts import CheckFact, SignalFact, SourceFact
from prodwatch.model.comparison import ComparisonResult, Coverage, SignatureResult
from prodwatch.model.result import Verdict
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Status


class Rule(StrEnum):
    """The rules, each with one finding at most; among equal statuses the first one is the headline."""

    INTERRUPTED = "interrupted"
    FAILING = "failing"
    """A check failed, or a signal that gates did."""
    WORSE = "worse"
    """The new version is worse than the old one, or an error signature is bound to it."""
    WENT_WRONG = "went wrong"
    """The main release failed, was stopped or was rolled back."""
    REFUSED = "refused"
    """The run was refused, or the session could not start: nothing can be measured."""
    ERRORS = "errors"
    """A check or signal could not be measured."""
    NOTHING_DEFINED = "nothing defined"
    """The checks have not been read yet."""
    NOTHING_SELECTED = "nothing selected"
    NO_ROUND = "no round"
    """No check has finished yet."""
    STALE_CHECKS = "stale checks"
    INCONCLUSIVE = "inconclusive"
    """A check or signal has too little evidence."""
    CRITICAL_SKIPPED = "critical skipped"
    UNFINISHED = "unfinished"
    """Some checks have not finished their first round."""
    SOURCE_UNREADABLE = "source unreadable"
    """A source of evidence cannot be read, or only in part."""
    SOURCE_UNREAD = "source unread"
    """A source of evidence has not answered yet."""
    SOURCE_STALE = "source stale"
    ALL_SKIPPED = "all skipped"
    HALF_UNDONE = "half undone"
    """The release of another function went wrong while the main one goes on."""
    UNCONFIRMED = "unconfirmed"
    """A check was red in too few rounds of a bake to fail a gate."""
    TOO_FEW_ROUNDS = "too few rounds"
    """Half or fewer of the planned rounds of a check measured something."""
    NOT_COMPARED = "not compared"
    """The first batch of requests since a release has not been compared."""
    UNUSED = "unused"
    """The new version has a share of the traffic, and all requests that were read went to the old one."""
    NOT_MEASURED = "not measured"
    """A part of the bake was not measured that is too long to leave out."""
    UNPROVEN = "unproven"
    """The bake is over and harm is not excluded."""
    UNCOVERED = "uncovered"
    """The new version has not served enough of the old one's routes."""
    UNATTESTED = "unattested"
    """Nothing proves that the new version answered any check of a gate."""
    DEGRADED = "degraded"
    """A `warn` assertion of a check or signal is false."""
    WORSE_FIGURES = "worse figures"
    """A figure got worse in the window that triage asks about."""
    ADVISORY_ONLY = "advisory only"
    """Only advisory checks are selected."""
    PASSED = "passed"
    READING_WINDOW = "reading window"
    """Parts of the window that triage asks about have not been read to their end."""
    INCIDENTS_THEN = "incidents then"
    """Alarms fired or deployments went wrong in a window that has ended."""
    TROUBLE_THEN = "trouble then"
    UNSEEN_THEN = "unseen then"
    """Parts of a window that has ended could not be read."""
    QUIET_THEN = "quiet then"


WAITING = frozenset((Rule.NOTHING_DEFINED, Rule.NO_ROUND, Rule.UNFINISHED, Rule.SOURCE_UNREAD, Rule.NOT_COMPARED))
"""Rules that only say that something has not been read or measured yet."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a rule found, and the facts it rests on."""

    rule: Rule
    status: Status
    """Weight of the evidence."""
    checks: tuple[CheckFact, ...] = ()
    signals: tuple[SignalFact, ...] = ()
    sources: tuple[SourceFact, ...] = ()
    releases: tuple[ReleaseState, ...] = ()
    comparisons: tuple[ComparisonResult, ...] = ()
    signatures: tuple[SignatureResult, ...] = ()
    coverage: Coverage | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict, and what was found."""

    verdict: Verdict
    headline: Finding
    """The finding that people should read first."""
    findings: tuple[Finding, ...]
    """All, in the order of the rules; the headline is one of them."""
    advice: Literal["roll back", "confirm"] | None = None
    """`confirm`: a check is red, but in too few rounds to advise a rollback. None: there is nothing to roll back."""
    rounds_needed: int = 0
    """Red rounds in a row from which a rollback is advised; 0 without advice."""
    uncompared: bool = False
    """Two versions of a release under way serve, and nothing compares them."""

    def of(self, rule: Rule) -> Finding | None:
        """Return what a rule found, None when it found nothing."""
        return next((each for each in self.findings if each.rule is rule), None)
