"""TLS under an `http` probe, and requests signed for AWS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.http.probe import probe
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.targets import answering, http_answer, serving

Send = Callable[..., Awaitable[Observation]]


async def test_tls_is_a_phase_and_the_certificate_a_fact(send: Send, trusted: Any) -> None:
    talk, _ = answering(http_answer(b"ok"))
    async with serving(talk, ssl=trusted.server("good")) as server:
        url = f"https://localhost:{server.port}/"
        first = await send("http", url=url)
        second = await send("http", url=url)
        assert server.connections == 1
    assert list(first.document["phases"]) == ["dns", "connect", "tls", "ttfb", "download"]
    assert list(second.document["phases"]) == ["ttfb", "download"]
    for seen in (first, second):
        assert 29 < seen.document["tls"]["days_left"] <= 30
        assert seen.notices == ()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("expired", "certificate has expired"),
        ("other", "certificate is not valid for '127.0.0.1'"),
        ("self", "self-signed certificate"),
    ],
)
async def test_certificates_nobody_should_trust(send: Send, trusted: Any, kind: str, says: str) -> None:
    talk, requests = answering(http_answer())
    async with serving(talk, ssl=trusted.server(kind)) as server:
        url = f"https://127.0.0.1:{server.port}/"
        seen = await send("http", url=url)
        careless = await send("http", url=url, verify_tls=False)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason, seen.failure.transient) == (Status.FAIL, Reason.TLS, False)
    assert says in seen.failure.message
    assert careless.failure is None
    assert careless.notices == ("the server's certificate was not verified, because `verify_tls` is false",)
    assert (careless.document["tls"]["days_left"] < 0) is (kind == "expired")
    assert len(requests) == 1


async def test_tls_to_a_server_without_it(send: Send) -> None:
    async def plain(reader: Any, writer: Any) -> None:
        await reader.read(5)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as server:
        seen = await send("http", url=f"https://127.0.0.1:{server.port}/")
    assert seen.failure is not None
    assert seen.failure.reason is Reason.TLS
    assert "does not speak TLS" in seen.failure.message


async def test_http_to_a_server_with_tls(send: Send, trusted: Any) -> None:
    talk, _ = answering(http_answer())
    async with serving(talk, ssl=trusted.server("good")) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is not None
    assert seen.failure.reason in {Reason.CONNECT, Reason.PROTOCOL}


class Signer:
    """Credentials and a region, as the AWS room lends them."""

    def __init__(self, error: AwsError | None = None, region: str | None = "eu-west-1") -> None:
        self.error = error
        self.region = region
        self.asked_for: list[str | None] = []

    async def credentials(self, account: str | None = None) -> Any:
        self.asked_for.append(account)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI", token="session-token")

    def region_name(self, _account: str | None = None) -> str | None:
        return self.region


@pytest.mark.parametrize(
    ("wanted", "region"),
    [({"service": "execute-api"}, "eu-west-1"), ({"service": "lambda", "region": "us-east-1"}, "us-east-1")],
)
async def test_sigv4_is_what_botocore_would_sign(context: ProbeContext, wanted: dict[str, str], region: str) -> None:
    talk, requests = answering(http_answer(b"ok"))
    signer: Any = Signer()
    async with serving(talk) as server:
        url = f"{server.url}/stage/a%20b?x=1&y=%2F"
        seen = await probe(
            {"url": url, "method": "POST", "json": {"a": 1}, "auth": {"sigv4": wanted}},
            replace(context, aws=signer, account="payments"),
        )
    assert seen.failure is None
    assert signer.asked_for == ["payments"]
    head, _, body = requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    again = AWSRequest(method="POST", url=url, data=body, headers={"Content-Type": "application/json"})
    again.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI"), wanted["service"], region)
    again.headers["X-Amz-Date"] = headers["X-Amz-Date"]
    again.headers["X-Amz-Security-Token"] = headers["X-Amz-Security-Token"]
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert f"/{region}/{wanted['service']}/aws4_request" in headers["Authorization"]
    assert "traceparent" not in headers["Authorization"]
    assert seen.exchange is not None
    assert "AKIDEXAMPLE" not in repr(seen)
    assert f"--aws-sigv4 aws:amz:{region}:{wanted['service']}" in (seen.exchange.curl or "")


async def test_finding_credentials_is_no_latency_of_the_target(context: ProbeContext) -> None:
    clock = FakeClock()

    class Slow(Signer):
        async def credentials(self, account: str | None = None) -> Any:
            await clock.advance(30)
            return await super().credentials(account)

    slow: Any = Slow()
    talk, _ = answering(http_answer())
    async with serving(talk) as server:
        seen = await probe(
            {"url": server.url, "auth": {"sigv4": {"service": "lambda"}}}, replace(context, aws=slow, clock=clock)
        )
    assert seen.document["latency"].s < 1


async def test_sigv4_without_credentials_is_an_error(context: ProbeContext) -> None:
    missing = AwsError(
        "no credentials were found", code="NoCredentials", reason=Reason.NO_CREDENTIALS, service="sts", operation=""
    )
    signer: Any = Signer(missing)
    seen = await probe(
        {"url": "http://127.0.0.1:9/", "auth": {"sigv4": {"service": "lambda"}}}, replace(context, aws=signer)
    )
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.NO_CREDENTIALS)


async def test_sigv4_without_a_region_is_an_error(context: ProbeContext) -> None:
    signer: Any = Signer(region=None)
    seen = await probe(
        {"url": "http://127.0.0.1:9/", "auth": {"sigv4": {"service": "lambda"}}}, replace(context, aws=signer)
    )
    assert seen.failure is not None
    assert seen.failure.reason is Reason.INVALID
    assert "region" in seen.failure.message
