"""A scripted double of AWS: it answers the calls its script has, and botocore's models watch over both sides.

A parameter that AWS would refuse is refused here, and an answer that AWS could not give fails the test: so a check that
works against the double speaks to AWS as AWS wants to be spoken to. It does not prove that AWS behaves as scripted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from prodwatch.demo.aws.api_call import Document, ServiceError
from prodwatch.demo.aws.protocols import decode, encode
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify
from prodwatch.demo.aws.protocols.models import operation_model

PAGES = Path(__file__).parents[4] / "docs/guide/origins"
Answer = Callable[[Document], Mapping[str, Any]]


class Double:
    """One script on one port."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"sts:GetCallerIdentity": _identity}
        """`service:Operation` → what to answer; may raise ServiceError."""
        self.calls: list[tuple[str, Document]] = []
        self.problems: list[str] = []
        """Unexpected calls, parameters and responses that AWS's models do not allow."""
        self.url = ""
        self._runner: web.AppRunner | None = None

    def stack(self, **outputs: str) -> None:
        """Answer DescribeStacks with these outputs."""
        listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        found = {"StackName": "sample", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE", "Outputs": listed}
        self.answers["cloudformation:DescribeStacks"] = lambda _params: {"Stacks": [found]}

    def called(self) -> list[str]:
        """Return the operations called, with repetitions in a row merged."""
        names: list[str] = []
        for name, _ in self.calls:
            if names[-1:] != [name]:
                names.append(name)
        return names

    def params(self, name: str) -> list[Document]:
        """Return the parameters of every call of an operation."""
        return [params for called, params in self.calls if called == name]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        url = request.rel_url
        incoming = HttpRequest(
            method=request.method,
            path=url.raw_path,
            query=url.raw_query_string,
            headers=request.headers,
            body=await request.read(),
        )
        identity = identify(incoming)
        name = f"{identity.service}:{identity.operation}"
        id_ = str(uuid.uuid4())
        try:
            operation = operation_model(identity.service, identity.operation)
            params = decode.decode(identity, operation, incoming)
            self.calls.append((name, params))
            self._validate(f"{name} was asked", operation.input_shape, params)
            output = self.answers.get(name, self._unexpected)(params)
            self._validate(f"{name} was answered", operation.output_shape, output)
            answer = encode.encode(identity.protocol, operation, output, id_)
        except ServiceError as fault:
            answer = encode.encode_error(identity.protocol, identity.service, fault, id_)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _unexpected(self, params: Document) -> Document:
        self.problems.append(f"unexpected call: {self.calls[-1][0]} {params}")
        raise ServiceError("UnknownOperationException", "the script has no such call")

    def _validate(self, what: str, shape: Any, value: Mapping[str, Any]) -> None:
        from botocore.validate import ParamValidator

        if shape is None:
            return
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            self.problems.append(f"{what} with {report.generate_report()}")
            raise ServiceError("ValidationException", report.generate_report())


def _identity(_params: Document) -> Document:
    return {"Account": "123456789012", "UserId": "AIDA", "Arn": "arn:aws:iam::123456789012:user/tester"}


@pytest.fixture
def double(loop: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Double]:
    """A double without a script; in the end all calls were allowed by AWS's models and listed on the page."""
    made = Double()
    loop.do(made.start())
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_SAM_STACK_NAME", "sample")
    monkeypatch.setenv("PLUGIN_TESTER_STACK_NAME", "sample")
    yield made
    loop.do(made.stop())
    assert not made.problems
    page = (PAGES / f"{request.module.PAGE}.md").read_text(encoding="utf-8")
    assert [name for name in made.called() if f"`{name}`" not in page] == []
