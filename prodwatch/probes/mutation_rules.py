"""Rules for mutations that the specs share: operations that only read, and values unknown before the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_READ_NAME = re.compile(r"(?:BatchGet|Describe|Filter|Get|Head|List|Lookup|Query|Scan|Search)(?![a-z])")
_HANDS_OUT_CREDENTIALS = re.compile(r"Get\w*(?:Tokens?(?!Balance|Vault|Status)|Credentials)\w*")

WRITING_READS: Mapping[str, str] = {
    "appconfigdata:GetLatestConfiguration": "uses up its configuration token",
    "athena:GetSessionEndpoint": "returns credentials",
    "cloudwatch:GetMetricWidgetImage": "is billed per image",
    "cognito-identity:GetId": "creates an identity",
    "cognito-identity:GetOpenIdTokenForDeveloperIdentity": "creates an identity and returns credentials",
    "cognito-idp:GetUserAttributeVerificationCode": "sends a message to the user",
    "customer-profiles:GetProfileRecommendations": "is billed per request",
    "forecastquery:QueryForecast": "is billed per request",
    "forecastquery:QueryWhatIfForecast": "is billed per request",
    "frauddetector:GetEventPrediction": "stores the event and is billed per prediction",
    "importexport:GetShippingLabel": "creates a label",
    "iot:GetRegistrationCode": "creates the code when there is none",
    "kinesis-video-archived-media:GetDASHStreamingSessionURL": "opens a streaming session",
    "kinesis-video-archived-media:GetHLSStreamingSessionURL": "opens a streaming session",
    "lightsail:GetInstanceAccessDetails": "creates temporary keys",
    "lightsail:GetRelationalDatabaseMasterUserPassword": "returns credentials",
    "personalize-runtime:GetActionRecommendations": "is billed per request",
    "personalize-runtime:GetPersonalizedRanking": "is billed per request",
    "personalize-runtime:GetRecommendations": "is billed per request",
    "pca-connector-scep:GetChallengePassword": "returns credentials",
    "quicksight:GetDashboardEmbedUrl": "opens a billed session",
    "quicksight:GetSessionEmbedUrl": "opens a billed session",
    "rekognition:SearchFaces": "is billed per request",
    "rekognition:SearchFacesByImage": "is billed per image",
    "rekognition:SearchUsers": "is billed per request",
    "rekognition:SearchUsersByImage": "is billed per image",
    "s3control:GetDataAccess": "returns credentials",
    "stepfunctions:GetActivityTask": "takes a task away from its worker",
    "sts:GetDelegatedAccessToken": "returns credentials",
    "timestream-query:Query": "is billed by the data it scans",
}
"""Operations named like reads that write, hand out credentials or cost money per call; every `ce:Get…` costs too."""


def is_open(value: Any) -> bool:
    """Return whether `value` is a text with `${…}`, which are filled at run time."""
    return isinstance(value, str) and "${" in value.replace("$${", "")


def pascal(operation: str) -> str:
    """Return an AWS operation as AWS names it: `DescribeStacks` for `describe-stacks` and `describe_stacks`."""
    if "-" not in operation and "_" not in operation and operation[:1].isupper():
        return operation
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[-_]", operation))


def aws_mutation(service: str, operation: str) -> str | None:
    """Return why the call may change something, return credentials or cost money; None for a plain read."""
    if is_open(service) or is_open(operation):
        return "its operation is known only at run time"
    name = pascal(operation)
    if not _READ_NAME.match(name):
        return f"{service}:{name} is not named like a read, so it may change something"
    what = WRITING_READS.get(f"{service}:{name}")
    if what is None and _HANDS_OUT_CREDENTIALS.fullmatch(name):
        what = "returns credentials"
    if what is None and service == "ce" and name.startswith("Get"):
        what = "is billed per request"
    return None if what is None else f"{service}:{name} {what}"


def is_delete(params: Mapping[str, Any]) -> bool:
    """Return whether the operation under `operation` is a delete."""
    return params.get("operation") in {"delete", "delete_all"}


def operation_mutation(
    params: Mapping[str, Any], writes: Mapping[str, str], *, default: str, key: str = "operation"
) -> str | None:
    """Return the reason in `writes` for the operation under `key`; None for an operation that only reads."""
    operation = params.get(key, default)
    if is_open(operation):
        return f"its `{key}` is known only at run time"
    return writes.get(operation) if isinstance(operation, str) else None
