"""Errors that every AWS service can return, under each service's own code."""

from __future__ import annotations

from prodwatch.demo.aws.api_call import ServiceError
from prodwatch.demo.aws.protocols.models import iam_action

_THROTTLES = {
    "xray": ("ThrottledException", 429),
    "lambda": ("TooManyRequestsException", 429),
    "cloudwatch": ("Throttling", 400),
    "cloudformation": ("Throttling", 400),
    "sts": ("Throttling", 400),
    "s3": ("SlowDown", 503),
    "dynamodb": ("ThrottlingException", 400),
    "sqs": ("RequestThrottled", 400),
}
_XML = frozenset({"query", "rest-xml", "ec2"})
_QUERY_CODES = frozenset({"cloudwatch", "sqs"})
"""Services which keep the query protocol's error codes in the newer protocols."""


def throttled(service: str) -> ServiceError:
    """Return the service's own throttling error."""
    code, status = _THROTTLES.get(service, ("ThrottlingException", 400))
    return ServiceError(code, "Rate exceeded", status=status)


def unavailable(service: str) -> ServiceError:
    """Return a failure inside the service, which clients may retry."""
    if service == "s3":
        return ServiceError("ServiceUnavailable", "Please reduce your request rate.", status=503)
    return ServiceError("ServiceUnavailableException", "The service is temporarily unavailable.", status=503)


def expired_credentials(service: str, protocol: str) -> ServiceError:
    """Return the error for expired session credentials."""
    plain = protocol in _XML or service in _QUERY_CODES
    status = 400 if protocol in {"json", "rest-xml"} else 403
    code = "ExpiredToken" if plain else "ExpiredTokenException"
    return ServiceError(code, "The security token included in the request is expired", status=status)


def access_denied(service: str, operation: str, protocol: str, account: str) -> ServiceError:
    """Return IAM's error with the identity and the action that no policy allows."""
    action = iam_action(service, operation)
    plain = protocol in _XML or service in _QUERY_CODES
    status = 403 if protocol in _XML | {"rest-json"} or service in _QUERY_CODES else 400
    message = (
        f"User: arn:aws:sts::{account}:assumed-role/demo/session is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action"
    )
    return ServiceError("AccessDenied" if plain else "AccessDeniedException", message, status=status)


def unimplemented(service: str, operation: str, protocol: str) -> ServiceError:
    """Return the error for an operation that is not implemented: a client error, so that clients do not retry it."""
    code = "InvalidAction" if protocol in _XML else "UnknownOperationException"
    return ServiceError(code, f"The embedded AWS does not implement {service}:{operation}.", status=400)


def internal(service: str, operation: str) -> ServiceError:
    """Return the error for a failure of the embedded AWS itself."""
    return ServiceError("InternalFailure", f"The embedded AWS failed in {service}:{operation}.", status=500)
