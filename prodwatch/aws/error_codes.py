"""Error codes of AWS by what they mean for somebody who wanted an answer; each service has words of its own."""

from __future__ import annotations

THROTTLES = frozenset(
    (
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KMSThrottlingException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    )
)
EXPIRED = frozenset(
    (
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "TokenRefreshRequired",
    )
)
DENIED = frozenset(
    (
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "KMS.AccessDeniedException",
        "KMSAccessDeniedException",
        "NotAuthorized",
        "UnauthorizedException",
        "UnauthorizedOperation",
    )
)
REJECTED = frozenset(
    (
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotSignedUp",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    )
)
"""AWS does not accept the keys or the signature."""
SKEWED = frozenset(("RequestInTheFuture", "RequestTimeTooSkewed"))
"""The clock of this machine is wrong."""


def is_throttle(code: str, status: int | None) -> bool:
    """Say whether an answer means that calls come too fast."""
    return code in THROTTLES or status == 429


def is_skew(code: str, text: str) -> bool:
    """Say whether an answer means that the signature's time is off."""
    lower = text.lower()
    return code in SKEWED or "signature expired" in lower or "signature not yet current" in lower


UNKNOWN_OPERATION = "UnknownOperation"
"""Our own code for an operation the service does not have: nothing was sent."""


def is_our_mistake(code: str) -> bool:
    """Say whether a code means that the request itself was malformed: that tells nothing about the target."""
    return code.startswith(("Validation", "Invalid", "Malformed", "Missing", "Unknown", "Unsupported", "Param")) or (
        code in {"NotImplemented", "SerializationException", "RequestTooLarge", "InvalidAction", "UnresolvableTarget"}
    )
