"""AWS's error codes by meaning. Each service has names of its own, and some have another meaning for one call."""

from __future__ import annotations

import re
from collections.abc import Mapping

THROTTLES = frozenset(
    (
        "BandwidthLimitExceeded",
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
SQS_PREFIX = "AWS.SimpleQueueService."
"""Prefix of error codes of SQS in the names of its query protocol, which its JSON responses repeat."""
CALLER_RATE = "CallerRateLimitExceeded"
"""The only `Reason` of a 429 of Lambda that is about the caller."""
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
        "SubscriptionRequiredException",
        "UnrecognizedClientException",
    )
)
"""The keys or the signature are invalid."""
CLOCK_SKEW = frozenset(("RequestInTheFuture", "RequestTimeTooSkewed"))
"""This machine's clock is wrong."""


INVOCATIONS = frozenset(("lambda:Invoke", "lambda:InvokeAsync", "lambda:InvokeWithResponseStream"))
FUNCTION_FAULTS = frozenset(
    (
        "CodeArtifactUserDeletedException",
        "CodeArtifactUserFailedException",
        "CodeArtifactUserPendingException",
        "EC2AccessDeniedException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "EFSIOException",
        "EFSMountConnectivityException",
        "EFSMountFailureException",
        "EFSMountTimeoutException",
        "ENILimitReachedException",
        "ENINotReadyException",
        "InvalidRuntimeException",
        "InvalidSecurityGroupIDException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "NoPublishedVersionException",
        "RecursiveInvocationException",
        "ResourceConflictException",
        "ResourceNotFoundException",
        "ResourceNotReadyException",
        "S3FilesMountConnectivityException",
        "S3FilesMountFailureException",
        "S3FilesMountTimeoutException",
        "ServiceQuotaExceededException",
        "SnapStartException",
        "SnapStartNotReadyException",
        "SnapStartRegenerationFailureException",
        "SnapStartTimeoutException",
        "SubnetIPAddressLimitReachedException",
    )
)
"""Errors of a Lambda invocation that any other caller gets as well: the function cannot run."""
INVOCATION_FAULTS = frozenset(
    (
        "DurableExecutionAlreadyStartedException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "ModeNotSupportedException",
        "RequestTooLargeException",
        "SerializedRequestEntityTooLargeException",
        "ServiceException",
        "TooManyRequestsException",
        "UnsupportedMediaTypeException",
    )
)
"""Errors of a Lambda invocation about the request, its rate or Lambda itself. They prove nothing of the function."""
_TARGET_FAULTS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(INVOCATIONS, FUNCTION_FAULTS),
    # A secret that is scheduled for deletion, and the key that encrypts it.
    "secretsmanager:GetSecretValue": frozenset(("DecryptionFailure", "InvalidRequestException")),
    "ssm:GetParameter": frozenset(("InvalidKeyId",)),
    "s3:GetObject": frozenset(("InvalidObjectState",)),
}
"""`service:Operation` → codes about the resource, whatever the name and the HTTP status suggest."""
_OF_A_RESOURCE = re.compile(
    r"(State|Status)(Exception|Fault|Error)?$|NotFound|InUse|AlreadyExist|Duplicate|UnknownResource"
)
"""Parts of codes such as `InvalidInstanceID.NotFound` and `InvalidDBInstanceState` that describe the resource."""


def is_target_fault(service: str, operation: str, code: str) -> bool:
    """Return whether a code of this operation is about the resource, not about the request or the AWS service."""
    return code in _TARGET_FAULTS.get(f"{service}:{operation}", ())


def is_throttle(code: str, status: int | None, *, reason: str | None = None) -> bool:
    """Return whether a response means that calls are too frequent.

    `reason` is Lambda's own for a 429: with most of them it is the function that has no capacity left.
    """
    return (code in THROTTLES or status == 429) and reason in {None, CALLER_RATE}


def is_clock_skew(code: str, text: str) -> bool:
    """Return whether a response means that this machine's clock is wrong."""
    lower = text.lower()
    return code in CLOCK_SKEW or "signature expired" in lower or "signature not yet current" in lower


UNKNOWN_OPERATION = "UnknownOperation"
"""prodwatch's own code for an operation that the service does not have; nothing was sent."""


RESPONSE_LIMIT = "ResponseLimit"
"""prodwatch's own code for a response that is larger, deeper or longer than prodwatch reads."""
FOREIGN_RESPONSE = "ForeignResponse"
"""prodwatch's own code for a response that is not AWS's document of the operation."""


def is_malformed_request(service: str, operation: str, code: str) -> bool:
    """Return whether a code means that the request was malformed, which proves nothing about the target."""
    if is_target_fault(service, operation, code):
        return False
    if f"{service}:{operation}" in INVOCATIONS and code in INVOCATION_FAULTS:
        return True
    if _OF_A_RESOURCE.search(code):
        return False
    if code.isdecimal():
        # The response to HEAD has no body with a code: only these statuses say something of the object.
        return code not in {"304", "404", "412"}
    return code.startswith(("Validation", "Invalid", "Malformed", "Missing", "Unknown", "Unsupported", "Param")) or (
        code
        in {
            "InvalidAction",
            "NotImplemented",
            "RequestEntityTooLargeException",
            "RequestTooLarge",
            "RequestTooLargeException",
            "SerializationException",
            "UnresolvableTarget",
        }
    )
