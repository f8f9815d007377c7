"""AWS's error codes grouped by meaning; each service uses names of its own."""

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
"""The keys or the signature are invalid."""
CLOCK_SKEW = frozenset(("RequestInTheFuture", "RequestTimeTooSkewed"))
"""This machine's clock is wrong."""


def is_throttle(code: str, status: int | None) -> bool:
    """Return whether a response means that calls are too frequent."""
    return code in THROTTLES or status == 429


def is_clock_skew(code: str, text: str) -> bool:
    """Return whether a response means that this machine's clock is wrong."""
    lower = text.lower()
    return code in CLOCK_SKEW or "signature expired" in lower or "signature not yet current" in lower


UNKNOWN_OPERATION = "UnknownOperation"
"""prodwatch's own code for an operation that the service does not have; nothing was sent."""


FOREIGN_RESPONSE = "ForeignResponse"
"""prodwatch's own code for a response that is not AWS's document of the operation."""


def is_malformed_request(code: str) -> bool:
    """Return whether a code means that the request was malformed, which proves nothing about the target."""
    return code.startswith(("Validation", "Invalid", "Malformed", "Missing", "Unknown", "Unsupported", "Param")) or (
        code in {"NotImplemented", "SerializationException", "RequestTooLarge", "InvalidAction", "UnresolvableTarget"}
    )
