"""Every failure of a call has a reason and one sentence with advice."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from botocore import exceptions as known
from botocore.parsers import ResponseParserError

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.error_codes import FUNCTION_FAULTS, INVOCATION_FAULTS, is_malformed_request
from prodwatch.aws.interface import AwsError
from prodwatch.aws.sdk_errors import Call, credential_error, explain, not_sent, subject_of, timed_out
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import failure_of

CALL = Call(
    service="logs",
    operation="FilterLogEvents",
    params={"logGroupName": "/aws/lambda/shop-orders"},
    region="eu-west-1",
    profile="shop-prod",
    renewal_hint=lambda: "run `aws sso login --profile shop-prod`",
)


def response_error(code: str, message: str = "", status: int = 400, operation: str = "FilterLogEvents") -> AwsError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
    }
    return explain(known.ClientError(response, operation), CALL)


SUBJECT = 'logs FilterLogEvents on log group "/aws/lambda/shop-orders"'
RESPONSES = [
    ("AccessDeniedException", "User: a is not authorized to perform: logs:FilterLogEvents on resource: x", 400,
     Reason.ACCESS_DENIED, f"{SUBJECT} was denied: permission logs:FilterLogEvents is missing"),
    ("AccessDenied", "", 403, Reason.ACCESS_DENIED, "permission logs:FilterLogEvents is missing"),
    ("403", "Forbidden", 403, Reason.ACCESS_DENIED, "permission logs:FilterLogEvents is missing"),
    ("AccessDeniedException", "with an explicit deny in a service control policy", 400,
     Reason.ACCESS_DENIED, "a policy denies logs:FilterLogEvents explicitly"),
    ("ExpiredTokenException", "The security token included in the request is expired", 400,
     Reason.EXPIRED_CREDENTIALS, "the AWS credentials have expired; run `aws sso login --profile shop-prod`"),
    ("ExpiredToken", "", 400, Reason.EXPIRED_CREDENTIALS, "have expired"),
    ("InvalidClientTokenId", "The security token included in the request is expired", 403,
     Reason.EXPIRED_CREDENTIALS, "have expired"),
    ("UnrecognizedClientException", "The security token included in the request is invalid", 400,
     Reason.NO_CREDENTIALS, "AWS does not accept these credentials (UnrecognizedClientException)"),
    ("SignatureDoesNotMatch", "Signature expired: 20261120T100000Z is now earlier than 20261120T101500Z", 403,
     Reason.NO_CREDENTIALS, "this machine's clock is wrong"),
    ("RequestTimeTooSkewed", "", 403, Reason.NO_CREDENTIALS, "this machine's clock is wrong"),
    ("ThrottlingException", "Rate exceeded", 400, Reason.THROTTLED, "was throttled (ThrottlingException)"),
    ("AWS.SimpleQueueService.ThrottlingException", "", 400, Reason.THROTTLED, "was throttled (ThrottlingException)"),
    ("ThrottledException", "", 429, Reason.THROTTLED, "was throttled"),
    ("Throttling", "", 400, Reason.THROTTLED, "was throttled"),
    ("ServiceUnavailable", "", 503, Reason.SERVICE, "AWS returned 503 ServiceUnavailable"),
    ("InternalFailure", "oops", 500, Reason.SERVICE, "AWS returned 500 InternalFailure: oops"),
    ("ResourceNotFoundException", "The specified log group does not exist.", 400, Reason.API_ERROR,
     f"{SUBJECT}: ResourceNotFoundException: The specified log group does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message", "status", "reason", "sentence"), RESPONSES)
def test_answers(code: str, message: str, status: int, reason: Reason, sentence: str) -> None:
    error = response_error(code, message, status)
    assert error.reason is reason
    assert sentence in error.message
    assert "\n" not in error.message
    assert error.code == code
    assert error.status == status
    assert error.request_id == "r-1"
    assert error.transient is (reason in {Reason.THROTTLED, Reason.SERVICE})


def test_a_refused_role_names_the_action_that_was_refused() -> None:
    error = response_error("AccessDenied", "", 403, operation="AssumeRole")
    assert error.message.startswith("AssumeRole before logs FilterLogEvents")
    assert "permission sts:AssumeRole is missing" in error.message


RAISED = [
    (known.NoCredentialsError(), Reason.NO_CREDENTIALS, False, 'profile "shop-prod" provides no AWS credentials'),
    (known.ProfileNotFound(profile="shop-prod"), Reason.NO_CREDENTIALS, False, "could not be found"),
    (known.PartialCredentialsError(provider="env", cred_var="key"), Reason.NO_CREDENTIALS, False, "no AWS credentials"),
    (known.CredentialRetrievalError(provider="p", error_msg="e"), Reason.NO_CREDENTIALS, False, "are available"),
    (known.SSOTokenLoadError(error_msg="x"), Reason.EXPIRED_CREDENTIALS, False, "aws sso login --profile shop-prod"),
    (known.UnauthorizedSSOTokenError(), Reason.EXPIRED_CREDENTIALS, False, "aws sso login --profile shop-prod"),
    (known.TokenRetrievalError(provider="sso", error_msg="x"), Reason.EXPIRED_CREDENTIALS, False, "has expired"),
    (known.NoRegionError(), Reason.UNRESOLVED, False, "set region in [aws] or AWS_REGION"),
    (known.ParamValidationError(report="bad\n  input"), Reason.INVALID, False, "was not sent: Parameter validation"),
    (known.UnknownServiceError(service_name="sqqs", known_service_names=["sqs"]), Reason.INVALID, False, "sqqs"),
    (known.ReadTimeoutError(endpoint_url="https://x"), Reason.TIMEOUT, True, "did not respond in time"),
    (known.ConnectTimeoutError(endpoint_url="https://x"), Reason.TIMEOUT, True, "in eu-west-1 did not respond"),
    (known.EndpointConnectionError(endpoint_url="https://x"), Reason.NETWORK, True, "no connection in eu-west-1"),
    (
        known.SSLError(endpoint_url="https://x", error=OSError("bad")),
        Reason.NETWORK,
        False,
        "the TLS connection in eu-west-1 is not trusted",
    ),
    (known.LoginInsufficientPermissions(), Reason.ACCESS_DENIED, False, "signin:CreateOAuth2Token is missing"),
    (
        known.LoginRefreshRequired(),
        Reason.EXPIRED_CREDENTIALS,
        False,
        "expired; run `aws sso login --profile shop-prod`",
    ),
    (known.RefreshWithMFAUnsupportedError(), Reason.EXPIRED_CREDENTIALS, False, "needs a new MFA code"),
    (known.ConnectionClosedError(endpoint_url="https://x"), Reason.NETWORK, True, "was lost"),
    (known.HTTPClientError(error="x"), Reason.NETWORK, True, "was lost"),
    (ResponseParserError("not xml"), Reason.SERVICE, True, "not a valid AWS response"),
    (aiohttp.ClientPayloadError("cut"), Reason.NETWORK, True, "was lost: cut"),
    (aiohttp.ServerTimeoutError(), Reason.TIMEOUT, True, "did not respond in time"),
    (ConnectionResetError(), Reason.NETWORK, True, "was lost: ConnectionResetError"),
    (TimeoutError(), Reason.TIMEOUT, True, "did not respond in time"),
    (known.UnknownSignatureVersionError(signature_version="x"), Reason.INVALID, False, "logs FilterLogEvents"),
    (ZeroDivisionError("x"), Reason.INTERNAL, False, "unexpected ZeroDivisionError: x"),
]


@pytest.mark.parametrize(("exc", "reason", "transient", "sentence"), RAISED, ids=lambda value: type(value).__name__)
def test_exceptions(exc: Exception, reason: Reason, transient: bool, sentence: str) -> None:
    error = explain(exc, CALL)
    assert error.reason is reason
    assert error.transient is transient
    assert sentence in error.message
    assert "\n" not in error.message


def test_an_aws_error_stays_what_it_is() -> None:
    error = response_error("X")
    assert explain(error, CALL) is error


def test_without_a_profile_the_advice_names_what_there_is_to_set() -> None:
    error = explain(known.NoCredentialsError(), Call(service="sts", operation="GetCallerIdentity", params={}))
    assert "AWS_ACCESS_KEY_ID" in error.message


@pytest.mark.parametrize(
    ("error", "reason", "sentence"),
    [
        (timed_out(CALL, 3.0, throttled=False), Reason.TIMEOUT, "did not respond within 3 s"),
        (timed_out(CALL, 3.0, throttled=True), Reason.THROTTLED, "AWS kept throttling it"),
        (not_sent(CALL, 30.0, queued=True), Reason.THROTTLED, "was not sent: it was still queued after 30 s"),
        (not_sent(CALL, 30.0, queued=False), Reason.NO_CREDENTIALS, "no AWS credentials and client were ready"),
    ],
)
def test_giving_up_says_where_the_time_went(error: AwsError, reason: Reason, sentence: str) -> None:
    assert error.reason is reason
    assert sentence in error.message


@pytest.mark.parametrize(
    ("params", "subject"),
    [
        ({"TableName": "orders", "Key": {}}, 'table "orders"'),
        ({"Bucket": "b", "Key": "a/b"}, 'bucket "b/a/b"'),
        ({"Name": "/shop/x"}, '"/shop/x"'),
        ({"other": 1}, ""),
    ],
)
def test_subjects(params: dict[str, Any], subject: str) -> None:
    assert subject_of(params) == subject


@pytest.mark.parametrize("code", ["ValidationException", "InvalidParameterException", "InvalidStateMachineName", "400"])
def test_a_malformed_request_is_ours(code: str) -> None:
    assert is_malformed_request("sqs", "SendMessage", code)


@pytest.mark.parametrize(
    "code",
    [
        "ResourceNotFoundException",
        "ConditionalCheckFailedException",
        "NoSuchBucket",
        "InvalidInstanceID.NotFound",
        "InvalidDBInstanceState",
        "InvalidStateException",
        "UnknownResourceException",
    ],
)
def test_what_production_answers_is_not(code: str) -> None:
    assert not is_malformed_request("ec2", "DescribeInstances", code)


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("secretsmanager", "GetSecretValue", "InvalidRequestException"),
        ("ssm", "GetParameter", "InvalidKeyId"),
        ("s3", "GetObject", "InvalidObjectState"),
    ],
)
def test_a_code_has_its_meaning_per_operation(service: str, operation: str, code: str) -> None:
    assert not is_malformed_request(service, operation, code)


def lambda_error(code: str, status: int) -> AwsError:
    response: Any = {"Error": {"Code": code, "Message": "Lambda's own sentence."}}
    response["ResponseMetadata"] = {"HTTPStatusCode": status}
    call = Call(service="lambda", operation="Invoke", params={"FunctionName": "shop"})
    return explain(known.ClientError(response, "Invoke"), call)


def test_W6_every_modelled_error_of_an_invocation_has_a_meaning() -> None:
    operation = shared_loader().load_service_model("lambda", "service-2")["operations"]["Invoke"]
    assert {each["shape"] for each in operation["errors"]} == FUNCTION_FAULTS | INVOCATION_FAULTS
    assert not FUNCTION_FAULTS & INVOCATION_FAULTS


@pytest.mark.parametrize("code", sorted(FUNCTION_FAULTS))
@pytest.mark.parametrize("status", [400, 403, 409, 502])
def test_W6_an_error_of_the_function_is_the_targets_with_lambdas_sentence(code: str, status: int) -> None:
    failure = failure_of(error := lambda_error(code, status))
    assert (failure.status, failure.reason) == (Status.FAIL, Reason.API_ERROR)
    assert "Lambda's own sentence" in failure.message
    assert not error.transient


@pytest.mark.parametrize(
    ("code", "status"),
    [(code, 429 if code.startswith("TooMany") else 500 if code == "ServiceException" else 400)
     for code in sorted(INVOCATION_FAULTS)]
    + [("AccessDeniedException", 403), ("ExpiredTokenException", 403), ("ThrottlingException", 400), ("Odd", 503)],
)  # fmt: skip
def test_W6_an_error_of_the_request_or_of_the_service_is_not(code: str, status: int) -> None:
    assert failure_of(lambda_error(code, status)).status is Status.ERROR


@pytest.mark.parametrize("code", ["KMSAccessDeniedException", "EC2ThrottledException"])
def test_a_code_of_an_invocation_keeps_its_meaning_elsewhere(code: str) -> None:
    assert response_error(code, "", 502).reason is not Reason.API_ERROR


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("GetRoleCredentials", "ForbiddenException", 403),
        ("GetRoleCredentials", "ResourceNotFoundException", 404),
        ("GetCallerIdentity", "RegionDisabledException", 403),
        ("AssumeRole", "RegionDisabledException", 403),
        ("AssumeRole", "PackedPolicyTooLarge", 400),
        ("AssumeRoleWithWebIdentity", "IDPCommunicationError", 400),
        ("AssumeRoleWithWebIdentity", "IDPRejectedClaim", 403),
        ("AssumeRoleWithWebIdentity", "InvalidIdentityToken", 400),
        ("CreateToken", "InvalidGrantException", 400),
        ("AnyOther", "ConditionalCheckFailedException", 400),
    ],
)
def test_W5_an_error_of_another_operation_is_never_the_targets(operation: str, code: str, status: int) -> None:
    error = response_error(code, "No access", status, operation=operation)
    failure = failure_of(error)
    assert (failure.status, failure.reason) == (Status.ERROR, Reason.NO_CREDENTIALS)
    assert code in failure.message
    assert operation in failure.message
    assert "aws sso login --profile shop-prod" in failure.message


def test_W5_a_subscription_that_is_missing_is_not_the_targets() -> None:
    assert failure_of(response_error("SubscriptionRequiredException")).status is Status.ERROR


@pytest.mark.parametrize("exc", [each[0] for each in RAISED], ids=lambda value: type(value).__name__)
def test_an_exception_of_the_sdk_is_never_the_targets(exc: Exception) -> None:
    assert failure_of(explain(exc, CALL)).status is Status.ERROR


def test_B5_keys_that_a_process_renewed_and_that_are_expired_are_a_sentence() -> None:
    expired = RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired.")
    error = explain(expired, CALL)
    assert error.reason is Reason.EXPIRED_CREDENTIALS
    assert "aws sso login --profile shop-prod" in error.message


def test_B5_a_process_that_prints_something_else_is_a_sentence() -> None:
    error = credential_error(ValueError("Expecting value: line 1 column 1"), CALL)
    assert error.reason is Reason.NO_CREDENTIALS
    assert error.message.startswith('profile "shop-prod" provides no usable AWS credentials: ValueError: Expecting')
