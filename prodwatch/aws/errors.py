"""Turns whatever botocore, aiobotocore or aiohttp raise into one `AwsError`: a reason, one sentence, what to do.

Exceptions are told by the names of their classes, so that nothing of the SDK needs to be imported for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from prodwatch.aws.api import AwsError
from prodwatch.aws.error_codes import DENIED, EXPIRED, REJECTED, is_skew, is_throttle
from prodwatch.aws.iam_actions import actions
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
    """Exceptions with any of these class names, their parents included, mean this."""

    names: frozenset[str]
    reason: Reason
    sentence: str
    transient: bool = False


def _rule(names: str, reason: Reason, sentence: str, *, transient: bool = False) -> _Rule:
    return _Rule(frozenset(names.split()), reason, sentence, transient)


_RAISED = (
    _rule("NoCredentialsError", Reason.NO_CREDENTIALS, "{unset}"),
    _rule(
        "LoginInsufficientPermissions",
        Reason.ACCESS_DENIED,
        "the login session cannot be renewed: permission signin:CreateOAuth2Token is missing",
    ),
    _rule(
        "RefreshWithMFAUnsupportedError",
        Reason.EXPIRED_CREDENTIALS,
        "the session of the role has expired, and only a new MFA code renews it: start prodwatch again",
    ),
    _rule(
        "SSOError TokenRetrievalError LoginError SSOTokenLoadError UnauthorizedSSOTokenError",
        Reason.EXPIRED_CREDENTIALS,
        "the AWS session has expired; {renewal}",
    ),
    _rule(
        "PartialCredentialsError ProfileNotFound InvalidConfigError ConfigParseError CredentialRetrievalError "
        "InfiniteLoopConfigError UnknownCredentialError MetadataRetrievalError",
        Reason.NO_CREDENTIALS,
        "no AWS credentials can be had: {text}",
    ),
    _rule(
        "NoRegionError",
        Reason.UNRESOLVED,
        "no AWS region is configured; set region in [aws] or AWS_REGION in the environment",
    ),
    _rule(
        "ParamValidationError UnknownServiceError ValidationError InvalidRegionError DataNotFoundError",
        Reason.API_ERROR,
        "{call} was not sent: {text}",
    ),
    _rule(
        "ReadTimeoutError ConnectTimeoutError TimeoutError",
        Reason.TIMEOUT,
        "{call}{where} did not answer in time",
        transient=True,
    ),
    _rule("SSLError", Reason.NETWORK, "{call}: no trusted TLS connection{where}: {text}"),
    _rule(
        "EndpointConnectionError ProxyConnectionError",
        Reason.NETWORK,
        "{call}: no connection{where}, check the network: {text}",
        transient=True,
    ),
    _rule(
        "ResponseParserError EventStreamError ChecksumError FlexibleChecksumError",
        Reason.SERVICE,
        "{call}{where} answered what is not an AWS answer: {text}",
        transient=True,
    ),
    _rule(
        "ConnectionError HTTPClientError ClientError OSError",
        Reason.NETWORK,
        "{call}: the connection{where} broke: {text}",
        transient=True,
    ),
    _rule("BotoCoreError", Reason.API_ERROR, "{call}: {text}"),
)
"""The first rule that fits counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What was being asked when something went wrong: the material of a good sentence."""

    service: str
    operation: str
    params: Mapping[str, Any]
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    renewal: Callable[[], str] = lambda: "run `aws sso login`"
    """What renews the credentials of this call; asked only when they have expired, as it reads files."""

    def __str__(self) -> str:
        subject = subject_of(self.params)
        return f"{self.service} {self.operation}{f' on {subject}' if subject else ''}".replace("  ", " ")

    @property
    def where(self) -> str:
        """Return ` at <endpoint>` or ` in <region>`, as far as known."""
        if self.endpoint_url:
            return f" at {self.endpoint_url}"
        return f" in {self.region}" if self.region else ""


def subject_of(params: Mapping[str, Any]) -> str:
    """Return the resource a call is about as people name it: `table "orders"`; empty when unknown."""
    for key, kind in _SUBJECTS:
        value = params.get(key)
        if isinstance(value, str) and value:
            if key == "Bucket" and isinstance(params.get("Key"), str):
                value = f"{value}/{params['Key']}"
            return f'{kind} "{value}"'.strip()
    return ""


def no_credentials(profile: str | None) -> str:
    """Return the sentence for somebody whose credentials are not set up."""
    if profile:
        login = f"aws sso login --profile {profile}"
        return f'profile "{profile}" gives no AWS credentials; run `{login}` or check ~/.aws/config'
    return (
        "no AWS credentials were found; set profile in [aws], or AWS_PROFILE, "
        "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def explain(exc: BaseException, call: Call) -> AwsError:
    """Return the `AwsError` for an exception of the SDK or its transport; one that is already one comes back."""
    if isinstance(exc, AwsError):
        return exc
    response, operation = getattr(exc, "response", None), getattr(exc, "operation_name", None)
    if isinstance(response, Mapping) and isinstance(operation, str) and type(exc).__name__ != "EventStreamError":
        return _answered(response, operation, call)
    names = {each.__name__ for each in type(exc).__mro__}
    for rule in _RAISED:
        if names & rule.names:
            message = rule.sentence.format(
                call=call,
                where=call.where,
                text=_one_line(exc) or type(exc).__name__,
                renewal=call.renewal() if rule.reason is Reason.EXPIRED_CREDENTIALS else "",
                unset=no_credentials(call.profile),
            )
            return _error(call, rule.reason, type(exc).__name__, message, transient=rule.transient)
    return _error(call, Reason.INTERNAL, type(exc).__name__, f"{call}: unexpected {type(exc).__name__}: {exc}")


def timed_out(call: Call, timeout_s: float, *, queued: bool, throttled: bool) -> AwsError:
    """Return the error of a call that was given up after `timeout_s`, queued, throttled or on the wire."""
    if throttled or queued:
        why = "AWS kept refusing it for its rate" if throttled else "it still waited for its turn under AWS's rate"
        return _error(
            call, Reason.THROTTLED, "Throttled", f"{call} was given up after {timeout_s:g} s: {why}", transient=True
        )
    message = f"{call}{call.where} did not answer within {timeout_s:g} s"
    return _error(call, Reason.TIMEOUT, "Timeout", message, transient=True)


def _answered(response: Mapping[str, Any], operation: str, call: Call) -> AwsError:
    said = response.get("Error", {})
    metadata = response.get("ResponseMetadata", {})
    code = str(said.get("Code") or "Unknown")
    status = metadata.get("HTTPStatusCode")
    reason, message = _meaning(code, _one_line(said.get("Message") or ""), status, operation or call.operation, call)
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
    # Credentials are had by calls of their own (AssumeRole), which may fail inside another call.
    who = f"{operation} before {call}" if call.operation and operation != call.operation else str(call)
    because = f": {text}" if text else ""
    expired = code in EXPIRED or (code in REJECTED and "expired" in text.lower())
    table = (
        (
            is_skew(code, text),
            Reason.NO_CREDENTIALS,
            f"{who}: AWS refused the signature, because this machine's clock is wrong{because}",
        ),
        (
            expired,
            Reason.EXPIRED_CREDENTIALS,
            f"the AWS credentials have expired; {call.renewal() if expired else ''}",
        ),
        (code in REJECTED, Reason.NO_CREDENTIALS, f"{who}: AWS does not accept these credentials ({code}){because}"),
        (
            code in DENIED or (status == 403 and code == "Unknown"),
            Reason.ACCESS_DENIED,
            f"{who} was denied: {_missing(operation, text, call)}",
        ),
        (is_throttle(code, status), Reason.THROTTLED, f"{who} was refused for its rate ({code}){because}"),
        (status is not None and status >= 500, Reason.SERVICE, f"{who}: AWS answered {status} {code}{because}"),
    )
    for applies, reason, message in table:
        if applies:
            return reason, message
    return Reason.API_ERROR, f"{who}: {code}{because}"


def _missing(operation: str, text: str, call: Call) -> str:
    found = _ACTION.search(text)
    service = "sts" if operation.startswith("AssumeRole") else call.service
    wanted = found[1] if found else " and ".join(actions(service, operation))
    if "explicit deny" in text:
        return f"a policy denies {wanted} explicitly"
    return f"permission {wanted} is missing"


def _error(call: Call, reason: Reason, code: str, message: str, *, transient: bool = False) -> AwsError:
    return AwsError(
        message, code=code, reason=reason, service=call.service, operation=call.operation, transient=transient
    )


def _one_line(text: object, limit: int = 300) -> str:
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= limit else f"{line[:limit]}…"
