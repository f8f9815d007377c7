"""What a measurement may be called, and in which order the names weigh."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """The outcome of one check, step or run."""

    PASS = "pass"  # noqa: S105 -- a status, not a password
    """Measured, every assertion true."""
    DEGRADED = "degraded"
    """Measured, a `warn` assertion false."""
    FAIL = "fail"
    """Measured, an assertion false, or the target refused: evidence against the release."""
    ERROR = "error"
    """Could not measure: credentials, permission, throttling, our own network, a bug."""
    INCONCLUSIVE = "inconclusive"
    """Too little evidence: no data, too few samples, the wrong version answered."""
    SKIPPED = "skipped"
    """Not run, with the reason."""


WORST_FIRST: tuple[Status, ...] = (
    Status.FAIL,
    Status.ERROR,
    Status.INCONCLUSIVE,
    Status.DEGRADED,
    Status.PASS,
    Status.SKIPPED,
)
"""The one order used everywhere; `skipped` never outweighs something measured."""


def worst(statuses: Iterable[Status]) -> Status | None:
    """Return the heaviest of `statuses`, or None when there are none."""
    present = set(statuses)
    return next((status for status in WORST_FIRST if status in present), None)


class Reason(StrEnum):
    """Why a result is not a plain pass; one code and one sentence accompany every non-pass."""

    ASSERTION = "assertion"
    """An `expect` assertion is false."""
    WARNING = "warning"
    """A `warn` assertion is false."""
    TIMEOUT = "timeout"
    """The target did not answer within the time allowed."""
    CONNECT = "connect"
    """The target refused, reset or could not be reached."""
    DNS = "dns"
    """The target's name does not resolve."""
    TLS = "tls"
    """The TLS handshake or the certificate was refused."""
    PROTOCOL = "protocol"
    """The target answered something that is not its protocol."""
    TARGET_ERROR = "target_error"
    """The target spoke its protocol and refused: a SQL or Redis error, an SMTP refusal; the message quotes it."""
    FUNCTION_ERROR = "function_error"
    """The invoked function itself reported an error."""
    API_ERROR = "api_error"
    """An AWS API refused the call; the code and message say why."""
    SERVICE = "service"
    """AWS's own API was unreachable or failed: nothing was measured."""
    THROTTLED = "throttled"
    """AWS's call rate was exhausted, retries included."""
    ACCESS_DENIED = "access_denied"
    """The identity lacks a permission; the message names the action."""
    EXPIRED_CREDENTIALS = "expired_credentials"
    """The credentials have expired; the message names the command that renews them."""
    NO_CREDENTIALS = "no_credentials"
    """No credentials were found."""
    WRONG_ACCOUNT = "wrong_account"
    """The credentials belong to another account than the environment names."""
    NETWORK = "network"
    """Our own network failed: the self-check did too."""
    NO_DATA = "no_data"
    """Nothing to judge: an empty list, or a source that could not be read to its end."""
    MIN_SAMPLES = "min_samples"
    """Fewer samples than a judgement needs."""
    VERSION_MISMATCH = "version_mismatch"
    """Another version than the one under test answered."""
    UNATTESTED = "unattested"
    """Nothing proves which version answered."""
    UNRESOLVED = "unresolved"
    """A stack output, secret or variable could not be had."""
    INVALID = "invalid"
    """A value known only when the check ran cannot be used: no URL, a line break in a header, a missing file."""
    PREREQUISITE = "prerequisite"
    """A check named in `needs` did not pass, or something in `requires` is missing."""
    PROTECTED = "protected"
    """A mutating check in a protected environment without --allow-writes."""
    MUTED = "muted"
    """Muted until a date the check names."""
    DISABLED = "disabled"
    """`enabled = false`."""
    EXPLICIT = "explicit"
    """A check of type pass, fail or skip says so."""
    UNAVAILABLE = "unavailable"
    """This machine cannot do it: a missing permission, program or extra."""
    JOURNAL = "journal"
    """The mutation could not be journalled, so it was not sent."""
    LIMIT = "limit"
    """A bound of `[limits]` or of the run was reached before the check could run."""
    DEADLINE = "deadline"
    """The run's own deadline came first."""
    INTERRUPTED = "interrupted"
    """The run was interrupted before the check finished."""
    CLEANUP = "cleanup"
    """A cleanup step did not finish; leftovers are listed."""
    CHILDREN = "children"
    """A composite's members decided."""
    NOTHING_SELECTED = "nothing_selected"
    """The selection is empty."""
    ALL_SKIPPED = "all_skipped"
    """Everything selected was skipped."""
    INTERNAL = "internal"
    """A bug in prodwatch."""
