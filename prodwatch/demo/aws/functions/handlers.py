"""Lambda operations that moto implements incorrectly or slowly, and Invoke."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from datetime import UTC, datetime

from prodwatch.demo.aws.api_call import ApiCall, Document, Forward, Routes, ServiceError
from prodwatch.demo.aws.functions.model import NO_CODE, AliasState, Function, FunctionVersion
from prodwatch.demo.aws.functions.store import FunctionStore
from prodwatch.demo.aws.paging import Pager
from prodwatch.demo.workload import Invocation

_PAGE = Pager(
    cursor="NextMarker",
    request_cursor="Marker",
    limit="MaxItems",
    default=50,
    maximum=10_000,
    refusal="InvalidParameterValueException",
)
_MAX_PAYLOAD = 6 * 1024 * 1024
_STATUS = {"RequestResponse": 200, "Event": 202, "DryRun": 204}
LATEST = "$LATEST"
_CONFIGURATION = (
    *("Runtime", "Role", "Handler", "Timeout", "MemorySize", "Environment", "TracingConfig", "PackageType"),
    *("Architectures", "Layers", "VpcConfig", "EphemeralStorage", "LoggingConfig"),
)
"""Settings of a function that are not its code."""


class FunctionHandlers:
    """Lambda over one store; unknown functions are left to moto."""

    def __init__(self, store: FunctionStore) -> None:
        self._store = store

    def routes(self) -> Routes:
        """Return the operations implemented or completed here."""
        return Routes(
            "lambda",
            sync={
                "GetAlias": self.get_alias,
                "ListAliases": self.list_aliases,
                "UpdateAlias": self.update_alias,
                "ListVersionsByFunction": self.list_versions,
                "GetFunctionConfiguration": self.get_function_configuration,
                "GetFunction": self.get_function,
                "ListEventSourceMappings": self.list_event_source_mappings,
            },
            on_loop={"Invoke": self.invoke},
            patches={
                "CreateFunction": self.keep_logging,
                "UpdateFunctionConfiguration": self.keep_logging,
                "GetFunctionConfiguration": lambda _call, document: self._completed(document),
                "PublishVersion": lambda _call, document: self._completed(document),
                "GetFunction": self.complete_function,
                "GetAlias": _with_revision,
                "UpdateAlias": _with_revision,
                "ListFunctions": self.complete_list,
            },
        )

    def get_alias(self, call: ApiCall) -> Document | Forward:
        """GetAlias, with the current weights of a scripted deployment."""
        function = self._stored(call)
        if function is None:
            return Forward.TO_MOTO
        state = self._store.alias(function.name, call.params["Name"])
        if state is None:
            raise self._missing(f"{function.name}:{call.params['Name']}")
        return self._alias(function, call.params["Name"], state)

    def list_aliases(self, call: ApiCall) -> Document | Forward:
        """ListAliases, of one version if asked."""
        function = self._stored(call)
        if function is None:
            return Forward.TO_MOTO
        version = call.params.get("FunctionVersion")
        aliases = [
            self._alias(function, name, state)
            for name, state in self._store.aliases(function.name).items()
            if version in {None, state.version}
        ]
        return _PAGE.page(call, aliases, "Aliases")

    def update_alias(self, call: ApiCall) -> Document | Forward:
        """UpdateAlias: version and weights, guarded by the revision id."""
        function = self._stored(call)
        if function is None:
            return Forward.TO_MOTO
        name = call.params["Name"]
        state = self._store.alias(function.name, name)
        if state is None:
            raise self._missing(f"{function.name}:{name}")
        if call.params.get("RevisionId") not in {None, _revision(function.name, name, state)}:
            raise ServiceError(
                "PreconditionFailedException",
                "The RevisionId provided does not match the latest RevisionId. Call the GetAlias API to retrieve it.",
                status=412,
            )
        routing = call.params.get("RoutingConfig")
        weights = state.weights if routing is None else routing.get("AdditionalVersionWeights", {})
        version = call.params.get("FunctionVersion", state.version)
        self._store.put_alias(function.name, name, version, weights, call.params.get("Description", state.description))
        return self._alias(function, name, AliasState(version=version, weights=weights))

    def list_versions(self, call: ApiCall) -> Document | Forward:
        """ListVersionsByFunction: $LATEST and the versions published by now."""
        function = self._stored(call)
        if function is None:
            return Forward.TO_MOTO
        versions = [self._configuration(function, None)]
        versions += [self._configuration(function, version) for version in _published(function, call.now_s)]
        return _PAGE.page(call, versions, "Versions")

    def get_function_configuration(self, call: ApiCall) -> Document | Forward:
        """GetFunctionConfiguration of $LATEST, a version or an alias."""
        function = self._stored(call)
        if function is None:
            return Forward.TO_MOTO
        return self._configuration(function, self._resolve(function, call))

    def get_function(self, call: ApiCall) -> Document | Forward:
        """GetFunction; the code's location is not served."""
        function = self._stored(call)
        if function is None:
            return Forward.TO_MOTO
        return {"Configuration": self._configuration(function, self._resolve(function, call)), "Tags": {}}

    def list_event_source_mappings(self, call: ApiCall) -> Document | Forward:
        """ListEventSourceMappings of a stored function or of one of its aliases."""
        name, _, alias = _name_and_qualifier(call.params.get("FunctionName", ""))
        function = self._store.get(name)
        if function is None:
            return Forward.TO_MOTO
        mappings = [
            {
                "UUID": _uuid(f"{function.name}/{arn}"),
                "EventSourceArn": arn,
                "FunctionArn": self._store.arn(function.name, target),
                "BatchSize": 10,
                "State": "Enabled",
                "StateTransitionReason": "User action",
                "LastModified": 0.0,
            }
            for arn, target in sorted(function.event_sources.items())
            if target == alias and call.params.get("EventSourceArn") in {None, arn}
        ]
        return _PAGE.page(call, mappings, "EventSourceMappings")

    def keep_logging(self, call: ApiCall, document: Document) -> Document:
        """Keep the LoggingConfig, which moto drops, and return the completed configuration."""
        if logging := call.params.get("LoggingConfig"):
            self._store.remember_logging(document["FunctionName"], logging)
        return self._completed(document)

    def complete_function(self, _call: ApiCall, document: Document) -> Document:
        """Complete the configuration of moto's function."""
        return document | {"Configuration": self._completed(document["Configuration"])}

    def complete_list(self, _call: ApiCall, document: Document) -> Document:
        """Add the stored functions to moto's list."""
        document["Functions"] = [
            *(self._completed(listed) for listed in document.get("Functions", [])),
            *(self._configuration(function, None) for function in self._store.all()),
        ]
        return document

    async def invoke(self, call: ApiCall) -> Document | Forward:
        """Invoke through `on_invoke`; the invocation continues when the client disconnects."""
        invoker = self._store.on_invoke
        if invoker is None:
            return Forward.TO_MOTO
        name, _, suffix = _name_and_qualifier(call.params["FunctionName"])
        kind = call.params.get("InvocationType", "RequestResponse")
        payload = call.params.get("Payload", b"")
        if len(payload) > _MAX_PAYLOAD:
            raise ServiceError(
                "RequestTooLargeException", f"Request must be smaller than {_MAX_PAYLOAD} bytes", status=413
            )
        if payload and not _is_json(payload):
            raise ServiceError("InvalidRequestContentException", "Could not parse request body into json")
        tail = call.params.get("LogType") == "Tail" and kind == "RequestResponse"
        invocation = Invocation(
            function=name,
            qualifier=call.params.get("Qualifier") or suffix,
            payload=payload,
            kind=kind,
            trace_header=call.headers.get("X-Amzn-Trace-Id"),
            log_tail=tail,
        )
        try:
            result = await asyncio.shield(asyncio.ensure_future(invoker(invocation)))
        except KeyError:
            raise self._missing(f"{name}:{invocation.qualifier}" if invocation.qualifier else name) from None
        output: Document = {"StatusCode": _STATUS[kind]}
        if kind == "RequestResponse":
            output |= {"ExecutedVersion": result.executed_version, "Payload": result.payload}
            if result.function_error:
                output["FunctionError"] = result.function_error
            if tail and result.log_tail is not None:
                output["LogResult"] = base64.b64encode(result.log_tail.encode()[-4096:]).decode()
        return output

    def _stored(self, call: ApiCall) -> Function | None:
        return self._store.get(_name_and_qualifier(call.params["FunctionName"])[0])

    def _resolve(self, function: Function, call: ApiCall) -> FunctionVersion | None:
        suffix = _name_and_qualifier(call.params["FunctionName"])[2]
        qualifier = call.params.get("Qualifier") or suffix or LATEST
        alias = self._store.alias(function.name, qualifier)
        number = alias.version if alias is not None else qualifier
        if number == LATEST:
            return None
        version = next(
            (candidate for candidate in _published(function, call.now_s) if candidate.version == number), None
        )
        if version is None:
            raise self._missing(f"{function.name}:{qualifier}")
        return version

    def _missing(self, name: str) -> ServiceError:
        arn = self._store.arn(*name.split(":", 1))
        return ServiceError(
            "ResourceNotFoundException", f"Function not found: {arn}", status=404, fields={"Type": "User"}
        )

    def _alias(self, function: Function, name: str, state: AliasState) -> Document:
        document: Document = {
            "AliasArn": self._store.arn(function.name, name),
            "Name": name,
            "FunctionVersion": state.version,
            "Description": state.description,
            "RevisionId": _revision(function.name, name, state),
        }
        if state.weights:
            document["RoutingConfig"] = {"AdditionalVersionWeights": dict(state.weights)}
        return document

    def _configuration(self, function: Function, version: FunctionVersion | None) -> Document:
        number = version.version if version is not None else LATEST
        newest = max(function.versions, key=lambda published: published.published_s, default=None)
        source = version or newest
        modified_s = source.published_s if source is not None else 0.0
        return _with_config_sha256(
            {
                "FunctionName": function.name,
                "FunctionArn": self._store.arn(function.name, number if version is not None else None),
                "Version": number,
                "Runtime": function.runtime,
                "Role": function.role or f"arn:aws:iam::{self._store.account}:role/{function.name}",
                "Handler": function.handler,
                "CodeSize": 4096,
                "CodeSha256": source.code_sha256 if source is not None else NO_CODE,
                "Description": version.description if version is not None else "",
                "Timeout": function.timeout_s,
                "MemorySize": function.memory_mb,
                "LastModified": datetime.fromtimestamp(modified_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
                "Environment": {"Variables": {**function.environment, **(source.environment if source else {})}},
                "TracingConfig": {"Mode": function.tracing},
                "RevisionId": _uuid(f"{function.name}/{number}/{modified_s}"),
                "State": "Active",
                "LastUpdateStatus": "Successful",
                "PackageType": "Zip",
                "Architectures": ["x86_64"],
                "LoggingConfig": {"LogFormat": function.log_format, "LogGroup": function.logs_to},
            }
        )

    def _completed(self, document: Document) -> Document:
        """Add what moto's configuration of a function lacks: logging and the hash of the configuration."""
        name = document.get("FunctionName", "")
        default = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
        return _with_config_sha256(document | {"LoggingConfig": default | dict(self._store.logging(name) or {})})


def _with_config_sha256(configuration: Document) -> Document:
    """Add the hash of the settings that a publication freezes, in Base64 like that of the code."""
    frozen = json.dumps({name: configuration.get(name) for name in _CONFIGURATION}, sort_keys=True)
    digest = base64.b64encode(hashlib.sha256(frozen.encode()).digest()).decode()
    return configuration | {"ConfigSha256": digest}


def _published(function: Function, now_s: float) -> list[FunctionVersion]:
    return [version for version in function.versions if version.published_s <= now_s]


def _name_and_qualifier(identifier: str) -> tuple[str, str, str | None]:
    """Return (name, the identifier, qualifier) of a name, a partial or a full ARN."""
    parts = identifier.split(":")
    if "function" in parts:
        parts = parts[parts.index("function") + 1 :]
    return parts[0], identifier, parts[1] if len(parts) > 1 else None


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


def _uuid(text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _revision(function: str, alias: str, state: AliasState) -> str:
    return _uuid(f"{function}/{alias}/{state.version}/{sorted(state.weights.items())}")


def _with_revision(call: ApiCall, document: Document) -> Document:
    """Derive the revision id of moto's alias from its content."""
    weights = document.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    state = AliasState(version=document["FunctionVersion"], weights=weights)
    return document | {"RevisionId": _revision(call.params["FunctionName"], document["Name"], state)}
