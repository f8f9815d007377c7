"""Statuses and reasons of results, and the order of statuses."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """The outcome of one check, step or run."""

    PASS = "pass"  # noqa: S105 -- a status, not a password
    """Measured; every assertion is true."""
    DEGRADED = "degraded"
    """Measured; a `warn` assertion is false."""
    FAIL = "fail"
    """Measured; an assertion is false, or the target refused: evidence against the release."""
    ERROR = "error"
    """Not measured: credentials, permission, throttling, prodwatch's own network, a bug."""
    INCONCLUSIVE = "inconclusive"
    """Too little evidence: no data, too few samples, or the wrong version responded."""
    SKIPPED = "skipped"
    """Not run; the reason is given."""


WORST_FIRST: tuple[Status, ...] = (
    Status.FAIL,
    Status.ERROR,
    Status.INCONCLUSIVE,
    Status.DEGRADED,
    Status.PASS,
    Status.SKIPPED,
)
"""The order used everywhere; `skipped` never outweighs a measurement."""


def worst(statuses: Iterable[Status]) -> Status | None:
    """Return the worst of `statuses`; None when there are none."""
    present = set(statuses)
    return next((status for status in WORST_FIRST if status in present), None)


class Reason(StrEnum):
    """Why a result is not a plain pass; every non-pass has one code and one sentence."""

    ASSERTION = "assertion"
    """An `expect` assertion is false."""
    WARNING = "warning"
    """A `warn` assertion is false."""
    TIMEOUT = "timeout"
    """The target did not respond within the time limit."""
    CONNECT = "connect"
    """The target refused or reset the connection, or could not be reached."""
    DNS = "dns"
    """The target's name does not resolve."""
    TLS = "tls"
    """The TLS handshake failed or the certificate was rejected."""
    PROTOCOL = "protocol"
    """The target's response does not follow its protocol."""
    TARGET_ERROR = "target_error"
    """The target responded with an error: a SQL or Redis error, an SMTP refusal; the message quotes it."""
    FUNCTION_ERROR = "function_error"
    """The invoked function itself reported an error."""
    API_ERROR = "api_error"
    """An AWS API rejected the call; code and message give the reason."""
    SERVICE = "service"
    """An AWS API was unreachable or failed: nothing was measured."""
    THROTTLED = "throttled"
    """AWS throttled the call, retries included."""
    ACCESS_DENIED = "access_denied"
    """The identity lacks a permission; the message names the action."""
    EXPIRED_CREDENTIALS = "expired_credentials"
    """The credentials have expired; a notice of the run says how to renew them."""
    NO_CREDENTIALS = "no_credentials"
    """No credentials were found."""
    WRONG_ACCOUNT = "wrong_account"
    """The credentials belong to an account other than the one the environment names."""
    NETWORK = "network"
    """This machine's network failed, as did the self-check."""
    NO_DATA = "no_data"
    """Nothing to judge: an empty list, or a source that could not be read completely."""
    MIN_SAMPLES = "min_samples"
    """Fewer samples than the judgement needs."""
    VERSION_MISMATCH = "version_mismatch"
    """A version other than the one under test responded."""
    UNATTESTED = "unattested"
    """Nothing proves which version responded."""
    UNRESOLVED = "unresolved"
    """A stack output, secret or variable could not be resolved."""
    INVALID = "invalid"
    """A value known only at run time is invalid: not a URL, a line break in a header, a missing file."""
    PREREQUISITE = "prerequisite"
    """A check named in `needs` did not pass, or something in `requires` is missing."""
    PROTECTED = "protected"
    """A mutating check in a protected environment without --allow-writes."""
    MUTED = "muted"
    """Muted until a date the check names."""
    DISABLED = "disabled"
    """`enabled = false`."""
    EXPLICIT = "explicit"
    """A check of type pass, fail or skip, as defined."""
    UNAVAILABLE = "unavailable"
    """Not possible on this machine: a permission, program or extra is missing."""
    JOURNAL = "journal"
    """The mutation could not be written to the journal, so it was not sent."""
    LIMIT = "limit"
    """A limit of `[limits]` or of the run was reached before the check could run."""
    DEADLINE = "deadline"
    """The run's deadline came first."""
    STALLED = "stalled"
    """This machine was too slow to measure a latency or a timeout, twice in a row where a second try was allowed."""
    INTERRUPTED = "interrupted"
    """The run was interrupted before the check finished."""
    CLEANUP = "cleanup"
    """A cleanup step did not finish; the leftovers are listed."""
    CHILDREN = "children"
    """The members of a composite decided."""
    NOTHING_SELECTED = "nothing_selected"
    """The selection is empty."""
    ALL_SKIPPED = "all_skipped"
    """All selected checks were skipped."""
    INTERNAL = "internal"
    """A bug in prodwatch."""
