"""Maps exceptions of botocore, aiobotocore and aiohttp to `AwsError`: a reason and one sentence with advice.

Exceptions are recognised by class name, so that the SDK need not be imported.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from prodwatch.aws.credentials import MfaCodeNeededError
from prodwatch.aws.error_codes import (
    DENIED,
    EXPIRED,
    FOREIGN_RESPONSE,
    REJECTED,
    RESPONSE_LIMIT,
    SQS_PREFIX,
    UNKNOWN_OPERATION,
    is_clock_skew,
    is_target_fault,
    is_throttle,
)
from prodwatch.aws.foreign_responses import TOO_DEEP, ForeignResponseError, ResponseLimitError
from prodwatch.aws.iam_actions import actions
from prodwatch.aws.interface import AwsError
from prodwatch.model.identity import HOME, Place
from prodwatch.model.status import Reason

_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")
_SUBJECTS = (
    ("logGroupName", "log group"),
    ("logGroupIdentifier", "log group"),
    ("TableName", "table"),
    ("FunctionName", "function"),
    ("QueueUrl", "queue"),
    ("QueueName", "queue"),
    ("Bucket", "bucket"),
    ("StackName", "stack"),
    ("SecretId", "secret"),
    ("deploymentId", "deployment"),
    ("applicationName", "application"),
    ("stateMachineArn", "state machine"),
    ("executionArn", "execution"),
    ("StreamName", "stream"),
    ("TopicArn", "topic"),
    ("RoleArn", "role"),
    ("Name", ""),
)


class _Rule(NamedTuple):
    """Meaning of exceptions whose class, or a parent class, has one of `names`."""

    names: frozenset[str]
    reason: Reason
    sentence: str
    transient: bool = False


def _rule(names: str, reason: Reason, sentence: str, *, transient: bool = False) -> _Rule:
    return _Rule(frozenset(names.split()), reason, sentence, transient)


_EXCEPTION_RULES = (
    _rule("NoCredentialsError", Reason.NO_CREDENTIALS, "{unset}"),
    _rule(
        "LoginInsufficientPermissions",
        Reason.ACCESS_DENIED,
        "the login session cannot be renewed: permission signin:CreateOAuth2Token is missing",
    ),
    _rule(
        "RefreshWithMFAUnsupportedError",
        Reason.EXPIRED_CREDENTIALS,
        "the role session has expired and needs a new MFA code: start prodwatch again",
    ),
    _rule(
        "SSOError TokenRetrievalError LoginError SSOTokenLoadError UnauthorizedSSOTokenError",
        Reason.EXPIRED_CREDENTIALS,
        "the AWS session has expired; {renewal_hint}",
    ),
    _rule(
        "PartialCredentialsError ProfileNotFound InvalidConfigError ConfigParseError CredentialRetrievalError "
        "InfiniteLoopConfigError UnknownCredentialError MetadataRetrievalError",
        Reason.NO_CREDENTIALS,
        "no AWS credentials are available: {text}",
    ),
    _rule(
        "NoRegionError",
        Reason.UNRESOLVED,
        "no AWS region is configured; set region in [aws] or AWS_REGION in the environment",
    ),
    _rule(
        "ParamValidationError UnknownServiceError ValidationError InvalidRegionError DataNotFoundError",
        Reason.INVALID,
        "{call} was not sent: {text}",
    ),
    _rule(
        "ReadTimeoutError ConnectTimeoutError TimeoutError",
        Reason.TIMEOUT,
        "{call}{where} did not respond in time",
        transient=True,
    ),
    _rule("SSLError", Reason.NETWORK, "{call}: the TLS connection{where} is not trusted: {text}"),
    _rule(
        "EndpointConnectionError ProxyConnectionError",
        Reason.NETWORK,
        "{call}: no connection{where}; check the network: {text}",
        transient=True,
    ),
    _rule(
        "ResponseParserError EventStreamError ChecksumError FlexibleChecksumError",
        Reason.SERVICE,
        "{call}{where}: the response is not a valid AWS response: {text}",
        transient=True,
    ),
    _rule(
        "ConnectionError HTTPClientError ClientError OSError",
        Reason.NETWORK,
        "{call}: the connection{where} was lost: {text}",
        transient=True,
    ),
    # The SDK reports AWS's own responses as ClientError; its other errors are about this machine's configuration.
    _rule("BotoCoreError", Reason.INVALID, "{call}: {text}"),
)
"""The first matching rule applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as its error message describes it."""

    service: str
    operation: str
    params: Mapping[str, Any]
    place: Place = HOME
    """Account and region, where they are not the environment's own."""
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    renewal_hint: Callable[[], str] = lambda: "run `aws sso login`"
    """Returns how to renew the credentials of this call. Called only when they have expired, because it reads files."""

    def __str__(self) -> str:
        subject = subject_of(self.params)
        place = f" in {self.place}" if self.place else ""
        return f"{self.service} {self.operation}{f' on {subject}' if subject else ''}{place}".replace("  ", " ")

    @property
    def where(self) -> str:
        """Return ` at <endpoint>` or ` in <region>`; empty where neither is known or `str` names the region."""
        if self.endpoint_url:
            return f" at {self.endpoint_url}"
        return f" in {self.region}" if self.region and not self.place else ""


