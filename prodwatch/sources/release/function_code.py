"""Reads the code hash and configuration of function versions and of functions without an alias."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.model.environment import FunctionTarget, place_of
from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState
from prodwatch.model.status import Reason

LATEST = "$LATEST"
SHORT = 12
"""Hash digits shown to users."""
_TRANSIENT = frozenset((Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS, Reason.NETWORK, Reason.TIMEOUT, Reason.SERVICE))


class FunctionCode(msgspec.Struct, frozen=True, kw_only=True):
    """Code and configuration of one version or of `$LATEST`."""

    version: str
    sha256: str | None = None
    """SHA-256 in hex, of the deployment package or the image; None when unknown."""
    configuration: str | None = None
    """SHA-256 of the configuration in hex, without that of the code; None where Lambda does not report it."""
    image: bool = False
    published_at: datetime | None = None
    """Time of the last change; for a version, the time of its publication."""
    timeout_s: float | None = None
    update: str | None = None
    """Status of the latest update of `$LATEST`: `Successful`, `InProgress` or `Failed`."""
    update_reason: str | None = None

    @property
    def label(self) -> str:
        """Return the shortened hash for display."""
        kind = "image" if self.image else "code"
        return f"{kind} {self.sha256[:SHORT]}" if self.sha256 else kind


def code_of(response: dict[str, Any], version: str, clean: Callable[[str], str]) -> FunctionCode:
    """Return the code described by a GetFunctionConfiguration response."""
    reason, timeout = response.get("LastUpdateStatusReason"), response.get("Timeout")
    return FunctionCode(
        version=version,
        sha256=hex_of(response.get("CodeSha256")),
        configuration=hex_of(response.get("ConfigSha256")),
        image=response.get("PackageType") == "Image",
        published_at=_parse_time(response.get("LastModified")),
        timeout_s=None if timeout is None else float(timeout),
        update=response.get("LastUpdateStatus"),
        update_reason=clean(reason) if reason else None,
    )


def hex_of(sha256: str | None) -> str | None:
    """Return a hash in hex: Lambda reports that of a package in Base64, that of an image in hex."""
    if not sha256:
        return None
    text = sha256.removeprefix("sha256:")
    if len(text) == 64 and all(digit in "0123456789abcdefABCDEF" for digit in text):
        return text.lower()
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return None


class FunctionCodeCache:
    """Cache of versions' code; a version never changes, so each is read once."""

    def __init__(self, aws: AwsApi, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self._clean = clean
        self._codes: dict[tuple[FunctionTarget, str], FunctionCode | None] = {}

    async def of(self, function: FunctionTarget, version: str) -> FunctionCode | None:
        """Return a version's code; None when it cannot be read, which must not stop the release source."""
        key = (function, version)
        if key not in self._codes:
            try:
                self._codes[key] = await self.read(function, version)
            except AwsError as error:
                if error.reason in _TRANSIENT:
                    return None
                self._codes[key] = None
        return self._codes[key]

    async def read(self, function: FunctionTarget, version: str) -> FunctionCode:
        """Read one version or `$LATEST`, uncached; raises AwsError."""
        params = {"FunctionName": function.name}
        if version != LATEST:
            params["Qualifier"] = version
        response = await self._aws.call(
            "lambda", "GetFunctionConfiguration", params, account=function.account, region=function.region
        )
        return code_of(response, version, self._clean)

    def known(self, function: FunctionTarget, version: str) -> FunctionCode | None:
        """Return a version's code if it has been read."""
        return self._codes.get((function, version))


def published_event(function: FunctionTarget, code: FunctionCode, previous: FunctionCode | None) -> ReleaseEvent | None:
    """Return the event of a version's publication; None when its time is unknown."""
    if code.published_at is None:
        return None
    same = previous is not None and code.sha256 is not None and previous.sha256 == code.sha256
    detail = f"{code.label}, the same as version {previous.version}" if same and previous else code.label
    if (
        same
        and previous
        and None not in {previous.configuration, code.configuration}
        and (previous.configuration != code.configuration)
    ):
        detail += ": configuration only"
    return ReleaseEvent(
        at=code.published_at,
        source="lambda",
        subject=f"{function.name}:{code.version}",
        what="version published",
        to=code.version,
        detail=detail,
        place=place_of(function),
    )


def unaliased_state(
    function: FunctionTarget, code: FunctionCode, before: FunctionCode | None, at: datetime
) -> ReleaseState:
    """Return the state of a function without an alias: its latest code gets all the traffic.

    `before` is the code it ran earlier in this session, None while it has not changed.
    """
    phase, cause, changed = ReleasePhase.NONE, None, before is not None
    if code.update == "InProgress":
        phase = ReleasePhase.SHIFTING
    elif code.update == "Failed":
        phase, cause = ReleasePhase.FAILED, code.update_reason or "Lambda could not update the function"
    elif changed:
        phase = ReleasePhase.SUCCEEDED
    return ReleaseState(
        function=function.name,
        phase=phase,
        version=LATEST,
        started_at=None if phase is ReleasePhase.NONE else (code.published_at or at),
        cause=cause,
        code={LATEST: code.sha256} if code.sha256 else {},
        configuration={LATEST: code.configuration} if code.configuration else {},
        place=place_of(function),
    )


def code_changed_event(
    function: FunctionTarget, before: FunctionCode, after: FunctionCode, at: datetime
) -> ReleaseEvent:
    """Return the event of a change of code or configuration of a function without an alias."""
    is_other_code = before.sha256 != after.sha256
    old, new = (before.sha256, after.sha256) if is_other_code else (before.configuration, after.configuration)
    return ReleaseEvent(
        at=after.published_at or at,
        source="lambda",
        subject=function.name,
        what="code changed" if is_other_code else "configuration changed",
        from_=old[:SHORT] if old else None,
        to=new[:SHORT] if new else None,
        weight=1.0,
        place=place_of(function),
    )


def _parse_time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
