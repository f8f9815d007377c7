"""What a response must be before botocore parses it."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest
from botocore.model import ServiceModel

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.foreign_responses import CBOR_READ_TWICE_BYTES, ForeignResponseError, check_envelope

IDS = {"x-amzn-requestid": "r"}
IDENTITY = b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"
HTML = {"content-type": "text/html; charset=utf-8"}
PAGE = b"<html><body>Sign in</body></html>"


def operation(service: str, name: str) -> Any:
    model = shared_loader().load_service_model(service.removesuffix(" cbor"), "service-2")
    if service.endswith(" cbor"):
        model = model | {"metadata": model["metadata"] | {"protocols": ["smithy-rpc-v2-cbor"]}}
    return ServiceModel(model, service).operation_model(name)


def large(*names: str) -> bytes:
    return cbor2.dumps({name: ["x" * 100] * 200 for name in names})


@pytest.mark.parametrize(
    ("service", "name", "headers", "body", "names"),
    [
        ("logs", "FilterLogEvents", {}, b'{"events": [], "new": 1}', {"events", "new"}),
        ("logs", "PutRetentionPolicy", IDS, b"", None),
        ("sqs", "ReceiveMessage", {}, b"{}", set()),
        ("cloudwatch cbor", "DescribeAlarms", {}, cbor2.dumps({"MetricAlarms": []}), {"MetricAlarms"}),
        ("cloudwatch cbor", "DescribeAlarms", {}, large("MetricAlarms", "CompositeAlarms"), {"MetricAlarms"}),
        ("lambda", "Invoke", IDS, b"any bytes", None),
        ("logs", "StartLiveTail", {"content-type": "application/vnd.amazon.eventstream"}, b"", None),
        ("logs", "StartLiveTail", IDS | {"content-type": "application/x-amz-json-1.1"}, b"", None),
        ("s3", "HeadObject", IDS, b"", None),
        ("sts", "GetCallerIdentity", {}, IDENTITY, {"GetCallerIdentityResult"}),
    ],
)  # fmt: skip
def test_the_document_of_its_operation(
    service: str, name: str, headers: dict[str, str], body: bytes, names: set[str] | None
) -> None:
    found = check_envelope(operation(service, name), 200, headers, body)
    assert found == (None if names is None else frozenset(names))


@pytest.mark.parametrize(
    ("service", "name", "headers", "body", "sentence"),
    [
        ("logs", "FilterLogEvents", HTML, PAGE, "text/html; it begins with `<html>"),
        ("logs", "FilterLogEvents", IDS, b'{"events": [{"mess', "JSON that breaks off"),
        ("logs", "FilterLogEvents", IDS, b"", "an empty body"),
        ("logs", "FilterLogEvents", IDS, b'{"status": "UP"}', 'JSON that begins with `{"status": "UP"}`'),
        ("logs", "FilterLogEvents", IDS, b'{"__type": "Internal", "events": []}', "an error document (Internal)"),
        ("logs", "FilterLogEvents", IDS, b"[]", "JSON that begins with `[]`"),
        ("logs", "FilterLogEvents", {"server": "nginx\x1b[2J"}, b"no", "from the server nginx␛[2J"),
        ("logs", "PutRetentionPolicy", {}, PAGE, "without AWS's request id"),
        ("lambda", "Invoke", {}, PAGE, "without AWS's request id"),
        ("logs", "StartLiveTail", HTML, PAGE, "no event stream but text/html"),
        ("logs", "StartLiveTail", HTML | IDS, PAGE, "no event stream but text/html"),
        ("logs", "StartLiveTail", {"content-type": "application/json"}, b"{}", "no event stream but application/json"),
        ("cloudwatch cbor", "DescribeAlarms", IDS, PAGE, "200"),
        ("cloudwatch cbor", "DescribeAlarms", IDS, large("Other"), "200"),
        ("cloudwatch cbor", "DescribeAlarms", IDS, b"x" * 2 * CBOR_READ_TWICE_BYTES, "200"),
        ("sts", "GetCallerIdentity", {}, b"<html/>", "200"),
        ("sts", "GetCallerIdentity", {}, b"<AssumeRoleResponse/>", "200"),
        ("s3", "ListObjectsV2", {}, b"<ListBucketResult><Key", "200"),
    ],
)  # fmt: skip
def test_what_is_not_the_document_is_described(
    service: str, name: str, headers: dict[str, str], body: bytes, sentence: str
) -> None:
    with pytest.raises(ForeignResponseError) as caught:
        check_envelope(operation(service, name), 200, headers, body)
    assert sentence in str(caught.value)
    assert caught.value.transient


@pytest.mark.parametrize("headers", [IDS, {"x-amzn-errortype": "ResourceNotFoundException"}])
@pytest.mark.parametrize("body", [b'{"__type": "X"}', b'{"__type": "a#X", "message": "m"}'])
def test_an_error_names_its_code(headers: dict[str, str], body: bytes) -> None:
    assert check_envelope(operation("logs", "FilterLogEvents"), 400, headers, body) is None


@pytest.mark.parametrize(
    ("status", "headers", "body", "transient"),
    [
        (403, {}, PAGE, False),
        (403, IDS, PAGE, False),
        (403, {"x-amzn-errortype": "AccessDenied"}, PAGE, False),
        (404, {}, b"", False),
        (404, {}, json.dumps({"code": "NOT_FOUND"}).encode(), False),
        (404, IDS, json.dumps({"code": 404, "message": "no"}).encode(), False),
        (302, {}, b"", False),
        (429, {}, PAGE, True),
        (502, {"server": "nginx"}, PAGE, True),
    ],
)
def test_a_refusal_that_names_no_code_of_aws_is_foreign(
    status: int, headers: dict[str, str], body: bytes, transient: bool
) -> None:
    with pytest.raises(ForeignResponseError, match=str(status)) as caught:
        check_envelope(operation("logs", "FilterLogEvents"), status, headers, body)
    assert caught.value.transient is transient