def subject_of(params: Mapping[str, Any]) -> str:
    """Return the resource a call refers to: `table "orders"`; empty when unknown."""
    for key, kind in _SUBJECTS:
        value = params.get(key)
        if isinstance(value, str) and value:
            if key == "Bucket" and isinstance(params.get("Key"), str):
                value = f"{value}/{params['Key']}"
            return f'{kind} "{value}"'.strip()
    return ""


def no_credentials(profile: str | None) -> str:
    """Return the message for missing credentials."""
    if profile:
        login = f"aws sso login --profile {shlex.quote(profile)}"
        return f'profile "{profile}" provides no AWS credentials; run `{login}` or check ~/.aws/config'
    return (
        "no AWS credentials were found; set `profile` in [aws], or AWS_PROFILE, "
        "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def explain(exc: BaseException, call: Call) -> AwsError:
    """Return the `AwsError` for an exception of the SDK or its transport; an `AwsError` is returned as it is."""
    if isinstance(exc, AwsError):
        return exc
    if isinstance(exc, ForeignResponseError | ResponseLimitError | RecursionError):
        return _unusable_response(exc, call)
    response, operation = getattr(exc, "response", None), getattr(exc, "operation_name", None)
    if isinstance(response, Mapping) and isinstance(operation, str) and type(exc).__name__ != "EventStreamError":
        return _from_response(response, operation, call)
    if isinstance(exc, RuntimeError) and "still expired" in str(exc):
        message = f"the AWS credentials have expired, and those that replaced them too; {call.renewal_hint()}"
        return _error(call, Reason.EXPIRED_CREDENTIALS, "RefreshedCredentialsExpired", message)
    names = {cls.__name__ for cls in type(exc).__mro__}
    for rule in _EXCEPTION_RULES:
        if names & rule.names:
            message = rule.sentence.format(
                call=call,
                where=call.where,
                text=_one_line(exc) or type(exc).__name__,
                renewal_hint=call.renewal_hint() if rule.reason is Reason.EXPIRED_CREDENTIALS else "",
                unset=no_credentials(call.profile),
            )
            return _error(call, rule.reason, type(exc).__name__, message, transient=rule.transient)
    return _error(call, Reason.INTERNAL, type(exc).__name__, f"{call}: unexpected {type(exc).__name__}: {exc}")


def _unusable_response(exc: ForeignResponseError | ResponseLimitError | RecursionError, call: Call) -> AwsError:
    if isinstance(exc, ForeignResponseError):
        message = f"{call}{call.where}: {exc}"
        return _error(call, Reason.SERVICE, FOREIGN_RESPONSE, message, transient=exc.transient)
    limit = TOO_DEEP if isinstance(exc, RecursionError) else str(exc)
    return _error(call, Reason.LIMIT, RESPONSE_LIMIT, f"{call}{call.where}: the response was not read: {limit}")


def timed_out(call: Call, timeout_s: float, *, throttled: bool) -> AwsError:
    """Return the error of a call whose time limit ended while AWS throttled it or did not respond."""
    if throttled:
        why = f"{call} timed out after {timeout_s:g} s: AWS kept throttling it"
        return _error(call, Reason.THROTTLED, "Throttled", why, transient=True)
    message = f"{call}{call.where} did not respond within {timeout_s:g} s"
    return _error(call, Reason.TIMEOUT, "Timeout", message, transient=True)


def not_sent(call: Call, waited_s: float, *, queued: bool) -> AwsError:
    """Return the error of a call that waited in this process for too long: for its rate limit, else for credentials."""
    if queued:
        message = f"{call} was not sent: it was still queued after {waited_s:g} s, to stay under AWS's rate limit"
        return _error(call, Reason.THROTTLED, "Queued", message, transient=True)
    message = f"{call} was not sent: no AWS credentials and client were ready within {waited_s:g} s"
    return _error(call, Reason.NO_CREDENTIALS, "NotReady", message)


def credential_error(exc: Exception, call: Call) -> AwsError:
    """Return the error of credentials that could not be loaded; an unknown exception is the provider's, not ours."""
    error = explain(exc, call)
    if error.reason is not Reason.INTERNAL:
        return error
    source = f'profile "{call.profile}"' if call.profile else "the default chain"
    if isinstance(exc, MfaCodeNeededError):
        of = f" --profile {call.profile}" if call.profile else ""
        message = (
            f"{source} needs an MFA code, which prodwatch never asks for: run `aws sts get-caller-identity{of}` first, "
            "whose session prodwatch then uses, or export the keys of a session"
        )
        return _error(call, Reason.NO_CREDENTIALS, "MfaCodeNeeded", message)
    message = f"{source} provides no usable AWS credentials: {type(exc).__name__}: {_one_line(exc)}"
    return _error(call, Reason.NO_CREDENTIALS, type(exc).__name__, message)


def overdue_credentials(call: Call, waited_s: float) -> AwsError:
    """Return the error of credentials that took too long to load."""
    source = f'profile "{call.profile}"' if call.profile else "the default chain"
    message = (
        f"{source} provided no AWS credentials within {waited_s:g} s, so nothing was sent; "
        "its credential_process or login is too slow: run it first, or export its keys as environment variables"
    )
    return _error(call, Reason.NO_CREDENTIALS, "CredentialsOverdue", message)


def unknown_operation(client: Any, service: str, operation: str) -> AwsError:
    """Return the error for an operation that the service does not have, with the closest name it has."""
    names = sorted(set(client.meta.method_to_api_mapping.values()))
    near = difflib.get_close_matches(operation, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return AwsError(
        f'{service} has no operation "{operation}"{hint}',
        code=UNKNOWN_OPERATION,
        reason=Reason.INVALID,
        service=service,
        operation=operation,
    )


def _from_response(response: Mapping[str, Any], operation: str, call: Call) -> AwsError:
    error = response.get("Error", {})
    metadata = response.get("ResponseMetadata", {})
    code = str(error.get("Code") or "Unknown")
    status = metadata.get("HTTPStatusCode")
    reason, message = _meaning(
        code.removeprefix(SQS_PREFIX), _one_line(error.get("Message") or ""), status, operation or call.operation, call
    )
    return AwsError(
        message,
        code=code,
        reason=reason,
        service=call.service,
        operation=call.operation,
        status=status,
        request_id=metadata.get("RequestId"),
        transient=reason in {Reason.THROTTLED, Reason.SERVICE},
    )


def _meaning(code: str, text: str, status: int | None, operation: str, call: Call) -> tuple[Reason, str]:
    # Obtaining credentials takes calls of its own (AssumeRole), which may fail inside another call.
    before = operation != call.operation
    subject = f"{operation} before {call}" if before and call.operation else operation if before else str(call)
    because = f": {text}" if text else ""
    expired = code in EXPIRED or (code in REJECTED and "expired" in text.lower())
    for_credentials = before or operation == "GetCallerIdentity"
    denied = code in DENIED or (status == 403 and code == "Unknown")
    table: tuple[tuple[bool, Reason, Callable[[], str]], ...] = (
        (
            not before and is_target_fault(call.service, operation, code),
            Reason.API_ERROR,
            lambda: f"{subject}: {code}{because}",
        ),
        (
            is_clock_skew(code, text),
            Reason.NO_CREDENTIALS,
            lambda: f"{subject}: AWS rejected the signature because this machine's clock is wrong{because}",
        ),
        (
            expired,
            Reason.EXPIRED_CREDENTIALS,
            lambda: f"the AWS credentials have expired; {call.renewal_hint()}",
        ),
        (
            code in REJECTED,
            Reason.NO_CREDENTIALS,
            lambda: f"{subject}: AWS does not accept these credentials ({code}){because}",
        ),
        (denied, Reason.ACCESS_DENIED, lambda: f"{subject} was denied: {_missing_permission(operation, text, call)}"),
        (is_throttle(code, status), Reason.THROTTLED, lambda: f"{subject} was throttled ({code}){because}"),
        (
            status is not None and status >= 500,
            Reason.SERVICE,
            lambda: f"{subject}: AWS returned {status} {code}{because}",
        ),
        (
            for_credentials,
            Reason.NO_CREDENTIALS,
            lambda: f"{subject}: no AWS credentials, because of {code}{because}; {call.renewal_hint()}",
        ),
    )
    for applies, reason, message in table:
        if applies:
            return reason, message()
    return Reason.API_ERROR, f"{subject}: {code}{because}"


def _missing_permission(operation: str, text: str, call: Call) -> str:
    match = _ACTION.search(text)
    service = "sts" if operation.startswith("AssumeRole") else call.service
    action = match[1] if match else " and ".join(actions(service, operation))
    if "explicit deny" in text:
        return f"a policy denies {action} explicitly"
    return f"permission {action} is missing"


def _error(call: Call, reason: Reason, code: str, message: str, *, transient: bool = False) -> AwsError:
    return AwsError(
        message, code=code, reason=reason, service=call.service, operation=call.operation, transient=transient
    )


def _one_line(text: object, limit: int = 300) -> str:
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= limit else f"{line[:limit]}…"
