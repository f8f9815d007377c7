"""Lambda through both SDKs: versions, weighted aliases, logging, and Invoke through `on_invoke`."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import EmbeddedAws, Function, FunctionVersion
from prodwatch.demo.workload import Invocation, InvocationResult

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"


@pytest.fixture
def shop(aws: EmbeddedAws, wall: Any) -> EmbeddedAws:
    versions = [
        FunctionVersion(version="41", published_s=wall.now_s - 900, code_sha256="a" * 44, description="old"),
        FunctionVersion(
            version="42", published_s=wall.now_s + 60, code_sha256="b" * 44, environment={"TIMEOUT_MS": "200"}
        ),
    ]
    aws.functions.put(Function(name="orders", versions=versions, log_format="JSON", environment={"TABLE": "t"}))
    aws.functions.put_alias("orders", "live", "41", {"42": 0.1}, "what customers get")
    aws.functions.put_alias("orders", "test", "42")
    return aws


@pytest.mark.parametrize("name", ["orders", ARN, "123456789012:function:orders"])
@over_aiobotocore
async def test_an_alias_with_weights(call: Any, shop: EmbeddedAws, name: str) -> None:
    result = await call("lambda", "GetAlias", FunctionName=name, Name="live")
    assert result["AliasArn"] == ARN + ":live"
    assert (result["FunctionVersion"], result["Description"]) == ("41", "what customers get")
    assert result["RoutingConfig"] == {"AdditionalVersionWeights": {"42": 0.1}}


async def test_aliases_are_listed_paged_and_updated(call: Any, shop: EmbeddedAws) -> None:
    first = await call("lambda", "ListAliases", FunctionName="orders", MaxItems=1)
    rest = await call("lambda", "ListAliases", FunctionName="orders", MaxItems=1, Marker=first["NextMarker"])
    assert [item["Name"] for item in first["Aliases"] + rest["Aliases"]] == ["live", "test"]
    of_one = await call("lambda", "ListAliases", FunctionName="orders", FunctionVersion="42")
    assert [item["Name"] for item in of_one["Aliases"]] == ["test"]
    before = await call("lambda", "GetAlias", FunctionName="orders", Name="live")
    moved = await call(
        "lambda", "UpdateAlias", FunctionName="orders", Name="live", FunctionVersion="42",
        RoutingConfig={"AdditionalVersionWeights": {}}, RevisionId=before["RevisionId"],
    )  # fmt: skip
    assert moved["FunctionVersion"] == "42"
    assert "RoutingConfig" not in await call("lambda", "GetAlias", FunctionName="orders", Name="live")
    with pytest.raises(ClientError) as caught:
        await call("lambda", "UpdateAlias", FunctionName="orders", Name="live", RevisionId=before["RevisionId"])
    assert caught.value.response["Error"]["Code"] == "PreconditionFailedException"


async def test_versions_exist_once_published(call: Any, shop: EmbeddedAws, wall: Any) -> None:
    async def versions() -> list[tuple[str, str]]:
        results = await call("lambda", "ListVersionsByFunction", FunctionName="orders")
        return [(item["Version"], item["CodeSha256"][0]) for item in results["Versions"]]

    assert await versions() == [("$LATEST", "b"), ("41", "a")]
    wall.now_s += 60
    assert await versions() == [("$LATEST", "b"), ("41", "a"), ("42", "b")]


async def test_the_hash_of_the_configuration_covers_the_settings_of_a_version_and_not_its_code(
    call: Any, shop: EmbeddedAws, wall: Any
) -> None:
    wall.now_s += 60
    old, new = [
        await call("lambda", "GetFunctionConfiguration", FunctionName="orders", Qualifier=each) for each in ("41", "42")
    ]
    assert new["Environment"]["Variables"].items() - old["Environment"]["Variables"].items() == {("TIMEOUT_MS", "200")}
    assert len(base64.b64decode(old["ConfigSha256"], validate=True)) == 32
    assert old["ConfigSha256"] != new["ConfigSha256"]
    function = shop.functions.get("orders")
    assert function is not None
    recoded = [replace(each, code_sha256="c" * 44) for each in function.versions]
    shop.functions.put(replace(function, versions=recoded))
    again = await call("lambda", "GetFunctionConfiguration", FunctionName="orders", Qualifier="42")
    assert again["ConfigSha256"] == new["ConfigSha256"]


@pytest.mark.parametrize(
    ("params", "version"),
    [
        ({"FunctionName": "orders"}, "$LATEST"),
        ({"FunctionName": "orders", "Qualifier": "live"}, "41"),
        ({"FunctionName": "orders", "Qualifier": "41"}, "41"),
        ({"FunctionName": ARN + ":live"}, "41"),
    ],
    ids=str,
)
@over_boto3
async def test_the_configuration_names_the_log_group(call: Any, shop: EmbeddedAws, params: Any, version: str) -> None:
    result = await call("lambda", "GetFunctionConfiguration", **params)
    assert result["Version"] == version
    assert result["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": "/aws/lambda/orders"}
    assert (result["TracingConfig"]["Mode"], result["LastUpdateStatus"]) == ("Active", "Successful")
    whole = await call("lambda", "GetFunction", **params)
    assert whole["Configuration"] == result


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetAlias", {"Name": "none"}),
        ("UpdateAlias", {"Name": "none"}),
        ("GetFunctionConfiguration", {"Qualifier": "7"}),
        ("GetFunctionConfiguration", {"Qualifier": "42"}),
    ],
    ids=str,
)
@over_boto3
async def test_unknown_functions_versions_and_aliases_are_not_found(
    call: Any, shop: EmbeddedAws, operation: str, params: Any
) -> None:
    with pytest.raises(ClientError) as caught:
        await call("lambda", operation, FunctionName="orders", **params)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


class Runner:
    """Emulates Lambda and records its invocations."""

    def __init__(self) -> None:
        self.seen: list[Invocation] = []

    async def __call__(self, invocation: Invocation) -> InvocationResult:
        self.seen.append(invocation)
        if invocation.function != "orders" or invocation.qualifier == "none":
            raise KeyError(invocation.function)
        failed = b"fail" in invocation.payload
        return InvocationResult(
            payload=b'{"errorMessage": "broken"}' if failed else b'{"ok": true}',
            executed_version="42",
            request_id="r-1",
            function_error="Unhandled" if failed else None,
            log_tail="START\nREPORT é\n" if invocation.log_tail else None,
        )


async def test_invoke(call: Any, shop: EmbeddedAws) -> None:
    runner = Runner()
    shop.on_invoke = runner
    response = await call(
        "lambda", "Invoke", FunctionName="orders", Qualifier="live", Payload=b'{"id": 1}', LogType="Tail"
    )
    assert json.loads(await call.read(response["Payload"])) == {"ok": True}
    assert (response["StatusCode"], response["ExecutedVersion"]) == (200, "42")
    assert base64.b64decode(response["LogResult"]).decode() == "START\nREPORT é\n"
    assert "FunctionError" not in response
    (seen,) = runner.seen
    assert (seen.function, seen.qualifier, seen.payload, seen.kind, seen.log_tail) == (
        "orders",
        "live",
        b'{"id": 1}',
        "RequestResponse",
        True,
    )


async def test_invoke_with_a_failing_function(call: Any, shop: EmbeddedAws) -> None:
    shop.on_invoke = Runner()
    response = await call("lambda", "Invoke", FunctionName=ARN + ":live", Payload=b'"fail"')
    assert (response["StatusCode"], response["FunctionError"]) == (200, "Unhandled")
    assert "LogResult" not in response


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
async def test_event_and_dry_run_invocations_return_no_payload(
    call: Any, shop: EmbeddedAws, kind: str, status: int
) -> None:
    runner = Runner()
    shop.on_invoke = runner
    response = await call("lambda", "Invoke", FunctionName="orders", InvocationType=kind, Payload=b"{}")
    assert response["StatusCode"] == status
    assert await call.read(response["Payload"]) == b""
    assert runner.seen[0].kind == kind


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"FunctionName": "none"}, "ResourceNotFoundException"),
        ({"FunctionName": "orders", "Qualifier": "none"}, "ResourceNotFoundException"),
        ({"FunctionName": "orders", "Payload": b"{broken"}, "InvalidRequestContentException"),
    ],
    ids=str,
)
@over_aiobotocore
async def test_invoke_refuses_invalid_requests(call: Any, shop: EmbeddedAws, params: Any, code: str) -> None:
    shop.on_invoke = Runner()
    with pytest.raises(ClientError) as caught:
        await call("lambda", "Invoke", **params)
    assert caught.value.response["Error"]["Code"] == code


async def test_functions_created_through_the_api_are_in_moto_and_keep_their_logging(
    call: Any, shop: EmbeddedAws
) -> None:
    await call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument="{}", region="us-east-1")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return event")
    logging = {"LogFormat": "JSON", "LogGroup": "/shop/all"}
    made = await call(
        "lambda", "CreateFunction", FunctionName="made", Runtime="python3.13", Handler="app.handler",
        Role="arn:aws:iam::123456789012:role/r", Code={"ZipFile": code.getvalue()}, LoggingConfig=logging,
    )  # fmt: skip
    assert made["LoggingConfig"] == logging
    listed = (await call("lambda", "ListFunctions"))["Functions"]
    assert {item["FunctionName"]: item["LoggingConfig"]["LogGroup"] for item in listed} == {
        "made": "/shop/all",
        "orders": "/aws/lambda/orders",
    }
    assert (await call("lambda", "GetFunctionConfiguration", FunctionName="made"))["LoggingConfig"] == logging
    assert (await call("lambda", "GetFunction", FunctionName="made"))["Configuration"]["LoggingConfig"] == logging
    first = await call("lambda", "PublishVersion", FunctionName="made")
    await call(
        "lambda", "UpdateFunctionConfiguration", FunctionName="made", Environment={"Variables": {"TIMEOUT_MS": "200"}}
    )
    second = await call("lambda", "PublishVersion", FunctionName="made")
    assert first["CodeSha256"] == second["CodeSha256"]
    assert first["ConfigSha256"] != second["ConfigSha256"]
    read = await call("lambda", "GetFunctionConfiguration", FunctionName="made", Qualifier=second["Version"])
    assert read["ConfigSha256"] == second["ConfigSha256"]
    first = await call(
        "lambda", "CreateAlias", FunctionName="made", Name="live", FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.2}},
    )  # fmt: skip
    result = await call("lambda", "GetAlias", FunctionName="made", Name="live")
    assert result["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.2}}
    await call(
        "lambda",
        "UpdateAlias",
        FunctionName="made",
        Name="live",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    changed = await call("lambda", "GetAlias", FunctionName="made", Name="live")
    assert changed["RevisionId"] != first["RevisionId"]
    response = await call("lambda", "Invoke", FunctionName="made", Payload=b'{"a": 1}')
    assert response["StatusCode"] == 200


async def test_the_event_sources_of_an_alias(call: Any, shop: EmbeddedAws) -> None:
    queue = "arn:aws:sqs:eu-west-1:123456789012:orders.fifo"
    shop.functions.put(Function(name="mail", event_sources={queue: "live"}))
    (mapping,) = (await call("lambda", "ListEventSourceMappings", FunctionName="mail:live"))["EventSourceMappings"]
    assert (mapping["EventSourceArn"], mapping["State"]) == (queue, "Enabled")
    assert mapping["FunctionArn"].endswith(":function:mail:live")
    for other in ("mail", "orders:live"):
        assert (await call("lambda", "ListEventSourceMappings", FunctionName=other))["EventSourceMappings"] == []
