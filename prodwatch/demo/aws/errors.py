"""The errors every AWS service can answer with, under the name each service gives them."""

from __future__ import annotations

from prodwatch.demo.aws.api_call import AwsFault
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


def throttled(service: str) -> AwsFault:
    """Return the service's own throttling error."""
    code, status = _THROTTLES.get(service, ("ThrottlingException", 400))
    return AwsFault(code, "Rate exceeded", status=status)


def unavailable(service: str) -> AwsFault:
    """Return a failure inside the service, which clients may repeat."""
    if service == "s3":
        return AwsFault("ServiceUnavailable", "Please reduce your request rate.", status=503)
    return AwsFault("ServiceUnavailableException", "The service is temporarily unavailable.", status=503)


def expired_credentials(service: str, protocol: str) -> AwsFault:
    """Return what a call signed with expired session credentials gets."""
    plain = protocol in _XML or service in _QUERY_CODES
    status = 400 if protocol in {"json", "rest-xml"} else 403
    code = "ExpiredToken" if plain else "ExpiredTokenException"
    return AwsFault(code, "The security token included in the request is expired", status=status)


def access_denied(service: str, operation: str, protocol: str, account: str) -> AwsFault:
    """Return IAM's refusal, naming who, which action, and that no policy allows it."""
    action = iam_action(service, operation)
    plain = protocol in _XML or service in _QUERY_CODES
    status = 403 if protocol in _XML | {"rest-json"} or service in _QUERY_CODES else 400
    message = (
        f"User: arn:aws:sts::{account}:assumed-role/demo/session is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action"
    )
    return AwsFault("AccessDenied" if plain else "AccessDeniedException", message, status=status)


def unimplemented(service: str, operation: str, protocol: str) -> AwsFault:
    """Return the answer to an operation the embedded AWS lacks: a client error, so that nobody repeats it."""
    code = "InvalidAction" if protocol in _XML else "UnknownOperationException"
    return AwsFault(code, f"The embedded AWS does not implement {service}:{operation}.", status=400)


def internal(service: str, operation: str) -> AwsFault:
    """Return the answer when the embedded AWS itself fails."""
    return AwsFault("InternalFailure", f"The embedded AWS failed in {service}:{operation}.", status=500)
